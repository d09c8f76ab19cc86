"""Reacts to events from a queue, each in one transaction with one effect; to the schedule, which sweeps and purges; and
to questions of operators, who cannot reach the database.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from common import outbox
from common.configuration import configuration
from common.connection import TO_ANSWER_SECONDS, within
from common.database import DatabaseUnavailable, Row, Transaction, retrying, transaction
from common.events import Envelope, Event
from common.observability import concern, correlate, count, describe, flush, forget, invoked, logger

R = TypeVar("R", bound=Callable[..., Any])
Question = Callable[[Transaction, str], Sequence[Row]]

# A message may wait 10 s for others, and must then commit: when a function is killed, all its messages come again.
ENOUGH_MILLIS = 10_000 + 1000 * TO_ANSWER_SECONDS
PURGED_AT_ONCE = 1000
PURGE_SECONDS = 2.0
PAGE = 1000


class UnknownEvent(Exception):
    """A message that this consumer has no reaction to, or none to that version: subscription and code disagree."""


class _Message(msgspec.Struct, rename={"detail_type": "detail-type"}):
    """An event as EventBridge puts it into a queue."""

    detail_type: str
    source: str
    detail: Envelope


class _Reaction(NamedTuple):
    event_type: type[Event]
    react: Callable[[Transaction, Any], Any]
    then: Callable[[Any, Any], None] | None


class Consumer:
    """A service's consumer function. `handler` takes SQS batches, schedules of the form `{"task": name}`, and questions
    of the form `{"question": name, "about": text}`."""

    def __init__(self) -> None:
        self._reactions: dict[str, _Reaction] = {}
        self._tasks: dict[str, Callable[[], Any]] = {"messages": _sweep}
        self._questions: dict[str, Question] = {}
        self.parks_in("outbox")

    def on(self, event_type: type[Event], then: Callable[[Any, Any], None] | None = None) -> Callable[[R], R]:
        """Register what to do with an event, in its transaction: `react(tx, event)` may run twice, but commits once.

        `then(event, noted)` runs after the commit, outside any transaction, and again on every redelivery until it
        succeeds: for calls to the outside, which must therefore be idempotent. `noted` is what `react` returned, which
        saves reading it again; on a redelivery, where `react` is not run, it is None.
        """

        def register(react: R) -> R:
            self._reactions[event_type.__name__] = _Reaction(event_type, react, then)
            return react

        return register

    def task(self, work: Callable[[], Any]) -> Callable[[], Any]:
        """Register scheduled work under the function's name. Every sweep does it too, after the outbox."""
        self._tasks[work.__name__] = work
        return work

    def question(self, answer: Question) -> Question:
        """Register what can be asked, or asked for, under the function's name, in a transaction of its own. The rows of
        the answer travel as JSON: nothing personal belongs into them. Where there may be more than a page of them, they
        are in the order of an identifier, and `about` is the last one of the page before.
        """
        self._questions[answer.__name__] = answer
        return answer

    def parks_in(self, table: str) -> None:
        """Where what this service has to tell is parked: the questions `parked` and `release` are about that table."""
        self._questions |= {"parked": partial(_parked, table), "release": partial(_release, table)}

    def _handle(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        if "task" in event:
            self._do(event["task"])
            forget()  # whatever it dealt with last
            logger.info("task done", extra={"task": event["task"]})
            return {}
        if "question" in event:
            return {"answer": self._answer(event["question"], event["about"])}
        return {"batchItemFailures": self._receive_all(event["Records"], context)}

    def _do(self, task: str) -> None:
        works = list(self._tasks.values()) if task == "sweep" else [self._tasks[task]]
        with ExitStack() as all_of_them:  # whichever raises; the last one in is the first one done
            for work in reversed(works):
                all_of_them.callback(retrying, work)  # two sweeps at once may be in each other's way

    def _answer(self, question: str, about: str) -> Any:
        def asked() -> Sequence[Row]:
            with transaction() as tx:
                return self._questions[question](tx, about)

        logger.info("question", extra={"question": question})
        return msgspec.to_builtins([{name: _as_text(row[name]) for name in row} for row in retrying(asked)])

    def handler(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The Lambda handler. For a batch, answers which messages SQS is to deliver again."""
        invoked(context)
        try:
            with within(context.get_remaining_time_in_millis()):
                return self._handle(event, context)
        finally:
            flush()

    def _receive_all(self, records: list[dict[str, Any]], context: Any) -> list[dict[str, str]]:
        failed: list[str] = []
        with outbox.held():
            for position, record in enumerate(records):
                rest = [left["messageId"] for left in records[position:]]
                forget()  # the neighbour's
                if position and context.get_remaining_time_in_millis() < ENOUGH_MILLIS:
                    logger.warning("too little time left, messages given back", extra={"message_ids": rest})
                    failed += rest
                    break
                try:
                    self._receive(record["body"])
                except DatabaseUnavailable as error:
                    # The rest would only wait for the same time-out, until the function's own.
                    logger.warning("database away, messages given back", extra={"message_ids": rest, **describe(error)})
                    failed += rest
                    break
                except Exception as error:
                    logger.error("message given back", extra={"message_id": rest[0], **describe(error)})
                    failed.append(rest[0])
        if failed:
            count("MessagesFailed", len(failed))
        return [{"itemIdentifier": message_id} for message_id in failed]

    def _receive(self, body: str) -> None:
        message = msgspec.json.decode(body, type=_Message)
        envelope = message.detail
        correlate(envelope.correlation_id, str(envelope.id))
        reaction = self._reactions.get(message.detail_type)
        if reaction is None or envelope.version > reaction.event_type.VERSION:
            raise UnknownEvent(f"{message.detail_type} version {envelope.version}")
        event = msgspec.json.decode(envelope.data, type=reaction.event_type)
        concern(event)

        def once() -> tuple[bool, Any]:
            with transaction() as tx:
                fresh = first_time(tx, envelope.id)
                return fresh, reaction.react(tx, event) if fresh else None

        fresh, noted = retrying(once)
        if reaction.then:
            reaction.then(event, noted)
        logger.info("event" if fresh else "event seen before", extra={"event": message.detail_type})


def first_time(tx: Transaction, event_id: UUID) -> bool:
    """The inbox: record, in the transaction of its effect, that the event arrived. False when it had before.

    Of two deliveries at the same time the second waits here for the first to commit or roll back.
    """
    return (
        tx.execute(
            "INSERT IGNORE INTO inbox (consumer, event_id) VALUES (%s, %s)",
            (configuration().service, event_id.bytes),
        )
        == 1
    )


def _sweep() -> None:
    outbox.sweep()
    _purge("DELETE FROM idempotency_keys WHERE created_at < NOW(6) - INTERVAL 24 HOUR ORDER BY created_at LIMIT %s")
    # An event may come again: a dead-letter queue keeps it for 14 days, an archive of the bus for longer.
    _purge("DELETE FROM inbox WHERE received_at < NOW(6) - INTERVAL 45 DAY ORDER BY received_at LIMIT %s")


def _purge(statement: str) -> None:
    """Delete what is old, so many rows a transaction, until there is none or other tasks should have their turn."""
    until, deleted = time.monotonic() + PURGE_SECONDS, PURGED_AT_ONCE
    while deleted == PURGED_AT_ONCE and time.monotonic() < until:
        with transaction() as tx:
            deleted = tx.execute(statement, (PURGED_AT_ONCE,))


def _as_text(value: Any) -> Any:
    """Binary columns are identifiers."""
    return UUID(bytes=value) if isinstance(value, bytes) else value


def _parked(table: str, tx: Transaction, after: str) -> Sequence[Row]:
    """Events that were refused until there was no hope left, and with which words."""
    return tx.all(
        f"""
        SELECT event_id, detail_type, last_error, parked_at
          FROM {table}
         WHERE parked_at IS NOT NULL AND event_id > %s
         ORDER BY event_id
         LIMIT %s
        """,
        (UUID(after).bytes, PAGE),
    )


def _release(table: str, tx: Transaction, _: str) -> Sequence[Row]:
    """Have the next sweeps try all of them once more."""
    released = tx.execute(
        f"UPDATE {table} SET parked_at = NULL, attempts = 0, available_at = NOW(6) WHERE parked_at IS NOT NULL"
    )
    return [{"released": released}]
