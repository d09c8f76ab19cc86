"""The journal's SQL. A row is hidden from the sweep for 30 s, longer than a request may take, in which its writer, or
whoever leased it last, deals with it.
"""

from collections.abc import Sequence
from uuid import UUID

from common import outbox
from common.connection import Connection
from common.database import Contention, DatabaseUnavailable, Transaction
from common.events import Sealed
from common.observability import count
from ecs.runtime.calls import NeighbourRefused, NeighbourUnavailable

HOPELESS_ATTEMPTS = 20
PASSING = (NeighbourUnavailable, DatabaseUnavailable, Contention, TimeoutError)
"""Failures that say nothing against the reaction, and pass."""


def add(connection: Connection, events: Sequence[Sealed]) -> None:
    connection.execute_many(  # available_at has a default, because the driver makes one INSERT only of bare %s
        "INSERT INTO journal (event_id, detail_type, detail) VALUES (%s, %s, %s)",
        [(event.event_id.bytes, event.detail_type, event.detail) for event in events],
    )


def waits(connection: Connection, event: Sealed, field: str) -> bool:
    """Whether there is a row, parked or not, of such an event with the same in that field."""
    value = "JSON_UNQUOTE(JSON_EXTRACT({}, %s))".format
    row = connection.one(
        f"SELECT 1 FROM journal WHERE detail_type = %s AND {value('detail')} = {value('%s')} LIMIT 1",
        (event.detail_type, f"$.data.{field}", event.detail, f"$.data.{field}"),
    )
    return row is not None


def leave(connection: Connection, events: Sequence[Sealed]) -> None:
    """For the next sweep, at once."""
    connection.execute(
        "UPDATE journal SET available_at = NOW(6) WHERE event_id IN %s", ([event.event_id.bytes for event in events],)
    )


def delete(connection: Connection, event: Sealed) -> None:
    connection.execute("DELETE FROM journal WHERE event_id = %s", (event.event_id.bytes,))


def lease(connection: Connection) -> Sealed | None:
    """What has been due for the longest, out of every other sweep's sight for 30 s; None when nothing is due."""
    row = connection.one(
        """
        SELECT event_id, detail_type, detail
          FROM journal
         WHERE parked_at IS NULL AND available_at <= NOW(6)
         ORDER BY available_at
         LIMIT 1
           FOR UPDATE SKIP LOCKED
        """
    )
    if row:
        connection.execute(
            "UPDATE journal SET available_at = NOW(6) + INTERVAL 30 SECOND WHERE event_id = %s", (row["event_id"],)
        )
    connection.commit()
    return Sealed(UUID(bytes=row["event_id"]), row["detail_type"], row["detail"]) if row else None


def postpone(connection: Connection, event: Sealed, failures: Sequence[Exception]) -> None:
    """Due again in 5 s, and later and later up to a minute. A failure that does not pass counts; the row is parked, for
    a person to look at, when there is no hope left."""
    said = ", ".join(_named(failure) for failure in failures)
    connection.execute(
        """
        UPDATE journal
           SET available_at =
                   NOW(6) + INTERVAL LEAST(GREATEST(TIMESTAMPDIFF(SECOND, created_at, NOW(6)), 5), 60) SECOND,
               attempts = attempts + %s, last_error = %s, parked_at = IF(attempts >= %s, NOW(6), NULL)
         WHERE event_id = %s
        """,
        (
            any(not isinstance(failure, PASSING) for failure in failures),
            said[:255],
            HOPELESS_ATTEMPTS,
            event.event_id.bytes,
        ),
    )


def about(tx: Transaction, field: str, value: str) -> int:
    """How many rows there are, parked ones too, whose event has that in that field."""
    [row] = tx.all(
        "SELECT COUNT(*) AS found FROM journal WHERE JSON_UNQUOTE(JSON_EXTRACT(detail, %s)) = %s",
        (f"$.data.{field}", value),
    )
    return int(row["found"])


def report(connection: Connection) -> None:
    parked, age = outbox.report(connection, "journal")
    count("JournalParked", parked)
    count("JournalAgeSeconds", age)


def _named(failure: Exception) -> str:
    """What it is, and what a neighbour's refusal says of itself; others may say what is a customer's."""
    return f"{type(failure).__name__} {failure}" if isinstance(failure, NeighbourRefused) else type(failure).__name__
