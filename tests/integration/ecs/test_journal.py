"""The journal: what is published is reacted to, sooner or later, if and only if it is committed."""

import io
import json
import time
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from common import database as common_database
from common.connection import left, within
from common.consumer import Consumer
from common.database import DatabaseUnavailable, transaction
from common.events import Event
from common.observability import correlate, correlation, flush, logger
from ecs.runtime import journal as runtime_journal
from ecs.runtime import journal_rows, reactions
from ecs.runtime.calls import NeighbourRefused, NeighbourUnavailable
from ecs.runtime.journal import Journal
from tests.integration.common.workshop import NoteWritten, write
from tests.integration.database import Database
from tests.integration.environments import Elsewhere
from tests.integration.gateway import on_schedule

AWAY = NeighbourUnavailable("paper does not answer")
REFUSAL = NeighbourRefused("paper", 422, {"detail": "a customer's name"})


class NoteFiled(Event):
    note_id: int


class NoteRead(Event):
    """Nobody does anything about it."""


class NoteSigned(Event):
    by: UUID


class Desk:
    """What reacts: notes down what it was told, unless it is made to fail."""

    def __init__(self, journal: Journal) -> None:
        self.told: list[tuple[str, int]] = []
        self.failure: Exception | None = None
        journal.on(NoteWritten)(self.file)

    def file(self, event: NoteWritten) -> None:
        if self.failure:
            raise self.failure
        self.told.append(("file", event.note_id))


@pytest.fixture
def service() -> str:
    return "workshop"


@pytest.fixture(autouse=True)
def journal(monkeypatch: pytest.MonkeyPatch, still: None) -> Journal:
    correlate("the-first-request")
    journal = Journal()
    monkeypatch.setattr(common_database, "_announcer", journal)
    return journal


@pytest.fixture
def desk(journal: Journal) -> Desk:
    return Desk(journal)


def announce(*note_ids: int) -> None:
    with transaction() as tx:
        for note_id in note_ids:
            write(tx, note_id)


def pass_time(database: Database, seconds: int = 60) -> None:
    shift = "available_at = available_at - INTERVAL %s SECOND, created_at = created_at - INTERVAL %s SECOND"
    database.execute(f"UPDATE journal SET {shift}", (seconds, seconds))


def due_in(database: Database) -> int:
    return round(database.value("SELECT TIMESTAMPDIFF(MICROSECOND, NOW(6), available_at) / 1000000 FROM journal"))


def test_a_reaction_is_run_right_after_the_commit_and_leaves_no_row(database: Database, desk: Desk) -> None:
    with transaction() as tx:
        write(tx, 1)
        assert desk.told == []
    assert (desk.told, database.count("journal"), database.count("outbox")) == ([("file", 1)], 0, 0)


def test_what_is_undone_is_not_reacted_to(database: Database, desk: Desk) -> None:
    with pytest.raises(ZeroDivisionError), transaction() as tx:
        write(tx, 1)
        raise ZeroDivisionError
    assert (desk.told, database.count("journal")) == ([], 0)


def test_an_event_that_nobody_reacts_to_is_not_written(database: Database, journal: Journal) -> None:
    with journal.deferred(), transaction() as tx:
        tx.publish(NoteRead())
    assert (database.count("journal"), database.count("outbox")) == (0, 0)


def test_the_row_is_there_while_the_reaction_is_run_and_no_transaction_is_open(
    database: Database, journal: Journal
) -> None:
    seen = []

    @journal.on(NoteWritten)
    def look(event: NoteWritten) -> None:
        assert journal.sweep() == 0, "it is ours for half a minute"
        seen.append((database.count("notes"), due_in(database)))
        seen.append(not database.rows("SELECT trx_id FROM information_schema.INNODB_TRX"))

    announce(1)
    assert seen == [(1, 30), True]


@pytest.mark.parametrize("failure", [AWAY, REFUSAL, ZeroDivisionError(), DatabaseUnavailable(), TimeoutError()])
def test_a_reaction_that_fails_fails_no_request_and_is_run_again_by_a_sweep(
    database: Database, journal: Journal, desk: Desk, failure: Exception
) -> None:
    desk.failure = failure
    announce(1)
    assert (database.count("notes"), database.count("journal"), due_in(database)) == (1, 1, 5)
    desk.failure = None
    assert (journal.sweep(), desk.told) == (0, [])
    pass_time(database, 5)
    assert (journal.sweep(), desk.told, database.count("journal")) == (1, [("file", 1)], 0)


def test_a_neighbour_that_is_away_is_asked_more_and_more_seldom_and_never_given_up(
    database: Database, journal: Journal, desk: Desk
) -> None:
    desk.failure = AWAY
    announce(1)
    waits = []
    for _ in range(journal_rows.HOPELESS_ATTEMPTS + 5):
        waits.append(wait := due_in(database))
        pass_time(database, wait + 1)
        assert journal.sweep() == 1
    assert waits[:6] == [5, 6, 13, 27, 55, 60]
    assert set(waits[6:]) == {60}
    assert database.rows("SELECT attempts, parked_at FROM journal") == [{"attempts": 0, "parked_at": None}]


