"""What a service does about events of its own."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import msgspec

from common.connection import at_most, left
from common.consumer import UnknownEvent
from common.events import Envelope, Event, Sealed
from common.observability import concern, correlate, count, describe, logger

R = TypeVar("R", bound=Callable[[Any], object])

TO_SETTLE_SECONDS = 0.5  # of what is left: to note what came of it, and to answer


class _Reaction(NamedTuple):
    event_type: type[Event]
    react: Callable[[Any], object]
    seconds: float


class Reactions:
    def __init__(self) -> None:
        self._of: dict[str, list[_Reaction]] = {}

    def add(self, event_type: type[Event], react: Callable[[Any], object], seconds: float) -> None:
        self._of.setdefault(event_type.__name__, []).append(_Reaction(event_type, react, seconds))

    def has(self, event: Sealed) -> bool:
        """Whether there is anything to do about it."""
        return event.detail_type in self._of

    def failures(self, event: Sealed) -> Iterator[Exception]:
        """Run all of the event's reactions, as a part of its story, and yield what they raise."""
        envelope = msgspec.json.decode(event.detail, type=Envelope)
        correlate(envelope.correlation_id, str(envelope.id))
        known = [each for each in self._of.get(event.detail_type, ()) if envelope.version <= each.event_type.VERSION]
        for reaction in known or [_UNKNOWN]:
            try:
                _run(reaction, envelope)
            except Exception as error:
                count("ReactionsFailed")
                logger.warning("a reaction failed", extra={"event": event.detail_type, **describe(error)})
                yield error
        logger.info("event", extra={"event": event.detail_type})


def _run(reaction: _Reaction, envelope: Envelope) -> None:
    event = msgspec.json.decode(envelope.data, type=reaction.event_type)
    concern(event)
    with at_most(min(reaction.seconds, left() - TO_SETTLE_SECONDS)):
        reaction.react(event)


def _refuse(_: Event) -> None:
    raise UnknownEvent("written by a version of this service that knows more")


_UNKNOWN = _Reaction(Event, _refuse, seconds=1)
