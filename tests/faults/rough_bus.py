"""A bus with a queue a consumer, as AWS has them at their worst: what is delivered, when, how often and in which order
is up to the test; what becomes of a batch is decided by AWS's rules, strictly."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.integration.fake_bus import Entry, FakeBus

BATCH = 10
MAX_RECEIVE_COUNT = 5  # then a message goes to the dead-letter queue


@dataclass(eq=False)
class Message:
    """One delivery of an event: `again` makes another of the same event."""

    event: dict[str, Any]
    message_id: str = field(default_factory=lambda: str(uuid4()))
    failures: list[str] = field(default_factory=list)
    """Why it came back, each time."""

    def again(self) -> "Message":
        return Message(self.event)

    @property
    def detail_type(self) -> str:
        return str(self.event["detail-type"])

    @property
    def event_id(self) -> str:
        return str(self.event["detail"]["id"])

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.event["detail"]["data"])

    def record(self) -> dict[str, Any]:
        return {"messageId": self.message_id, "body": json.dumps(self.event), "eventSource": "aws:sqs"}


class Queue:
    """A standard queue: no order, and nothing is gone before a batch's answer says so."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.dead: list[Message] = []
        self._in_flight: list[str] = []

    def take(self, picks: Sequence[int]) -> list[Message]:
        """A batch of what lies here, in the order of `picks`, each a position counted round and round. Nobody else gets
        it until it is settled; nor, until then, another copy, for which a single thread would have to wait."""
        free = [message for message in self.messages if message.event_id not in self._in_flight]
        positions = dict.fromkeys(pick % len(free) for pick in picks) if free else {}
        batch = [free[position] for position in positions][:BATCH]
        self.messages = [message for message in self.messages if message not in batch]
        self._in_flight += [message.event_id for message in batch]
        return batch

    def settle(self, batch: Sequence[Message], answer: object, failure: str) -> list[Message]:
        """Delete what was done and keep the rest. Returns what was given back; `failure` says why, for the record."""
        given_back = returned(batch, answer)
        for message in batch:
            self._in_flight.remove(message.event_id)
        for message in given_back:
            message.failures.append(failure)
            hopeless = len(message.failures) % MAX_RECEIVE_COUNT == 0
            (self.dead if hopeless else self.messages).append(message)
        return given_back

    def redrive(self) -> None:
        """What an operator does when the trouble is over."""
        self.messages += self.dead
        self.dead = []


class NoAnswer:
    """What a function answers that raised, ran out of time or was killed."""


def returned(batch: Sequence[Message], answer: object) -> list[Message]:
    """Which messages of a batch come again, with ReportBatchItemFailures.

    None when the answer is empty or names none. All when there is no answer, when it cannot be understood, or when it
    names a message that is not in the batch.
    """
    if answer is None or answer == {}:
        return []
    if not isinstance(answer, dict):
        return list(batch)
    failures = answer.get("batchItemFailures")
    if failures is None or failures == []:
        return []
    if not isinstance(failures, list):
        return list(batch)
    named = [item.get("itemIdentifier") if isinstance(item, dict) else None for item in failures]
    if not set(named) <= {message.message_id for message in batch}:
        return list(batch)
    return [message for message in batch if message.message_id in named]


class RoughBus(FakeBus):
    """Puts what it accepts into the queues of all that subscribe to it."""

    def __init__(self, subscribers: Callable[[str], Sequence[str]]) -> None:
        super().__init__()
        self._subscribers = subscribers
        self.queues: dict[str, Queue] = {}
        self.events: list[dict[str, Any]] = []
        """All that was ever announced; the same event more than once, if it was sent more than once."""

    def queue(self, service: str) -> Queue:
        return self.queues.setdefault(service, Queue())

    def put_events(self, *, Entries: list[Entry]) -> dict[str, Any]:  # noqa: N803  # AWS's name
        known = len(self.accepted)
        answer = super().put_events(Entries=Entries)
        for entry in self.accepted[known:]:
            self.send(
                {
                    "version": "0",
                    "detail-type": entry["DetailType"],
                    "source": entry["Source"],
                    "detail": json.loads(entry["Detail"]),
                }
            )
        return answer

    def send(self, event: dict[str, Any]) -> None:
        """To all subscribers: what was just announced, or once more what was announced long ago."""
        self.events.append(event)
        for service in self._subscribers(event["detail-type"]):
            self.queue(service).messages.append(Message(event))
