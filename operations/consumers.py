"""A consumer switched off, while its messages wait in their queue, and on again."""

import time

from operations.cloud import Cloud

PATIENCE_SECONDS = 180


class NeverSwitched(Exception):
    """The event source mapping has not reached its new state."""


def switch(cloud: Cloud, service: str, on: bool) -> None:
    """Returns when it is so. Raises NotThere, NeverSwitched."""
    queue, lambdas = cloud.queue(service), cloud.client("lambda")
    mappings = lambdas.list_event_source_mappings(EventSourceArn=cloud.arn(queue.url))["EventSourceMappings"]
    wanted, deadline = "Enabled" if on else "Disabled", time.monotonic() + PATIENCE_SECONDS
    for mapping in mappings:
        lambdas.update_event_source_mapping(UUID=mapping["UUID"], Enabled=on)
        while (state := lambdas.get_event_source_mapping(UUID=mapping["UUID"])["State"]) != wanted:
            if time.monotonic() > deadline:
                raise NeverSwitched(f"{service} is still {state} after {PATIENCE_SECONDS} s")
            time.sleep(2)
    attributes = cloud.client("sqs").get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])["Attributes"]
    days = int(attributes["MessageRetentionPeriod"]) // 86400
    waiting = f"{attributes['ApproximateNumberOfMessages']} messages wait"
    print(f"{service} is {'on' if on else 'off'}: {waiting}{'' if on else f', and are lost after {days} days'}")
