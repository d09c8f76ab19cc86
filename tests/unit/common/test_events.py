"""Events in their envelope."""

import contextvars
import json
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from common.events import Envelope, Event, seal
from common.observability import correlate


class LampLit(Event):
    lamp_id: int
    colour: str = "白"


class LampMoved(Event):
    VERSION = 3
    lamp_id: int


def test_an_event_travels_in_its_envelope() -> None:
    correlate("request-1", "cause-1")
    before = datetime.now(UTC)
    sealed = seal(LampLit(7))
    after = datetime.now(UTC)
    detail = json.loads(sealed.detail)
    assert set(detail) == {"id", "time", "version", "correlation_id", "causation_id", "data"}
    assert (sealed.detail_type, detail["version"], detail["data"]) == ("LampLit", 1, {"lamp_id": 7, "colour": "白"})
    assert (detail["correlation_id"], detail["causation_id"]) == ("request-1", "cause-1")
    assert UUID(detail["id"]) == sealed.event_id
    assert sealed.event_id.version == 7
    assert detail["time"].endswith("Z")
    assert before <= datetime.fromisoformat(detail["time"]) <= after


def test_an_event_says_its_version() -> None:
    correlate("request-1")
    assert json.loads(seal(LampMoved(1)).detail)["version"] == 3


def test_two_events_alike_are_two_events() -> None:
    correlate("request-1")
    assert seal(LampLit(1)).event_id != seal(LampLit(1)).event_id


def test_an_event_outside_of_any_story_is_a_mistake() -> None:
    with pytest.raises(LookupError):
        contextvars.Context().run(seal, LampLit(1))


def test_an_envelope_gives_what_it_was_made_of() -> None:
    correlate("request-1")
    sealed = seal(LampLit(7))
    envelope = msgspec.json.decode(sealed.detail, type=Envelope)
    assert msgspec.json.decode(envelope.data, type=LampLit) == LampLit(7)
