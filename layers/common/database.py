"""The unit of work: `with transaction() as tx:` commits once, with its events, or not at all."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from common import outbox
from common.connection import Connection, Contention, DatabaseUnavailable, DuplicateKey, Row, kept
from common.events import Event, Sealed, seal
from common.observability import concern

__all__ = ["Contention", "DatabaseUnavailable", "DuplicateKey", "Row", "Transaction", "retrying", "transaction"]

RETRY_SECONDS = 9.0  # with the server's lock wait of 5 s: two waits, 10 s in all

T = TypeVar("T")


class Announcer(Protocol):
    """What makes the events of a transaction known: `store` writes them with it, `announce` tells them after it.

    `announce` never raises: what cannot be told now must be told later, of what `store` has written.
    """

    def store(self, connection: Connection, events: Sequence[Sealed]) -> None: ...
    def announce(self, connection: Connection, events: Sequence[Sealed]) -> None: ...


_announcer: Announcer = outbox


def announce_through(announcer: Announcer) -> None:
    """From here on, events of this process go there, and none into the outbox."""
    global _announcer
    _announcer = announcer


class Transaction:
    """What a use case works with. See Connection for what the statements return and raise."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.events: list[Sealed] = []

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql, parameters)

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        return self._connection.one(sql, parameters)

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> Sequence[Row]:
        return self._connection.all(sql, parameters)

    def publish(self, event: Event) -> None:
        """Announce the event if, and only if, this transaction commits."""
        self.events.append(seal(event))

    def start_over(self) -> None:
        """Undo everything so far and go on in a fresh transaction, as is due after DuplicateKey."""
        self.events.clear()
        concern(None)
        self._connection.rollback()


@contextmanager
def transaction() -> Iterator[Transaction]:
    """A unit of work: commits at the end of the block, rolls back when the block raises.

    Events that it published are stored with it and sent right after the commit.
    """
    connection = kept()
    tx = Transaction(connection)
    try:
        yield tx
        _announcer.store(connection, tx.events)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    _announcer.announce(connection, tx.events)


def retrying(work: Callable[[], T]) -> T:
    """Do `work`, which runs whole transactions, again while others get in its way; after 9 s Contention is raised."""
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            return work()
        except Contention:
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.005, 0.05))
