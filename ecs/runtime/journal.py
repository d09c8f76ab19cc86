"""The journal: what a service still has to do about its own events, where no bus tells others of them.

An event that the service reacts to is written in the business transaction; others are dropped. Right after the commit
its reactions run, outside any transaction, and the row is deleted when all have succeeded. If a crash or an absent
neighbour left some undone, a sweep runs them again. So a reaction may run any number of times, with one effect.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from common.connection import Connection, at_most, kept
from common.events import Event, Sealed
from common.observability import aside, describe, logger
from ecs.runtime import journal_rows
from ecs.runtime.reactions import Reactions

R = TypeVar("R", bound=Callable[[Any], object])

BEGIN_SECONDS = 5.0  # of a request, or of a sweep: what has not been begun by then is left to the next sweep
REACTION_SECONDS = 3.0


class Journal:
    """An Announcer (see common.database). Its `sweep` is to be a task of the service's consumer."""

    def __init__(self) -> None:
        self._reactions = Reactions()
        self._once: dict[str, str] = {}
        self._deferring: ContextVar[bool] = ContextVar("deferring", default=False)

    def on(self, event_type: type[Event], seconds: float = REACTION_SECONDS, once: str = "") -> Callable[[R], R]:
        """Register what to do about an event: `react(event)` has so much time, and opens transactions of its own. What
        it raises keeps none of the event's other reactions from being run, and all are run again. The event's
        identifier is the story's `causation_id`. `once` names a field of an event that is published until somebody
        answers: while there is a row with the same in it, none is added.
        """
        if once:
            self._once[event_type.__name__] = once

        def register(react: R) -> R:
            self._reactions.add(event_type, react, seconds)
            return react

        return register

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """What is published within is left to the next sweep: whoever is asking us must not be asked back."""
        token = self._deferring.set(True)
        try:
            yield
        finally:
            self._deferring.reset(token)

    def store(self, connection: Connection, events: Sequence[Sealed]) -> None:
        """Write, in the transaction that is open, what there is something to do about."""
        if ours := [event for event in filter(self._reactions.has, events) if not self._waits(connection, event)]:
            journal_rows.add(connection, ours)
            if self._deferring.get():
                journal_rows.leave(connection, ours)

    def announce(self, connection: Connection, events: Sequence[Sealed]) -> None:
        """React to events that are committed. Never raises: what fails now is left to the sweep."""
        if self._deferring.get():
            return
        ours, until = list(filter(self._reactions.has, events)), time.monotonic() + BEGIN_SECONDS
        while ours and time.monotonic() < until:
            with aside():
                self._settle(connection, ours.pop(0))
        if ours:
            with _never_mind(connection):
                journal_rows.leave(connection, ours)
                connection.commit()

    def sweep(self) -> int:
        """React to what is left over, for 5 s; the next one goes on. Returns how many events it took."""
        connection, until, taken = kept(), time.monotonic() + BEGIN_SECONDS, 0
        try:
            while time.monotonic() < until and (event := journal_rows.lease(connection)):
                with at_most(BEGIN_SECONDS):  # however long a request would have waited
                    self._settle(connection, event)
                taken += 1
        finally:
            connection.rollback()
            journal_rows.report(connection)
        return taken

    def _waits(self, connection: Connection, event: Sealed) -> bool:
        field = self._once.get(event.detail_type)
        return field is not None and journal_rows.waits(connection, event, field)

    def _settle(self, connection: Connection, event: Sealed) -> None:
        with _never_mind(connection):
            if failures := list(self._reactions.failures(event)):
                journal_rows.postpone(connection, event, failures)
            else:
                journal_rows.delete(connection, event)
            connection.commit()


@contextmanager
def _never_mind(connection: Connection) -> Iterator[None]:
    """Whatever fails within: the row stays, and is due when its lease ends."""
    try:
        yield
    except Exception as error:
        connection.rollback()
        logger.warning("a row stays in the journal for the sweep", extra=describe(error))
