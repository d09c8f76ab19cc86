"""The outbox: events are stored in the business transaction, sent right after it, and swept up where that failed.

A row is hidden from the sweep for 10 s, in which its writer sends and deletes it. Nobody holds a transaction open while
calling the bus: rows are leased, sent, deleted.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from common import bus
from common.connection import Connection, kept
from common.events import Sealed
from common.observability import count, describe, logger

HOPELESS_ATTEMPTS = 20
SWEEP_SECONDS = 5.0  # of the function's 25, however slow the bus: other tasks have to have their turn
_LEASED_AT_ONCE = bus.ENTRIES * bus.CALLS_AT_ONCE
_held: ContextVar[list[Sealed] | None] = ContextVar("held", default=None)


def store(connection: Connection, events: Sequence[Sealed]) -> None:
    """Write the events in the transaction that is open."""
    if events:  # available_at has a default, because the driver makes one INSERT only of VALUES that are all bare %s
        connection.execute_many(
            "INSERT INTO outbox (event_id, detail_type, detail) VALUES (%s, %s, %s)",
            [(event.event_id.bytes, event.detail_type, event.detail) for event in events],
        )


@contextmanager
def held() -> Iterator[None]:
    """Keep what is announced within, and send it together at the end: one call for a batch of messages."""
    events: list[Sealed] = []
    token = _held.set(events)
    try:
        yield
    finally:
        _held.reset(token)
        announce(kept(), events)


def announce(connection: Connection, events: Sequence[Sealed]) -> None:
    """Send events that are committed. Never raises: what cannot be sent or deleted now is left to the sweep."""
    holding = _held.get()
    if holding is not None:
        holding.extend(events)
    elif events:
        try:
            _settle(connection, events, bus.put)
        except Exception as error:
            connection.rollback()
            count("PublishFailed", len(events))
            logger.warning("events stay in the outbox for the sweep", extra=describe(error))


def sweep() -> int:
    """Send what is left over from before, for 5 s; the next one goes on. Returns how many rows it sent or was refused.

    Raises when database or bus are away.
    """
    connection, taken, until = kept(), 0, time.monotonic() + SWEEP_SECONDS
    try:
        leased = _LEASED_AT_ONCE
        while leased == _LEASED_AT_ONCE and time.monotonic() < until:
            events = _lease(connection)
            leased = len(events)
            if events:
                _settle(connection, events, bus.put_many)
            taken += leased
    finally:
        connection.rollback()
        parked, age = report(connection, "outbox")  # above all when the bus is away
        count("OutboxParked", parked)
        count("OutboxAgeSeconds", age)
    return taken


def _lease(connection: Connection) -> list[Sealed]:
    """Rows that are due, out of every other sweep's sight for a minute."""
    rows = connection.all(
        """
        SELECT event_id, detail_type, detail
          FROM outbox
         WHERE parked_at IS NULL AND available_at <= NOW(6)
         ORDER BY available_at
         LIMIT %s
           FOR UPDATE SKIP LOCKED
        """,
        (_LEASED_AT_ONCE,),
    )
    if rows:
        connection.execute(
            "UPDATE outbox SET available_at = NOW(6) + INTERVAL 60 SECOND WHERE event_id IN %s",
            ([row["event_id"] for row in rows],),
        )
    connection.commit()
    in_order = sorted(rows, key=lambda row: bytes(row["event_id"]))
    return [Sealed(UUID(bytes=row["event_id"]), row["detail_type"], row["detail"]) for row in in_order]


def _settle(
    connection: Connection, events: Sequence[Sealed], put: Callable[[Sequence[Sealed]], Iterator[bus.Answer]]
) -> None:
    """Send; delete what the bus took, count what it refused. When it is away, the rest is left as it is."""
    sent: list[bytes] = []
    refused: dict[str, list[bytes]] = {}
    try:
        for event, refusal in put(events):
            (sent if refusal is None else refused.setdefault(refusal, [])).append(event.event_id.bytes)
    finally:
        if sent:
            connection.execute("DELETE FROM outbox WHERE event_id IN %s", (sent,))
        for refusal, event_ids in refused.items():
            count("PublishFailed", len(event_ids))
            logger.warning("the bus refused events", extra={"refusal": refusal, "events": len(event_ids)})
            if refusal not in bus.PASSING:
                _count_attempt(connection, refusal, event_ids)
        connection.commit()


def _count_attempt(connection: Connection, refusal: str, event_ids: list[bytes]) -> None:
    """One attempt more; the row is parked, for a person to look at, when there is no hope left."""
    connection.execute(
        """
        UPDATE outbox
           SET attempts = attempts + 1, last_error = %s, parked_at = IF(attempts >= %s, NOW(6), NULL)
         WHERE event_id IN %s
        """,
        (refusal[:255], HOPELESS_ATTEMPTS, event_ids),
    )


def report(connection: Connection, table: str) -> tuple[int, int]:
    """How many rows are parked, and for how many seconds the oldest of the others has waited; ends the transaction."""
    [row] = connection.all(
        f"""
        SELECT (SELECT COUNT(*) FROM {table} WHERE parked_at IS NOT NULL) AS parked,
               (SELECT TIMESTAMPDIFF(SECOND, created_at, NOW(6))
                  FROM {table}
                 WHERE parked_at IS NULL
                 ORDER BY event_id -- in which there is its time
                 LIMIT 1) AS age
        """
    )
    connection.commit()
    return int(row["parked"]), int(row["age"] or 0)