def test_a_refusal_is_counted_and_in_the_end_the_row_is_parked_and_holds_nobody_up(
    database: Database, journal: Journal, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.failure = REFUSAL
    announce(1)
    for attempt in range(1, journal_rows.HOPELESS_ATTEMPTS):
        [row] = database.rows("SELECT attempts, last_error, parked_at FROM journal")
        assert row == {"attempts": attempt, "last_error": "NeighbourRefused paper answered 422", "parked_at": None}
        pass_time(database)
        assert journal.sweep() == 1
    assert database.value("SELECT parked_at IS NOT NULL FROM journal") == 1
    desk.failure = None
    flush()
    capsys.readouterr()
    pass_time(database)
    assert (journal.sweep(), desk.told) == (0, [])
    flush()
    assert json.loads(capsys.readouterr().out)["JournalParked"] == [1.0]


def test_the_age_of_the_oldest_row_is_measured(
    database: Database, journal: Journal, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.failure = AWAY
    announce(1)
    database.execute("UPDATE journal SET created_at = created_at - INTERVAL 1 HOUR")
    flush()
    capsys.readouterr()
    journal.sweep()
    flush()
    told = json.loads(capsys.readouterr().out)
    assert (told["JournalAgeSeconds"][0] >= 3600, told["JournalParked"]) == (True, [0.0])


def test_one_reaction_that_fails_keeps_none_of_the_others_from_being_run(
    database: Database, journal: Journal, desk: Desk
) -> None:
    copied: list[int] = []
    journal.on(NoteWritten)(lambda event: copied.append(event.note_id))
    desk.failure = AWAY
    announce(1, 2)
    assert (copied, desk.told, database.count("journal")) == ([1, 2], [], 2)
    desk.failure = None
    pass_time(database)
    assert (journal.sweep(), database.count("journal")) == (2, 0)
    assert (copied, desk.told) == ([1, 2, 1, 2], [("file", 1), ("file", 2)])


def test_what_a_reaction_publishes_is_journaled_and_run_as_a_part_of_the_story(
    database: Database, journal: Journal
) -> None:
    told: list[Any] = []

    @journal.on(NoteWritten)
    def file(event: NoteWritten) -> None:
        begun = correlation()
        with transaction() as tx:
            tx.publish(NoteFiled(event.note_id))
        told.append(("filed", correlation() == begun, begun.causation_id is not None))

    @journal.on(NoteFiled)
    def shelve(event: NoteFiled) -> None:
        told.append(("shelved", correlation().correlation_id, database.count("journal")))
        raise AWAY

    announce(1)
    assert told == [("shelved", "the-first-request", 2), ("filed", True, True)]
    assert correlation() == ("the-first-request", None)
    assert database.rows("SELECT detail_type FROM journal") == [{"detail_type": "NoteFiled"}]
    [row] = database.rows("SELECT detail FROM journal")
    correlate("another")
    pass_time(database)
    assert journal.sweep() == 1
    assert told[-1] == ("shelved", "the-first-request", 1)
    assert json.loads(row["detail"])["causation_id"] is not None


def test_log_lines_of_a_reaction_are_about_its_event_and_afterwards_about_what_they_were_before(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, first, second = io.StringIO(), UUID(int=1), UUID(int=2)
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    journal.on(NoteSigned)(lambda event: logger.info("signed"))
    with transaction() as tx:
        tx.publish(NoteSigned(first))
        tx.publish(NoteSigned(second))
    logger.info("after")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    about = [(line["message"], line["about"]["by"], line.get("causation_id") is None) for line in lines]
    assert about == [
        ("signed", str(first), False),
        ("event", str(first), False),
        ("signed", str(second), False),
        ("event", str(second), False),
        ("after", str(second), True),
    ]


def test_what_is_deferred_is_the_next_sweeps(database: Database, journal: Journal, desk: Desk) -> None:
    with journal.deferred():
        announce(1, 2)
    assert (desk.told, database.count("journal")) == ([], 2)
    assert (journal.sweep(), sorted(desk.told)) == (2, [("file", 1), ("file", 2)])


def test_what_a_request_has_no_time_to_begin_is_the_next_sweeps(
    database: Database, journal: Journal, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(runtime_journal, "time", SimpleNamespace(monotonic=lambda: now[0]))

    @journal.on(NoteWritten)
    def linger(event: NoteWritten) -> None:
        now[0] += runtime_journal.BEGIN_SECONDS

    announce(1, 2, 3)
    assert (desk.told, database.count("journal")) == ([("file", 1)], 2)
    assert (journal.sweep(), len(desk.told)) == (1, 2), "nor does a sweep begin what is beyond its time"


def test_a_reaction_has_its_own_time_and_no_more_than_there_is_and_the_row_has_some_after_it(
    database: Database, journal: Journal
) -> None:
    had: list[float] = []

    @journal.on(NoteWritten)
    @journal.on(NoteFiled, seconds=60)
    def measure(event: Event) -> None:
        had.append(left())
        raise AWAY

    with within(50_000, to_answer=0), transaction() as tx:
        tx.publish(NoteWritten(1))
        tx.publish(NoteFiled(1))
    pass_time(database)
    assert journal.sweep() == 2
    most = [runtime_journal.REACTION_SECONDS, 49.5, runtime_journal.REACTION_SECONDS, 4.5]
    least = [0, 20, 0, runtime_journal.REACTION_SECONDS]
    assert [low < seconds <= high for low, seconds, high in zip(least, had, most, strict=True)] == [True] * 4, had


def test_a_reaction_for_which_there_is_no_time_is_left_to_a_sweep(
    database: Database, journal: Journal, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.on(NoteWritten)(lambda event: left())
    with monkeypatch.context() as little:
        little.setattr(reactions, "TO_SETTLE_SECONDS", 60)
        with within(60_000, to_answer=0), transaction() as tx:
            write(tx, 1)
    assert database.value("SELECT last_error FROM journal") == "TimeoutError"
    pass_time(database)
    assert (journal.sweep(), database.count("journal")) == (1, 0)


def test_an_environment_that_is_killed_in_a_reaction_leaves_it_to_a_sweep(
    database: Database, journal: Journal, desk: Desk
) -> None:
    killed: list[bool] = []
    journal.on(NoteWritten)(lambda event: killed or time.sleep(60))
    environment = Elsewhere(lambda: announce(1))
    while not database.count("journal"):
        time.sleep(0.02)
    environment.kill()
    killed.append(True)
    assert journal.sweep() == 0, "whoever wrote it may be at work"
    pass_time(database, 30)
    assert (journal.sweep(), desk.told, database.count("journal")) == (1, [("file", 1)], 0)


def test_two_sweeps_at_once_run_each_reaction_once(
    database: Database, journal: Journal, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_journal, "BEGIN_SECONDS", 60)
    with journal.deferred():
        announce(*range(60))

    def sweep() -> list[tuple[str, int]]:
        journal.sweep()
        return desk.told

    both = [Elsewhere(sweep), Elsewhere(sweep)]
    told = [one.result() for one in both]
    assert sorted(told[0] + told[1]) == [("file", note_id) for note_id in range(60)]
    assert database.count("journal") == 0


def test_what_a_sweep_is_at_is_out_of_every_others_sight(database: Database, journal: Journal, desk: Desk) -> None:
    with journal.deferred():
        announce(1)
    due = database.value("SELECT available_at FROM journal")
    journal.on(NoteWritten)(lambda event: time.sleep(1))
    at_it = Elsewhere(journal.sweep)
    while database.value("SELECT available_at FROM journal") == due:
        time.sleep(0.02)
    assert (journal.sweep(), due_in(database) > 25) == (0, True), "longer than a request has time"
    assert (at_it.result(), database.count("journal")) == (1, 0)


def test_a_row_of_a_later_version_waits_for_who_knows_it(database: Database, journal: Journal, desk: Desk) -> None:
    with journal.deferred():
        announce(1)
    database.execute("UPDATE journal SET detail = JSON_SET(detail, '$.version', 2)")
    assert (journal.sweep(), desk.told) == (1, [])
    assert database.rows("SELECT attempts, last_error FROM journal") == [{"attempts": 1, "last_error": "UnknownEvent"}]


def test_a_connection_lost_in_a_reaction_is_replaced_and_the_row_is_gone(database: Database, journal: Journal) -> None:
    told = []

    @journal.on(NoteWritten)
    def lose(event: NoteWritten) -> None:
        told.append(event.note_id)
        database.kill_connections()

    announce(1)  # raises nothing: the work is committed
    assert (told, database.count("journal")) == ([1], 0)


def test_the_schedule_of_the_service_sweeps_beside_all_else_that_it_does(
    database: Database, journal: Journal, desk: Desk
) -> None:
    consumer, done = Consumer(), []

    @consumer.task
    def dust() -> None:
        done.append(database.count("journal"))

    consumer.task(journal.sweep)
    with journal.deferred():
        announce(1)
    database.execute(
        "INSERT INTO inbox (consumer, event_id, received_at) VALUES ('x', %s, NOW(6) - INTERVAL 1 YEAR)", (b"1" * 16,)
    )
    on_schedule(consumer.handler)
    assert (done, desk.told, database.count("inbox")) == ([1], [("file", 1)], 0)
