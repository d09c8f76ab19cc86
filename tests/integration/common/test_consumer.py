"""Reacting to events: once each, whatever is delivered how often, and to the schedule."""

import io
import itertools
import json
import re
import socket
import time
from collections.abc import Sequence
from multiprocessing import get_context
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from common.configuration import configuration
from common.consumer import Consumer
from common.database import Contention, DatabaseUnavailable, Row, Transaction
from common.events import Event
from common.observability import correlate, logger
from tests.integration.common.workshop import write
from tests.integration.database import Database
from tests.integration.environments import Elsewhere, wait_for_locks
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import Context, deliver, event, on_schedule, question

_processes = get_context("fork")


class PageTurned(Event):
    note_id: int
    crash: bool = False
    hold: float = 0
    millis: int = 0


class BookClosed(Event):
    VERSION = 2
    note_id: int


class PageTorn(Event):
    page_id: UUID
    reader: str
    reason: str


consumer = Consumer()
calls: list[Any] = []


class Clocked(Context):
    """An invocation whose time passes as its messages say."""

    left = 25_000

    def get_remaining_time_in_millis(self) -> int:
        return Clocked.left


@consumer.on(PageTurned)
def turned(tx: Transaction, event: PageTurned) -> None:
    write(tx, event.note_id)
    time.sleep(event.hold)
    Clocked.left -= event.millis
    if event.crash:
        raise ZeroDivisionError


def tell(event: BookClosed, noted: Any) -> None:
    calls.append((event.note_id, noted))
    if len(calls) == 1:
        raise ConnectionError


@consumer.on(BookClosed, then=tell)
def closed(tx: Transaction, event: BookClosed) -> str:
    write(tx, event.note_id)
    return "noted"


@consumer.on(PageTorn)
def torn(tx: Transaction, event: PageTorn) -> None:
    pass


@consumer.task
def tidy() -> None:
    calls.append("tidy")
    correlate("of what was tidied up last")


@consumer.question
def pages(tx: Transaction, after: str) -> Sequence[Row]:
    calls.append(after)
    return tx.all("SELECT note_id, UNHEX(LPAD(note_id, 32, '0')) AS identifier FROM notes")


@pytest.fixture(autouse=True)
def _no_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    calls.clear()
    monkeypatch.setattr(Clocked, "left", 25_000)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    return log


def logged(log: io.StringIO, level: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, log.getvalue().splitlines()) if line["level"] == level]


def turn(note_id: int, **more: Any) -> dict[str, Any]:
    return event("PageTurned", {"note_id": note_id, **more})


def test_an_event_has_its_effect_and_is_remembered(database: Database, bus: FakeBus) -> None:
    message = turn(1)
    assert deliver(consumer.handler, message) == []
    assert database.rows("SELECT consumer, event_id FROM inbox") == [
        {"consumer": "workshop", "event_id": UUID(message["detail"]["id"]).bytes}
    ]
    [sent] = bus.details()
    assert sent["data"] == {"note_id": 1}
    assert sent["correlation_id"] == message["detail"]["correlation_id"]
    assert sent["causation_id"] == message["detail"]["id"]


def test_an_event_that_comes_twice_has_one_effect(database: Database, bus: FakeBus) -> None:
    message = turn(1)
    assert deliver(consumer.handler, message, message) == []
    assert deliver(consumer.handler, message) == []
    assert (database.count("notes"), database.count("inbox"), bus.types) == (1, 1, ["NoteWritten"])


def test_an_event_that_comes_twice_at_once_has_one_effect(database: Database) -> None:
    message = turn(1, hold=0.5)
    both = [Elsewhere(lambda: deliver(consumer.handler, message)) for _ in range(2)]
    assert [one.result() for one in both] == [[], []]
    assert (database.count("notes"), database.count("inbox")) == (1, 1)


