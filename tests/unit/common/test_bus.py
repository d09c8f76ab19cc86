"""Sending events: what AWS accepts, in chunks that it accepts, each entry's answer told apart."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import bus
from common.configuration import configuration
from common.event_bridge import BusUnavailable
from common.events import Sealed
from common.values import uuid7

LAYERS = Path(bus.__file__).parents[1]


def sealed(detail: str = "{}", detail_type: str = "LampLit") -> Sealed:
    return Sealed(uuid7(), detail_type, detail)


class Client:
    """Answers PutEvents with what it is given for each entry."""

    def __init__(self, refusals: list[str | None] | None = None) -> None:
        self.calls: list[list[dict[str, str]]] = []
        self.refusals = refusals or []
        self.cause: OSError = TimeoutError()

    def put_events(self, Entries: list[dict[str, str]]) -> Any:  # noqa: N803
        self.calls.append(Entries)
        answers = [self.refusals.pop(0) if self.refusals else None for _ in Entries]
        return {"Entries": [{"ErrorCode": code} if code else {"EventId": "1"} for code in answers]}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SERVICE", "workshop")
    monkeypatch.setenv("DATABASE_HOST", "db.example")
    monkeypatch.setenv("EVENT_BUS", "lamps")
    configuration.cache_clear()
    yield
    configuration.cache_clear()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    monkeypatch.setattr(bus, "_client", lambda: client)
    monkeypatch.setattr(bus, "_paused_until", 0.0)
    return client


def test_ten_entries_go_in_a_call(client: Client) -> None:
    assert len(list(bus.put([sealed() for _ in range(23)]))) == 23
    assert [len(call) for call in client.calls] == [10, 10, 3]


def test_large_entries_go_in_more_calls(client: Client) -> None:
    assert len(list(bus.put([sealed("x" * 100_000) for _ in range(5)]))) == 5
    assert [len(call) for call in client.calls] == [2, 2, 1]


def test_size_is_counted_in_bytes_and_not_in_characters(client: Client) -> None:
    list(bus.put([sealed("界" * 45_000) for _ in range(2)]))
    assert [len(call) for call in client.calls] == [1, 1]


@given(st.lists(st.integers(1, 300_000), max_size=40))
def test_chunks_keep_order_and_limits(sizes: list[int]) -> None:
    events = [sealed("x" * size) for size in sizes]
    chunks = list(bus._chunks(events))
    assert [event for chunk in chunks for event in chunk] == events
    assert all(0 < len(chunk) <= 10 for chunk in chunks)
    assert all(len(chunk) == 1 or sum(len(event.detail) for event in chunk) <= 240_000 for chunk in chunks)


def test_each_entry_has_its_own_answer(client: Client) -> None:
    client.refusals = [None, "ThrottlingException", None, "MalformedDetail"]
    assert [refusal for _, refusal in bus.put([sealed() for _ in range(4)])] == [
        None,
        "ThrottlingException",
        None,
        "MalformedDetail",
    ]


def test_what_was_sent_before_a_call_failed_is_known(client: Client) -> None:
    events = [sealed() for _ in range(15)]
    put = client.put_events

    def fail_second(Entries: list[dict[str, str]]) -> Any:  # noqa: N803
        if client.calls:
            raise ConnectionError
        return put(Entries)

    client.put_events = fail_second  # type: ignore[method-assign]
    answers = bus.put(events)
    assert [next(answers)[0] for _ in range(10)] == events[:10]
    with pytest.raises(ConnectionError):
        next(answers)


@pytest.fixture
def silent(client: Client) -> Client:
    def put_events(Entries: list[dict[str, str]]) -> Any:  # noqa: N803
        client.calls.append(Entries)
        raise BusUnavailable from client.cause

    client.put_events = put_events  # type: ignore[method-assign]
    return client


def test_who_announces_something_does_not_wait_again_for_a_bus_that_has_just_been_silent(
    silent: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for _ in range(3):
        with pytest.raises(BusUnavailable):
            list(bus.put([sealed()]))
    assert len(silent.calls) == 1
    with pytest.raises(BusUnavailable):
        list(bus.put_many([sealed()]))
    assert len(silent.calls) == 2, "a sweep has nobody who waits"

    monkeypatch.setattr(time, "monotonic", lambda: now + bus.PAUSE_SECONDS + 1)
    with pytest.raises(BusUnavailable):
        list(bus.put([sealed()]))
    assert len(silent.calls) == 3


def test_a_bus_that_fails_at_once_is_asked_again_by_the_next(silent: Client) -> None:
    silent.cause = ConnectionResetError()
    for _ in range(3):
        with pytest.raises(BusUnavailable):
            list(bus.put([sealed()]))
    assert len(silent.calls) == 3


def test_nothing_that_only_sending_needs_is_imported_before_there_is_an_event_to_send() -> None:
    none = "assert not {'botocore.session', 'http.client', 'common.event_bridge'} & set(sys.modules)"
    program = f"import sys; import common.consumer; {none}"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(LAYERS)})


def test_nothing_is_sent_for_nothing(client: Client) -> None:
    assert list(bus.put([])) == []
    assert client.calls == []
