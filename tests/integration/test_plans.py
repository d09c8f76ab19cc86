"""How the server gets at its rows, by its own plan of every statement that services really send: where tables are as
large as time makes them, none is read from end to end. And each index is there because some statement needs it."""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from pymysql.connections import Connection

from bench.filling import ID, fill
from localcloud import throwaway
from localcloud.mariadb import Server
from tests.integration.conftest import forget
from tests.integration.database import Database
from tests.integration.fake_bus import FakeBus
from tests.integration.fake_post import FakePost
from tests.integration.gateway import question
from tests.integration.test_statements import play_everything, without_literals
from tests.integration.whole_shop import NAMES, Shop

ROWS = 4_000
"""Of each kind: small tables are read whole whatever indexes they have."""
BACKLOG = f"""
    INSERT INTO outbox (event_id, detail_type, detail, available_at)
    SELECT {ID}, 'OrderPlaced', '{{}}', NOW(6) + INTERVAL 1 HOUR
"""
"""What another sweep is at."""
MAY_READ_ALL = {
    "ORDER BY event_id -- in which there is its time": "it begins at the oldest row, and stops at the first",
    "FROM sandbox_ledger\n                 WHERE charge_key >": "the sandbox's statement of account, page by page",
}
WITHOUT_A_STATEMENT = {
    "shipments_tracking_number": "it is there so that no number is given twice",
    "mails_of_order": "a foreign key needs it, and the server lets nobody drop it",
}


class Sent(NamedTuple):
    schema: str
    sql: str


class Index(NamedTuple):
    schema: str
    table: str
    name: str
    columns: str


@pytest.fixture(scope="module")
def server(template: Server) -> Iterator[Server]:
    with throwaway.throw_away(template) as server:
        yield server


@pytest.fixture(scope="module")
def large(server: Server) -> dict[str, Database]:
    databases = {name: Database(server, name) for name in NAMES}
    for database in databases.values():
        database.execute(f"{BACKLOG} FROM mysql.seq_1_to_{ROWS}")
        fill(database, ROWS)
    return databases


@pytest.fixture(scope="module")
def collected() -> dict[Sent, str]:
    """One of each kind of statement, told apart by what is not a value. The first test to ask has them sent."""
    return {}


@pytest.fixture
def sent(
    large: dict[str, Database],
    collected: dict[Sent, str],
    server: Server,
    bus: FakeBus,
    post: FakePost,
    become: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> list[Sent]:
    if not collected:
        query = Connection.query

        def noted(connection: Any, sql: str | bytes, unbuffered: bool = False) -> int:
            text = sql if isinstance(sql, str) else sql.decode("utf-8", "surrogateescape")
            if connection.user != b"admin":
                collected[Sent(connection.user.decode(), kind(text))] = text
            return query(connection, sql, unbuffered)

        monkeypatch.setattr(Connection, "query", noted)
        shop = Shop(server, bus, become)
        play_everything(shop, bus, post)
        for service in NAMES:
            for name in shop._consumer(service)._questions:
                become(service, server)
                question(shop._consumer(service).handler, name, "nobody" if name == "erase" else "0" * 32)
        forget()
        monkeypatch.undo()
        for database in large.values():
            database.execute("ANALYZE TABLE outbox, inbox, idempotency_keys")
    return [Sent(schema, sql) for (schema, _), sql in collected.items()]


def kind(sql: str) -> str:
    """A statement without its values, however many there are."""
    return re.sub(r"X?''(, ?X?'')*|\b\d+\b", "?", without_literals(sql))


def scans(database: Database, statements: list[Sent]) -> list[str]:
    """What reads a table, or an index, from one end to the other."""
    return [
        f"{step['table']}: {' '.join(sql.split())[:120]}"
        for _, sql in statements
        if sql.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE", "INSERT"))
        for step in database.rows(f"EXPLAIN {sql}".replace("%", "%%"))
        if step["type"] in ("ALL", "index") and step["select_type"] != "INSERT" and int(step["rows"] or 0) > ROWS / 4
    ]


def indexes(server: Server) -> list[Index]:
    rows = Database(server, "information_schema").rows(
        """
        SELECT TABLE_SCHEMA AS `schema`, TABLE_NAME AS `table`, INDEX_NAME AS name,
               GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX) AS columns
          FROM STATISTICS
         WHERE INDEX_NAME <> 'PRIMARY' AND TABLE_NAME <> 'journal'
         GROUP BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME
        """
    )
    return [Index(**row) for row in rows if row["schema"] in NAMES]


def test_no_statement_that_is_sent_reads_a_table_from_end_to_end(large: dict[str, Database], sent: list[Sent]) -> None:
    assert len(sent) > 100
    assert {statement.schema for statement in sent} == set(NAMES)
    found = [(schema, sql, scan) for schema, sql in sent for scan in scans(large[schema], [Sent(schema, sql)])]
    assert [scan for _, sql, scan in found if not any(exempt in sql for exempt in MAY_READ_ALL)] == []


def test_without_any_one_of_the_indexes_some_statement_would(
    large: dict[str, Database], sent: list[Sent], server: Server
) -> None:
    not_needed = []
    for schema, table, name, columns in indexes(server):
        if name in WITHOUT_A_STATEMENT:
            continue
        database, concerned = large[schema], [one for one in sent if one.schema == schema and table in one.sql]
        before = scans(database, concerned)
        database.execute(f"ALTER TABLE `{table}` DROP INDEX `{name}`")
        if scans(database, concerned) == before:
            not_needed.append(f"{schema}.{name}")
        database.execute(f"ALTER TABLE `{table}` ADD INDEX `{name}` ({columns})")
    assert not_needed == []