def test_of_two_deliveries_at_once_the_second_takes_over_when_the_first_fails(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    identifier, at_it, may_fail = "01890000-0000-7000-8000-000000000001", _processes.Event(), _processes.Event()
    real = turned

    def fails_when_told(tx: Transaction, event: PageTurned) -> None:
        at_it.set()
        if event.crash:
            assert may_fail.wait(60)
        real(tx, event)

    reaction = consumer._reactions["PageTurned"]._replace(react=fails_when_told)
    monkeypatch.setitem(consumer._reactions, "PageTurned", reaction)
    failing = event("PageTurned", {"note_id": 1, "crash": True}, id=identifier)
    first = Elsewhere(lambda: deliver(consumer.handler, failing))
    assert at_it.wait(60)
    second = Elsewhere(lambda: deliver(consumer.handler, event("PageTurned", {"note_id": 1}, id=identifier)))
    wait_for_locks(database, second)
    may_fail.set()
    assert (first.result(), second.result()) == (["m0"], [])
    assert (database.count("notes"), database.count("inbox")) == (1, 1)


def test_a_reaction_that_fails_leaves_nothing_and_is_delivered_again(database: Database, bus: FakeBus) -> None:
    message = turn(1, crash=True)
    assert deliver(consumer.handler, message) == ["m0"]
    assert (database.count("notes"), database.count("inbox"), bus.types) == (0, 0, [])
    message["detail"]["data"]["crash"] = False
    assert deliver(consumer.handler, message) == []
    assert database.count("notes") == 1


def test_the_log_names_the_error_of_a_reaction_but_nothing_of_what_it_says(
    database: Database, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(tx: Transaction, event: PageTurned) -> None:
        tx.execute("INSERT INTO notes (note_id) VALUES (%s)", ("canary",))

    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    monkeypatch.setitem(consumer._reactions, "PageTurned", consumer._reactions["PageTurned"]._replace(react=refused))
    assert deliver(consumer.handler, turn(1)) == ["m0"]
    assert "canary" not in log.getvalue() + "".join(capfd.readouterr())
    [line] = map(json.loads, log.getvalue().splitlines())
    assert (line["message"], line["error"], line["code"]) == ("message given back", "DataError", 1366)
    assert any(frame.endswith(" in refused") for frame in line["frames"])


def nested(depth: int) -> str:
    return '{"detail-type":' * depth


@pytest.mark.parametrize(
    "poison",
    [
        "",
        "poison",
        "[]",
        "{}",
        "null",
        "\ud800",
        "{" * 10_000,
        nested(20_000),
        json.dumps({"detail-type": "PageTurned", "source": "x", "detail": {}}),
        event("NobodyKnows", {}),
        event("PageTurned", {}),
        event("PageTurned", {"note_id": "1"}),
        event("PageTurned", {"note_id": 3}, id="no uuid"),
        event("PageTurned", {"note_id": 3}, version=2),
        event("PageTurned", {"note_id": 3}, time="yesterday"),
        event("PageTurned", {"note_id": 3}, correlation_id=None),
        event("PageTurned", {"note_id": 10**18}),
    ],
)
def test_poison_is_given_back_and_holds_nobody_up(database: Database, poison: Any) -> None:
    assert deliver(consumer.handler, turn(1), poison, turn(2)) == ["m1"]
    assert [row["note_id"] for row in database.rows("SELECT note_id FROM notes")] == [1, 2]
    assert database.count("inbox") == 2


def test_an_older_version_and_unknown_fields_are_welcome(database: Database) -> None:
    assert deliver(consumer.handler, event("PageTurned", {"note_id": 1, "new": [1]}, hint="new", version=1)) == []
    calls.append("not the first")
    assert deliver(consumer.handler, event("BookClosed", {"note_id": 2}, version=1)) == []


def test_while_the_database_is_away_the_rest_is_given_back_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PORT", "1")
    configuration.cache_clear()
    attempts: list[Any] = []
    connect = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda *where: attempts.append(where) or connect(*where))
    assert deliver(consumer.handler, turn(1), turn(2), turn(3)) == ["m0", "m1", "m2"]
    assert len(attempts) == 1


def test_messages_before_the_database_went_away_are_done(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    real = turned

    def goes(tx: Transaction, event: PageTurned) -> None:
        if event.note_id == 2:
            raise DatabaseUnavailable("gone")
        real(tx, event)

    monkeypatch.setitem(consumer._reactions, "PageTurned", consumer._reactions["PageTurned"]._replace(react=goes))
    assert deliver(consumer.handler, turn(1), turn(2), turn(3)) == ["m1", "m2"]
    assert database.count("notes") == 1


def test_with_too_little_time_left_the_rest_is_given_back_and_what_was_done_is_announced(
    database: Database, bus: FakeBus, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = [turn(note_id, millis=5_500) for note_id in range(5)]  # begun with 25, 19.5 and 14 s left
    assert deliver(consumer.handler, *slow, context=Clocked()) == ["m3", "m4"]
    assert (database.count("notes"), len(bus.accepted)) == (3, 3)
    [warning] = logged(log, "WARNING")
    assert (warning["message_ids"], "correlation_id" in warning) == (["m3", "m4"], False)
    [metrics] = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert json.loads(metrics)["MessagesFailed"] == [2.0]


def test_the_first_message_is_tried_however_little_time_is_left(database: Database) -> None:
    Clocked.left = 1_000
    assert deliver(consumer.handler, turn(1), turn(2), context=Clocked()) == ["m1"]
    assert database.count("notes") == 1


def test_a_failure_is_logged_with_its_message_and_not_under_its_neighbours_story(
    database: Database, log: io.StringIO
) -> None:
    failing = turn(2, crash=True)
    assert deliver(consumer.handler, turn(1), "poison", failing) == ["m1", "m2"]
    poison, failed = logged(log, "ERROR")
    assert (poison["message_id"], poison.keys() & {"correlation_id", "causation_id"}) == ("m1", set())
    assert (failed["message_id"], failed["causation_id"]) == ("m2", failing["detail"]["id"])


def test_what_a_batch_announces_is_sent_in_one_call(database: Database, bus: FakeBus) -> None:
    assert deliver(consumer.handler, *[turn(note_id) for note_id in range(10)]) == []
    assert [len(call) for call in bus.calls] == [10]
    assert (database.count("notes"), database.count("outbox")) == (10, 0)
    assert len({detail["causation_id"] for detail in bus.details()}) == 10


def test_what_a_batch_announces_is_sent_though_its_last_message_fails(database: Database, bus: FakeBus) -> None:
    assert deliver(consumer.handler, turn(1), turn(2, crash=True)) == ["m1"]
    assert bus.types == ["NoteWritten"]


def test_a_bus_that_fails_gives_no_message_back(database: Database, bus: FakeBus) -> None:
    bus.fail(ConnectionError())
    assert deliver(consumer.handler, turn(1)) == []
    assert database.count("outbox") == 1


def test_what_follows_the_commit_is_repeated_until_it_succeeds_but_the_effect_is_not(database: Database) -> None:
    message = event("BookClosed", {"note_id": 1}, version=2)
    assert deliver(consumer.handler, message) == ["m0"]
    assert database.count("notes") == 1
    assert deliver(consumer.handler, message) == []
    assert (calls, database.count("notes")) == ([(1, "noted"), (1, None)], 1)


def test_contention_is_tried_again_within_the_delivery(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def contended(tx: Transaction, event: PageTurned) -> None:
        tries.append(1)
        write(tx, event.note_id)
        if len(tries) < 3:
            raise Contention("again")

    monkeypatch.setitem(consumer._reactions, "PageTurned", consumer._reactions["PageTurned"]._replace(react=contended))
    assert deliver(consumer.handler, turn(1)) == []
    assert (len(tries), database.count("notes")) == (3, 1)


def test_the_schedule_sweeps(database: Database, bus: FakeBus) -> None:
    bus.fail(ConnectionError())
    deliver(consumer.handler, turn(1))
    bus.recover()
    database.execute("UPDATE outbox SET available_at = NOW(6)")
    on_schedule(consumer.handler)
    assert bus.types == ["NoteWritten"]


def fill(database: Database, ages: dict[int, str]) -> None:
    for number, age in ages.items():
        key = number.to_bytes(32, "big")
        database.execute(f"INSERT INTO idempotency_keys VALUES (%s, %s, 200, '', NOW(6) - INTERVAL {age})", (key, key))
        database.execute(f"INSERT INTO inbox VALUES ('workshop', %s, NOW(6) - INTERVAL {age})", (key[-16:],))


def left(database: Database) -> tuple[list[int], list[int]]:
    """Which idempotency keys and which events are still remembered."""
    keys = database.rows("SELECT request_key FROM idempotency_keys ORDER BY request_key")
    events = database.rows("SELECT event_id FROM inbox ORDER BY event_id")
    return [row["request_key"][-1] for row in keys], [row["event_id"][-1] for row in events]


def test_the_schedule_purges_what_is_old_enough(database: Database, bus: FakeBus) -> None:
    fill(database, {1: "0 HOUR", 2: "23 HOUR", 3: "25 HOUR", 4: "44 DAY", 5: "46 DAY"})
    on_schedule(consumer.handler)
    assert left(database) == ([1, 2], [1, 2, 3, 4])


def test_a_purge_is_bounded_and_takes_the_oldest_first(
    database: Database, bus: FakeBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.consumer.PURGED_AT_ONCE", 2)
    fill(database, {1: "50 DAY", 2: "52 DAY", 3: "51 DAY"})
    elapsed = itertools.count(0.0, 1.5)
    monkeypatch.setattr("common.consumer.time", SimpleNamespace(monotonic=lambda: next(elapsed)))
    on_schedule(consumer.handler)
    assert left(database) == ([1], [1])
    on_schedule(consumer.handler)
    assert left(database) == ([], [])


def test_a_service_can_have_tasks_of_its_own() -> None:
    on_schedule(consumer.handler, "tidy")
    assert calls == ["tidy"]


def test_that_a_task_is_done_is_no_part_of_the_story_that_it_dealt_with_last(log: io.StringIO) -> None:
    on_schedule(consumer.handler, "tidy")
    [line] = logged(log, "INFO")
    assert (line["message"], line.get("correlation_id")) == ("task done", None)


def test_a_task_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError):
        on_schedule(consumer.handler, "nothing")


def test_a_question_is_answered_from_a_page_on_and_asked_by_no_sweep(database: Database) -> None:
    deliver(consumer.handler, turn(1))
    assert question(consumer.handler, "pages") == [{"note_id": 1, "identifier": str(UUID(int=1))}]
    question(consumer.handler, "pages", str(UUID(int=7)))
    assert calls == [str(UUID(int=0)), str(UUID(int=7))]
    on_schedule(consumer.handler)
    assert calls[2:] == ["tidy"]


def test_what_is_parked_can_be_asked_and_sent_once_more(database: Database, bus: FakeBus) -> None:
    bus.fail(ConnectionError())
    deliver(consumer.handler, turn(1), turn(2))
    first, second = [row["event_id"] for row in database.rows("SELECT event_id FROM outbox ORDER BY event_id")]
    assert question(consumer.handler, "parked") == []
    database.execute("UPDATE outbox SET attempts = 20, last_error = 'MalformedDetail', parked_at = NOW(6)")

    told = question(consumer.handler, "parked")
    assert [(row["event_id"], row["detail_type"], row["last_error"]) for row in told] == [
        (str(UUID(bytes=event_id)), "NoteWritten", "MalformedDetail") for event_id in (first, second)
    ]
    assert question(consumer.handler, "parked", told[0]["event_id"]) == told[1:]

    bus.recover()
    on_schedule(consumer.handler)
    assert bus.types == []
    assert (question(consumer.handler, "release"), question(consumer.handler, "release")) == (
        [{"released": 2}],
        [{"released": 0}],
    )
    on_schedule(consumer.handler)
    assert (bus.types, database.count("outbox")) == (["NoteWritten"] * 2, 0)


def test_a_log_line_names_what_it_is_about_and_nothing_else_of_it(database: Database, log: io.StringIO) -> None:
    page, reader = UUID(int=1), "reader-sub"
    data = {"page_id": str(page), "reader": reader, "reason": "canary"}
    assert deliver(consumer.handler, event("PageTorn", data), "poison") == ["m1"]
    [line], [poison] = logged(log, "INFO"), logged(log, "ERROR")
    assert (line["message"], line["event"], line["about"]) == ("event", "PageTorn", {"page_id": str(page)})
    assert "about" not in poison
    assert not {"canary", reader} & set(re.findall(r"[\w-]+", log.getvalue()))


def test_given_back_messages_are_counted_once(capsys: pytest.CaptureFixture[str]) -> None:
    deliver(consumer.handler, "poison", turn(1), "poison")
    [metrics] = [line for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert json.loads(metrics)["MessagesFailed"] == [2.0]
