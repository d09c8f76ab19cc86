"""Events: what they are in code, and the envelope in which they travel."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec

from common.observability import concern, correlation
from common.values import uuid7


class Event(msgspec.Struct):
    """Something that happened, named in the past. The class's name is the detail-type, its fields are `data`.

    A consumer declares only the fields that it needs and ignores the rest. Adding an optional field keeps the version;
    anything else is a new version.
    """

    VERSION: ClassVar[int] = 1


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The EventBridge `detail`. `data` stays as it came until its type is known."""

    id: UUID
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    version: int
    correlation_id: str
    causation_id: str | None
    data: msgspec.Raw


class Sealed(msgspec.Struct, frozen=True):
    """An event ready for the outbox and the bus: its `detail` is the final JSON text."""

    event_id: UUID
    detail_type: str
    detail: str


def seal(event: Event) -> Sealed:
    """The event in its envelope, part of the current correlation."""
    concern(event)
    event_id, story = uuid7(), correlation()
    envelope = Envelope(
        id=event_id,
        time=datetime.now(UTC),
        version=event.VERSION,
        correlation_id=story.correlation_id,
        causation_id=story.causation_id,
        data=msgspec.Raw(msgspec.json.encode(event)),
    )
    return Sealed(event_id, type(event).__name__, msgspec.json.encode(envelope).decode())
