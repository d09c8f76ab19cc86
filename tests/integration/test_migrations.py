"""Old code runs on while a deploy goes on, and again after one is rolled back: no migration takes away what it uses."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql
import pytest

from common import migrator
from common.connection import Raw
from localcloud.home import REPOSITORY
from localcloud.mariadb import Server
from tests.integration.contractions import Step, steps
from tests.integration.database import SERVICES, administrator

FOLDERS = [migrator.MESSAGING, *sorted(SERVICES.glob("*/migrations"))]
LOCK = SERVICES / "migrations.sha256"
BOOKS = """
CREATE TABLE IF NOT EXISTS books (
    id INT PRIMARY KEY, title VARCHAR(50) NOT NULL, shelf INT NULL, copies INT NOT NULL DEFAULT 1, isbn CHAR(13) NULL,
    UNIQUE KEY books_isbn (isbn), KEY books_shelf (shelf)
);
CREATE TABLE IF NOT EXISTS loans (id INT PRIMARY KEY);
"""
ROWS = ["INSERT INTO loans VALUES (3)", "INSERT INTO books VALUES (1, 'Mugs', 3, 2, '978')"]
OLD_CODE = [
    "SELECT id, title, shelf, copies, isbn FROM books WHERE title = 'mugs'",
    f"INSERT INTO books (id, title) VALUES (2, '{50 * 'x'}'), (3, 'Mugs')",
    "INSERT INTO books (id, title, shelf, copies) VALUES (4, 'Plates', NULL, -1), (5, 'Jugs', 9, 99999)",
    "INSERT INTO books (id, title) VALUES (1, 'of a number that is taken')",
    "INSERT INTO books (id, title, isbn) VALUES (6, 'of an ISBN that is taken', '978')",
    "UPDATE books SET shelf = NULL WHERE id = 5",
    "SELECT COUNT(*) FROM books",
]
"""What was released with the first file says; some of it relies on being refused."""

CONTRACTING = [
    "DROP TABLE books",
    "RENAME TABLE books TO volumes",
    "ALTER TABLE books RENAME TO volumes",
    "ALTER TABLE books DROP COLUMN shelf",
    "alter table books drop shelf, add room int null",
    "ALTER TABLE books RENAME COLUMN title TO name",
    "ALTER TABLE books CHANGE title name VARCHAR(50) NOT NULL",
    "ALTER TABLE books MODIFY title VARCHAR(40) NOT NULL",
    "ALTER TABLE books MODIFY copies SMALLINT NOT NULL DEFAULT 1",
    "ALTER TABLE books MODIFY copies INT UNSIGNED NOT NULL DEFAULT 1",
    "ALTER TABLE books MODIFY title VARBINARY(50) NOT NULL",
    "ALTER TABLE books MODIFY shelf INT NOT NULL",
    "ALTER TABLE books MODIFY shelf INT NOT NULL DEFAULT 0",
    "ALTER TABLE books MODIFY copies INT NOT NULL",
    "ALTER TABLE books ALTER copies DROP DEFAULT",
    "ALTER TABLE books ADD COLUMN pages INT NOT NULL",
    "ALTER TABLE books DROP INDEX books_isbn",
    "DROP INDEX books_isbn ON books",
    "ALTER TABLE books DROP PRIMARY KEY",
    "ALTER TABLE books ADD UNIQUE KEY books_title (title)",
    "CREATE UNIQUE INDEX books_title ON books (title)",
    "ALTER TABLE books ADD CONSTRAINT books_copies CHECK (copies > 0)",
    "ALTER TABLE books MODIFY copies INT NOT NULL DEFAULT 1 CHECK (copies > 0)",
    "ALTER TABLE books ADD CONSTRAINT books_lent FOREIGN KEY (shelf) REFERENCES loans (id)",
    "ALTER TABLE books DROP COLUMN shelf, ADD COLUMN shelf INT NULL",
    "ALTER TABLE books MODIFY title VARCHAR(50) COLLATE utf8mb4_bin NOT NULL",
    "TRUNCATE TABLE books",
    "DELETE FROM books",
    "/* of the old shop */ DELETE FROM books",
]
EXPANDING = [
    "CREATE TABLE IF NOT EXISTS readers (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL, UNIQUE KEY (name))",
    "ALTER TABLE books ADD COLUMN pages INT NULL",
    "ALTER TABLE books ADD COLUMN pages INT NOT NULL DEFAULT 0",
    "ALTER TABLE books ADD COLUMN pages INT NULL, ADD CONSTRAINT books_pages CHECK (pages > 0)",
    "ALTER TABLE books ADD COLUMN pages INT NULL CHECK (pages > 0)",
    "ALTER TABLE books ADD COLUMN tag CHAR(9) NULL, ADD UNIQUE KEY books_tag (tag)",
    "ALTER TABLE books MODIFY title VARCHAR(200) NOT NULL",
    "ALTER TABLE books MODIFY copies BIGINT NOT NULL DEFAULT 1",
    "ALTER TABLE books MODIFY title VARCHAR(50) NULL",
    "ALTER TABLE books ALTER title SET DEFAULT ''",
    "CREATE INDEX books_title ON books (title)",
    "DROP INDEX books_shelf ON books",
]
EXPAND = "ALTER TABLE books ADD COLUMN room INT NULL;"
CONTRACT = "ALTER TABLE books DROP COLUMN shelf;"
Library = Callable[..., Iterator[Step]]


@pytest.fixture
def service() -> str:
    return "none of them"


@pytest.fixture
def admin(server: Server) -> Iterator[Raw]:
    connection = administrator(server)
    yield connection
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS contractions")
    connection.close()


@pytest.fixture
def library(admin: Raw, tmp_path: Path) -> Library:
    """Call it with the files that follow the first one; each is applied when it is asked for."""

    def library(*texts: str) -> Iterator[Step]:
        for number, text in enumerate((BOOKS, *texts), start=1):
            (tmp_path / f"{number:04}_step.sql").write_text(text + "\n")
        return steps(admin, tmp_path)

    return library


def answers(admin: Raw, statements: list[str]) -> list[object]:
    """What each statement gives, or by which error it is refused."""
    given: list[object] = []
    with admin.cursor() as cursor:
        for statement in statements:
            try:
                cursor.execute(statement)
                given.append(list(cursor.fetchall()))
            except pymysql.MySQLError as error:
                given.append(error.args[0])
    return given


def old_code_notices(admin: Raw, library: Library, sql: str) -> bool:
    seen = []
    for text in ("SELECT 1;", sql + ";"):
        applied = library(text)
        next(applied)
        assert answers(admin, ROWS) == [[], []]
        next(applied)
        seen.append(answers(admin, OLD_CODE))
    assert {1062} == {answer for answer in seen[0] if isinstance(answer, int)}
    return seen[0] != seen[1]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_nothing_is_taken_away_before_a_release_that_does_without_it(folder: Path, admin: Raw) -> None:
    applied = list(steps(admin, folder))
    assert [step.file for step in applied] == sorted(folder.glob("*.sql"))
    assert [reason for step in applied for reason in step.refused()] == []


@pytest.mark.parametrize("sql", CONTRACTING)
def test_what_contracts_is_noticed_by_old_code_and_refused(sql: str, admin: Raw, library: Library) -> None:
    [_, step] = library(sql + ";")
    assert step.removed
    assert step.refused()
    assert old_code_notices(admin, library, sql)


@pytest.mark.parametrize("sql", EXPANDING)
def test_what_expands_is_not_noticed_by_old_code_and_welcome(sql: str, admin: Raw, library: Library) -> None:
    [_, step] = library(sql + ";")
    assert step.refused() == []
    assert not old_code_notices(admin, library, sql)


def test_what_no_release_uses_any_more_may_go_after_what_stands_in_its_place(library: Library) -> None:
    [_, _, step] = library(EXPAND, f"-- contracts 0002_step.sql, unused since v1.4\n{CONTRACT}")
    assert step.removed
    assert step.refused() == []


@pytest.mark.parametrize(
    "line",
    [
        "-- contracts 0002_step.sql",
        "-- contracts 0002_step.sql, unused since long ago",
        "-- contracts 0003_step.sql, unused since v1.4",
        "-- contracts 0004_step.sql, unused since v1.4",
        "-- contracts 0001_other.sql, unused since v1.4",
    ],
)
def test_it_has_to_say_so_rightly(line: str, library: Library) -> None:
    [_, _, step, _] = library(EXPAND, f"{line}\n{CONTRACT}", EXPAND.replace("room", "hall"))
    assert step.refused()


def test_what_stands_in_its_place_is_in_the_same_table(library: Library) -> None:
    [*_, step] = library(
        "CREATE TABLE IF NOT EXISTS rooms (id INT);", f"-- contracts 0002_step.sql, unused since v2\n{CONTRACT}"
    )
    assert step.refused() == ["0002_step.sql is not about books"]


def test_who_takes_nothing_away_does_not_say_so(library: Library) -> None:
    [_, step] = library("-- contracts 0001_step.sql, unused since v2\n" + EXPAND)
    assert step.refused()


def test_what_is_released_stays_as_it_is_and_what_is_added_stands_in_the_lock() -> None:
    """To edit a file would do harm: it has been applied as it was, and the migrator refuses another of its name."""
    locked = dict(reversed(line.split()) for line in LOCK.read_text(encoding="utf-8").splitlines())
    files = [file for folder in FOLDERS for file in sorted(folder.glob("*.sql"))]
    found = {str(file.relative_to(REPOSITORY)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    assert found == locked, (
        f"never edit a migration; of a new one, say: sha256sum FILE >> {LOCK.relative_to(REPOSITORY)}"
    )
