"""The queues of the consumers, seen and disturbed from outside."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from localcloud import aws
from localcloud.home import Home
from localcloud.stack import SERVICES, Stack
from tests.e2e.database import connected
from tests.e2e.waiting import eventually

COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


class Queues:
    def __init__(self, home: Home, stack: Stack) -> None:
        self._sqs, self._events, self._stack = aws.client(home, "sqs"), aws.client(home, "events"), stack

    def send(self, service: str, body: str) -> None:
        self._sqs.send_message(QueueUrl=self._stack.queues[service], MessageBody=body)

    def dead_letters(self, service: str) -> list[str]:
        """What is in the service's dead-letter queue, which is empty afterwards."""
        return self._take(self._stack.dead_letter_queues[service])

    def dead(self, service: str) -> int:
        """How many messages are in the service's dead-letter queue."""
        return self._waiting(self._stack.dead_letter_queues[service])

    def drained(self) -> None:
        """Wait until no consumer has anything to do. Raises AssertionError."""
        eventually(self._at_rest, 90)

    def _at_rest(self) -> bool:
        """Queues are asked one after the other, and an event may lead to one in a queue that was found empty before.
        What does so after the first round was in its own queue then, or is in an inbox that has grown at the end."""
        before = self._handled()
        empty = not any(self._waiting(url) for _ in range(2) for url in self._stack.queues.values())
        return empty and self._handled() == before

    def _handled(self) -> int:
        """How many events all consumers have had an effect of."""
        with connected(self._stack, "information_schema") as cursor:
            cursor.execute("SELECT " + " + ".join(f"(SELECT COUNT(*) FROM {service}.inbox)" for service in SERVICES))
            found: int = cursor.fetchall()[0][0]
            return found

    @contextmanager
    def impatient(self, *services: str, seconds: int = 1) -> Iterator[None]:
        """What fails is delivered again after so many seconds instead of ten; so is what takes longer than that."""
        urls = [self._stack.queues[service] for service in services]
        before = {url: self._attributes(url, "VisibilityTimeout") for url in urls}
        for url in urls:
            self._sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(seconds)})
        try:
            yield
        finally:
            for url, attributes in before.items():
                self._sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)

    @contextmanager
    def listening(self) -> Iterator["Listener"]:
        """A further subscriber of everything on the bus, for the length of the block."""
        bus, name = self._stack.event_bus, "kumiki-test-listener"
        url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._attributes(url, "QueueArn")["QueueArn"]
        sources = json.dumps({"source": sorted(self._stack.functions)})
        self._events.put_rule(Name=name, EventBusName=bus, EventPattern=sources)
        self._events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
        try:
            yield Listener(lambda: self._take(url))
        finally:
            self._events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
            self._events.delete_rule(Name=name, EventBusName=bus)
            self._sqs.delete_queue(QueueUrl=url)

    def _waiting(self, url: str) -> int:
        return sum(int(value) for value in self._attributes(url, *COUNTS).values())

    def _attributes(self, url: str, *names: str) -> dict[str, str]:
        found: dict[str, str] = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
        return found

    def _take(self, url: str) -> list[str]:
        bodies: list[str] = []
        while messages := self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                bodies.append(message["Body"])
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies


class Listener:
    """Events as EventBridge delivered them."""

    def __init__(self, take: Any) -> None:
        self._take, self._heard = take, list[str]()

    def about(self, order_id: str) -> dict[str, str]:
        """The message of every event of this order so far, by detail-type."""
        self._heard += self._take()
        parsed = [(json.loads(body), body) for body in self._heard]
        return {
            event["detail-type"]: body for event, body in parsed if event["detail"]["data"].get("order_id") == order_id
        }
