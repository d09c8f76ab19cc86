"""Events that the bus had taken and could not encrypt, or decrypt: nobody has received them, and no outbox has them any
more. Those of the second kind come as they are stored, in an event of EventBridge's own."""

import json

from operations.cloud import Cloud


class NotTaken(Exception):
    """The bus refuses an event; the message is its error code."""


def dead_letters(cloud: Cloud) -> str:
    """The URL of the queue in which the bus keeps them."""
    name = f"{cloud.outputs['EventBusName']}-bus-dead-letters"
    return str(cloud.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def put(cloud: Cloud, body: str) -> bool:
    """Send the event that a message is once more, as it is. False when it is no service's: encrypted, or none at all.
    Raises NotTaken."""
    try:
        event = json.loads(body)
        entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
        if str(entry["Source"]).startswith("aws."):
            return False
    except (ValueError, TypeError, KeyError):
        return False
    answer = cloud.client("events").put_events(Entries=[{"EventBusName": cloud.outputs["EventBusName"], **entry}])
    if answer["FailedEntryCount"]:
        raise NotTaken(answer["Entries"][0]["ErrorCode"])
    return True
