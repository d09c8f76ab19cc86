"""The connection of an execution environment: kept, verified, replaced."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest
import trustme

from common import connection
from common.configuration import configuration
from common.connection import DatabaseUnavailable, connect_as, kept
from common.database import transaction
from localcloud import throwaway
from localcloud.mariadb import Server
from tests.e2e.waiting import eventually
from tests.faults.calls import Calls, Moment
from tests.faults.tap import Tap
from tests.integration.conftest import forget
from tests.integration.database import PASSWORD, Database, administrator


def answer() -> int:
    with transaction() as tx:
        row = tx.one("SELECT CONNECTION_ID() AS id")
        assert row is not None
        return int(row["id"])


def test_nothing_connects_before_it_is_needed(database: Database) -> None:
    eventually(lambda: not database.connections(), seconds=60)  # those of tests before this one
    with transaction():
        pass
    assert database.connections() == []


def test_a_connection_is_kept_from_one_transaction_to_the_next() -> None:
    assert answer() == answer()


def test_a_killed_connection_is_replaced_by_the_next_transaction(database: Database) -> None:
    first = answer()
    assert first in database.kill_connections()
    assert answer() != first


def test_a_connection_killed_within_a_transaction_ends_that_transaction(database: Database) -> None:
    def interrupted() -> None:
        with transaction() as tx:
            tx.execute("INSERT INTO notes (note_id) VALUES (1)")
            database.kill_connections()
            tx.execute("INSERT INTO notes (note_id) VALUES (2)")

    with pytest.raises(DatabaseUnavailable):
        interrupted()
    assert database.count("notes") == 0, "the second statement alone would be half of the work"
    answer()


def test_a_connection_killed_before_the_commit_has_written_nothing(database: Database) -> None:
    def interrupted() -> None:
        with transaction() as tx:
            tx.execute("INSERT INTO notes (note_id) VALUES (1)")
            database.kill_connections()

    with pytest.raises(DatabaseUnavailable):
        interrupted()
    assert database.count("notes") == 0
    answer()


def test_a_connection_is_recycled_between_transactions_only(monkeypatch: pytest.MonkeyPatch) -> None:
    first = answer()
    monkeypatch.setattr(connection, "RECYCLE_SECONDS", -1)
    with transaction() as tx:
        ids = {row["id"] for _ in range(3) for row in tx.all("SELECT CONNECTION_ID() AS id")}
    assert len(ids) == 1
    assert first not in ids


def test_what_was_written_is_committed_by_the_connection_that_wrote_it_however_old_it_is(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction() as tx:
        tx.execute("INSERT INTO notes (note_id) VALUES (1)")
        monkeypatch.setattr(connection, "RECYCLE_SECONDS", -1)
    assert database.count("notes") == 1


def test_an_old_connection_undoes_what_was_written_and_opens_no_other_for_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = answer()
    with pytest.raises(ZeroDivisionError), transaction() as tx:
        tx.execute("INSERT INTO notes (note_id) VALUES (1)")
        monkeypatch.setattr(connection, "RECYCLE_SECONDS", -1)
        _ = 1 / 0
    monkeypatch.setattr(connection, "RECYCLE_SECONDS", 600)
    assert (answer(), database.count("notes")) == (first, 0)


@pytest.fixture
def tapped(server: Server, become: Callable[..., None], database: Database) -> Iterator[Calls]:
    """What passes on connections to the database."""
    calls = Calls()
    tap = Tap(server, calls)
    become("workshop", replace(server, port=tap.port))
    yield calls
    forget()
    tap.close()


def test_a_write_that_is_the_first_statement_on_a_new_connection_is_not_done_before_its_commit_is_answered(
    tapped: Calls, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer()
    while tapped.made[-1] != "COMMIT":
        time.sleep(0.001)
    monkeypatch.setattr(connection, "RECYCLE_SECONDS", 0)

    def write() -> None:
        with transaction() as tx:
            tx.execute("INSERT INTO notes (note_id) VALUES (1)")

    begun = ["connect", "log in", "SET", "SET", "INSERT notes"]
    tapped.listen(len(begun), Moment.UNHEARD)
    with ThreadPoolExecutor(1) as thread:
        written = thread.submit(write)
        assert tapped.reach(lambda: True) == "COMMIT", tapped.made
        tapped.resolve(cut=True)
    with pytest.raises(DatabaseUnavailable):
        written.result()
    assert database.count("notes") == 0


def test_that_the_end_of_a_read_was_refused_is_not_the_next_transactions_business(
    template: Server, become: Callable[..., None]
) -> None:
    with throwaway.throw_away(template) as server:
        become("workshop", server)
        admin = administrator(server)
        admin.query("ALTER USER workshop WITH MAX_QUERIES_PER_HOUR 3")  # two are sent to begin with, and one is asked
        first = answer()
        admin.query("ALTER USER workshop WITH MAX_QUERIES_PER_HOUR 0")
        admin.query("FLUSH PRIVILEGES")
        admin.close()
        assert answer() != first, "which is still in its transaction"


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = connection.Connection(
            lambda: connect_as("127.0.0.1", silent.getsockname()[1], "workshop", PASSWORD, read_timeout=1)
        )
        with pytest.raises(DatabaseUnavailable):
            mute.one("SELECT 1")


def test_a_server_that_greets_and_then_says_nothing_is_waited_for_no_longer_than_an_invocation_has_time(
    server: Server,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as polite, ThreadPoolExecutor(1) as greeter:

        def greet() -> socket.socket:
            client, _ = polite.accept()
            with socket.create_connection((server.host, server.port)) as real:
                client.sendall(real.recv(4096))
            return client

        greeted, started = greeter.submit(greet), time.monotonic()
        with connection.within(5_000), pytest.raises(pymysql.err.OperationalError, match="timed out"):
            connect_as("127.0.0.1", polite.getsockname()[1], "workshop", PASSWORD, str(server.ca_file))
        assert 0.9 < time.monotonic() - started < 9  # else 10 s
        greeted.result().close()


def test_an_invocation_does_not_wait_for_many_answers_longer_than_it_has_time(database: Database) -> None:
    started, answers = time.monotonic(), 0
    with pytest.raises(DatabaseUnavailable), connection.within(5_000), transaction() as tx:
        for _ in range(100):
            tx.one("SELECT SLEEP(0.3)")
            answers += 1
    assert answers < 4
    assert time.monotonic() - started > 0.9
    answer()


def test_an_invocation_does_not_wait_for_one_answer_longer_than_it_has_time(database: Database) -> None:
    with transaction() as tx:
        tx.execute("INSERT INTO notes (note_id) VALUES (1)")
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable), connection.within(5_000), transaction() as tx:
        tx.one("SELECT SLEEP(30)")
    assert 0.9 < time.monotonic() - started < 9  # else 10 s
    database.kill_connections()  # which is asleep


def test_little_time_that_was_left_once_is_not_what_the_next_invocation_has(database: Database) -> None:
    mine = answer()
    with connection.at_most(3), transaction() as tx:
        tx.execute("INSERT INTO notes (note_id) VALUES (1)")
    with transaction() as tx:
        tx.one("SELECT SLEEP(4)")
    assert answer() == mine


def test_an_invocation_whose_time_is_over_does_not_ask_at_all(database: Database) -> None:
    answer()
    with connection.within(0):
        time.sleep(1)
        with pytest.raises(DatabaseUnavailable), transaction() as tx:
            tx.execute("INSERT INTO notes (note_id) VALUES (1)")
    assert database.count("notes") == 0
    answer()


def test_access_denied_means_unavailable(
    monkeypatch: pytest.MonkeyPatch, template: Server, become: Callable[..., None]
) -> None:
    with throwaway.throw_away(template) as server:
        become("workshop", server)
        monkeypatch.setenv("DATABASE_PASSWORD", "not yet known")
        configuration.cache_clear()
        with pytest.raises(DatabaseUnavailable, match="1045"):
            answer()
        become("workshop", server)
        answer()


def test_a_server_that_is_read_only_means_unavailable(template: Server, become: Callable[..., None]) -> None:
    with throwaway.throw_away(template, "--read-only") as server:
        become("workshop", server)
        answer()
        with pytest.raises(DatabaseUnavailable, match="1290"), transaction() as tx:
            tx.execute("INSERT INTO notes (note_id) VALUES (1)")


def test_a_server_of_another_authority_is_refused(server: Server, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    with pytest.raises(pymysql.err.OperationalError, match="certificate verify failed"):
        connect_as(server.host, server.port, "workshop", PASSWORD, str(other))


def test_amazons_roots_are_meant_when_no_authority_is_named(server: Server) -> None:
    with pytest.raises(pymysql.err.OperationalError, match="certificate verify failed"):
        connect_as(server.host, server.port, "workshop", PASSWORD)


def test_a_server_of_another_name_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda address, *rest: connect((server.host, server.port), *rest))
    with pytest.raises(pymysql.err.OperationalError, match=r"certificate is not valid for 'another\.example'"):
        connect_as("another.example", server.port, "workshop", PASSWORD, str(server.ca_file))


def test_the_connection_is_encrypted_and_as_the_service(database: Database) -> None:
    with transaction() as tx:
        [status] = tx.all("SHOW STATUS LIKE 'Ssl_version'")
        [who] = tx.all("SELECT CURRENT_USER() AS who, DATABASE() AS at")
    assert status["Value"] in ("TLSv1.2", "TLSv1.3")
    assert who == {"who": "workshop@%", "at": "workshop"}


def test_an_update_counts_what_it_changed_not_what_it_matched(database: Database) -> None:
    database.execute("INSERT INTO notes (note_id, text) VALUES (1, 'same')")
    with transaction() as tx:
        assert tx.execute("UPDATE notes SET text = 'same' WHERE note_id = 1") == 0
        assert tx.execute("UPDATE notes SET text = 'other' WHERE note_id = 1") == 1


def test_many_rows_go_in_as_few_statements_as_fit(database: Database) -> None:
    before = int(
        database.value("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Com_insert'")
    )
    with transaction():
        sql = "INSERT INTO notes (note_id, text) VALUES (%s, %s)"
        assert kept().execute_many(sql, [(n, "x" * 200) for n in range(100)]) == 100
        kept().commit()
    after = int(
        database.value("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Com_insert'")
    )
    assert (database.count("notes"), after - before) == (100, 2)


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE notes; --", "\\", "\\'", "%s %d %", "\x00\x1a\n\r", "💡灯", "/*! x */", '"', "@x"]
)
def test_a_parameter_is_never_read_as_sql(database: Database, text: str) -> None:
    with transaction() as tx:
        tx.execute("INSERT INTO notes (note_id, text) VALUES (%s, %s)", (1, text))
        assert tx.one("SELECT text FROM notes WHERE text = %s", (text,)) == {"text": text}


def test_a_part_of_an_invocation_has_its_own_time_and_only_what_must_be_written_down_more_than_the_invocation() -> None:
    with connection.within(500_000, to_answer=0):
        with connection.at_most(6_000):
            assert 400 < connection.left() <= 500
            with connection.at_most(100), connection.at_most(300):
                assert 0 < connection.left() <= 100
        assert 400 < connection.left() <= 500
        with connection.at_least(200):
            assert 400 < connection.left() <= 500
        with connection.at_most(-1), connection.at_least(200):
            assert 100 < connection.left() <= 200
    with connection.at_most(-1), pytest.raises(TimeoutError):
        connection.left()
