"""What is in a dead-letter queue: read, without taking it away from anybody for longer than a minute."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

HIDDEN_SECONDS = 60  # what was received here is hidden from others for so long, if this is killed
READING_SECONDS = 20  # a part of that, or the first would be read again after the last
WAIT_SECONDS = 1  # a short poll may miss what is there; this asks all servers
COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


class Letter(NamedTuple):
    """A message of a dead-letter queue."""

    message: dict[str, Any]
    sent_at: datetime
    event: str
    event_id: str | None
    correlation_id: str | None

    @classmethod
    def of(cls, message: dict[str, Any]) -> "Letter":
        event, detail = "unreadable", dict[str, Any]()
        try:
            body = json.loads(message["Body"])
            event, detail = str(body["detail-type"]), dict(body["detail"])
        except (ValueError, TypeError, KeyError):
            pass
        sent_at = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
        return cls(message, sent_at, event, detail.get("id"), detail.get("correlation_id"))


@contextmanager
def received(sqs: Any, url: str) -> Iterator[list[dict[str, Any]]]:
    """The messages of the queue, or as many as can be read in 20 s; others can have them again after the block."""
    messages: list[dict[str, Any]] = []
    until = time.monotonic() + READING_SECONDS
    try:
        while time.monotonic() < until and (more := receive(sqs, url)):
            messages += more
        yield messages
    finally:
        release(sqs, url, [message["ReceiptHandle"] for message in messages])


def release(sqs: Any, url: str, receipts: list[str]) -> None:
    """Those that cannot be released, being hidden no longer, are no error of a batch."""
    for at in range(0, len(receipts), 10):
        some = enumerate(receipts[at : at + 10])
        entries = [{"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0} for number, receipt in some]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)


def receive(sqs: Any, url: str) -> list[dict[str, Any]]:
    """Up to ten messages; none only when there is none."""
    found: list[dict[str, Any]] = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        WaitTimeSeconds=WAIT_SECONDS,
        VisibilityTimeout=HIDDEN_SECONDS,
        MessageSystemAttributeNames=["SentTimestamp"],
        MessageAttributeNames=["All"],
    ).get("Messages", [])
    return found


def count(sqs: Any, url: str) -> int:
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTS))["Attributes"]
    return sum(int(found[name]) for name in COUNTS)
