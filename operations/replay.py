"""Events of the past, out of the bus's archive, once more to one consumer."""

import time
from datetime import UTC, datetime

from operations.cloud import Cloud, NotThere

POLL_SECONDS = 5.0


class ReplayFailed(Exception):
    """EventBridge gave up; the message has its reason."""


def moment(text: str) -> datetime:
    """A time with its zone, such as 2026-11-20T00:00Z. Raises ValueError."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} has no zone: write {text}Z")
    return time


def replay(cloud: Cloud, service: str, start: datetime, end: datetime) -> None:
    """Returns when the consumer's queue has them all. Raises NotThere, ReplayFailed."""
    events, queue_arn = cloud.client("events"), cloud.arn(cloud.queue(service).url)
    bus = events.describe_event_bus(Name=cloud.outputs["EventBusName"])
    archives = events.list_archives(EventSourceArn=bus["Arn"])["Archives"]
    if not archives:
        raise NotThere(f"the bus {bus['Name']} has no archive: nothing can be replayed in {cloud.environment}")
    archive = events.describe_archive(ArchiveName=archives[0]["ArchiveName"])
    # The bus has more subscribers, who are to hear nothing of it: this consumer's rules only.
    names = events.list_rule_names_by_target(TargetArn=queue_arn, EventBusName=bus["Name"])["RuleNames"]
    rules = [events.describe_rule(Name=name, EventBusName=bus["Name"])["Arn"] for name in names]
    name = f"{service}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    events.start_replay(
        ReplayName=name,
        EventSourceArn=archive["ArchiveArn"],
        EventStartTime=start,
        EventEndTime=end,
        Destination={"Arn": bus["Arn"], "FilterArns": rules},
    )
    print(f"replay {name}: events from {start:%F %T %Z} to {end:%F %T %Z} go to {', '.join(names)}", flush=True)
    while (state := events.describe_replay(ReplayName=name))["State"] in ("STARTING", "RUNNING"):
        time.sleep(POLL_SECONDS)
    if state["State"] != "COMPLETED":
        raise ReplayFailed(f"replay {name} is {state['State']}: {state.get('StateReason', 'no reason given')}")
    print(f"replay {name}: done")
