"""The unit of work."""

from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from types import SimpleNamespace

import pytest

from common import database as common_database
from common.connection import kept
from common.database import Contention, DuplicateKey, retrying, transaction
from localcloud import throwaway
from localcloud.mariadb import Server
from tests.e2e.waiting import eventually
from tests.integration.common.workshop import write
from tests.integration.database import Database
from tests.integration.environments import Elsewhere
from tests.integration.fake_bus import FakeBus

_processes = get_context("fork")


class Crash(Exception):
    pass


def test_a_transaction_commits_once_at_its_end(database: Database) -> None:
    with transaction() as tx:
        write(tx, 1)
        write(tx, 2)
        assert database.count("notes") == 0
    assert database.count("notes") == 2


@pytest.mark.parametrize("error", [Crash, KeyboardInterrupt, SystemExit])
def test_a_transaction_that_raises_leaves_nothing(database: Database, bus: FakeBus, error: type[BaseException]) -> None:
    with pytest.raises(error), transaction() as tx:
        write(tx, 1)
        raise error
    assert (database.count("notes"), database.count("outbox"), bus.calls) == (0, 0, [])
    with transaction() as tx:
        write(tx, 2)
    assert [row["note_id"] for row in database.rows("SELECT note_id FROM notes")] == [2]


def test_a_transaction_without_statements_sends_none(database: Database) -> None:
    eventually(lambda: not database.connections(), seconds=60)  # those of tests before this one
    with transaction():
        pass
    assert database.connections() == []


def test_a_duplicate_key_is_named_and_a_fresh_transaction_goes_on(database: Database, bus: FakeBus) -> None:
    database.execute("INSERT INTO notes (note_id) VALUES (1)")
    with transaction() as tx:
        write(tx, 2)
        with pytest.raises(DuplicateKey):
            write(tx, 1)
        tx.start_over()
        write(tx, 3)
    assert [row["note_id"] for row in database.rows("SELECT note_id FROM notes")] == [1, 3]
    assert [detail["data"]["note_id"] for detail in bus.details()] == [3]


def test_other_errors_pass_as_they_are(database: Database) -> None:
    with pytest.raises(Exception, match="doesn't exist"), transaction() as tx:
        tx.execute("DELETE FROM nothing")
    with transaction() as tx:
        write(tx, 1)
    assert database.count("notes") == 1


@pytest.fixture
def both_have_one() -> Barrier:
    """Where two wait until each of them holds its first lock."""
    return _processes.Barrier(2)


def swap(first: int, second: int, both_have_one: Barrier) -> int:
    """Locks two notes one after the other. Returns how often it had to try."""
    tries = []

    def work() -> None:
        tries.append(1)
        with transaction() as tx:
            tx.execute("UPDATE notes SET text = CONCAT(text, 'x') WHERE note_id = %s", (first,))
            if len(tries) == 1:
                both_have_one.wait(60)
            tx.execute("UPDATE notes SET text = CONCAT(text, 'x') WHERE note_id = %s", (second,))

    retrying(work)
    return len(tries)


def test_of_two_that_lock_each_other_out_both_get_their_turn(database: Database, both_have_one: Barrier) -> None:
    database.execute("INSERT INTO notes (note_id) VALUES (1), (2)")
    both = [Elsewhere(lambda: swap(1, 2, both_have_one)), Elsewhere(lambda: swap(2, 1, both_have_one))]
    tries = [one.result() for one in both]
    assert [row["text"] for row in database.rows("SELECT text FROM notes")] == ["xx", "xx"]
    assert (min(tries), max(tries) > 1) == (1, True), "one goes on, the other begins again"


def test_a_deadlock_is_contention(database: Database, both_have_one: Barrier) -> None:
    database.execute("INSERT INTO notes (note_id) VALUES (1), (2)")

    def once(first: int, second: int) -> str:
        try:
            with transaction() as tx:
                tx.execute("UPDATE notes SET text = 'x' WHERE note_id = %s", (first,))
                both_have_one.wait(60)
                tx.execute("UPDATE notes SET text = 'x' WHERE note_id = %s", (second,))
        except Contention:
            return "contention"
        return "done"

    both = [Elsewhere(lambda: once(1, 2)), Elsewhere(lambda: once(2, 1))]
    assert sorted(one.result() for one in both) == ["contention", "done"]


@pytest.fixture(scope="module")
def impatient(template: Server) -> Iterator[Server]:
    """A server where a lock is waited for one second only."""
    with throwaway.throw_away(template, "--innodb-lock-wait-timeout=1") as server:
        yield server


def test_a_lock_that_is_not_let_go_of_is_waited_for_again(impatient: Server, become: Callable[..., None]) -> None:
    become("workshop", impatient)
    database = Database(impatient, "workshop")
    database.execute("INSERT INTO notes (note_id) VALUES (1)")
    held, let_go = _processes.Event(), _processes.Event()
    tries = []

    def work() -> None:
        tries.append(1)
        if len(tries) > 1:
            let_go.set()
        with transaction() as tx:
            tx.execute("UPDATE notes SET text = 'mine' WHERE note_id = 1")

    def hold() -> None:
        with transaction() as tx:
            tx.execute("UPDATE notes SET text = 'held' WHERE note_id = 1")
            held.set()
            assert let_go.wait(30)

    holder = Elsewhere(hold)
    assert held.wait(30)
    retrying(work)
    holder.result()
    assert len(tries) > 1
    assert database.value("SELECT text FROM notes") == "mine"


def test_work_is_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    now, tries = [0.0], []

    def work() -> None:
        tries.append(now[0])
        now[0] += 2
        raise Contention("always")

    monkeypatch.setattr(common_database, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: None))
    with pytest.raises(Contention):
        retrying(work)
    assert tries == [0, 2, 4, 6, 8], "none begins after nine seconds"


def test_a_rollback_that_fails_drops_the_connection(database: Database) -> None:
    with pytest.raises(Crash), transaction() as tx:
        write(tx, 1)
        database.kill_connections()
        raise Crash
    assert kept()._raw is None
    assert database.count("notes") == 0
