"""Migrations on a real server: from nothing, from each earlier version, by whoever, and never twice."""

import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pymysql
import pytest
from moto import mock_aws

from common import migrator
from common.connection import Raw, connect_as
from ecs import migrate
from localcloud import throwaway
from localcloud.mariadb import Server
from tests.integration.database import PASSWORD, SERVICES, Database, administrator, schemas
from tests.integration.environments import Elsewhere
from tests.integration.gateway import Context

MESSAGING = [f"messaging/{path.name}" for path in sorted(migrator.MESSAGING.glob("*.sql"))]
FILES = {folder.parent.name: sorted(folder.glob("*.sql")) for folder in SERVICES.glob("*/migrations")}
EARLIER = [(service, count) for service, files in FILES.items() for count in range(len(files))]
"""Every version of a service that is not its latest: the service, and how many of its files there were."""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return throwaway.template(tmp_path_factory.mktemp("empty"), lambda server: None)


@pytest.fixture
def bare(empty: Server) -> Iterator[Server]:
    """A server with nothing on it."""
    with throwaway.throw_away(empty) as server:
        yield server


@pytest.fixture
def admin(bare: Server) -> Iterator[Raw]:
    connection = administrator(bare)
    yield connection
    connection.close()


@pytest.fixture
def services(tmp_path: Path) -> Path:
    """A folder of services with one, `library`, of one migration."""
    write(tmp_path, "0001_books.sql", "CREATE TABLE books (id INT PRIMARY KEY);\nINSERT INTO books VALUES (1), (2);\n")
    return tmp_path


def write(services: Path, name: str, text: str, service: str = "library") -> Path:
    file = services / service / "migrations" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def definitions(server: Server, schema: str) -> list[str]:
    """How every table is defined, in every detail."""
    database = Database(server, schema)
    tables = sorted(
        row["TABLE_NAME"]
        for row in database.rows("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", (schema,))
    )
    return [str(database.rows(f"SHOW CREATE TABLE `{table}`")[0]["Create Table"]) for table in tables]


def test_all_services_are_brought_up_from_nothing_and_a_second_run_applies_nothing(bare: Server, admin: Raw) -> None:
    applied = migrator.migrate(admin, SERVICES, PASSWORD)
    expected = [
        name
        for service in sorted(FILES)
        for name in [*MESSAGING, *(f"{service}/{file.name}" for file in FILES[service])]
    ]
    assert applied == expected
    assert migrator.migrate(admin, SERVICES, PASSWORD) == []
    for service in FILES:
        assert Database(bare, service).count("schema_migrations") == len(MESSAGING) + len(FILES[service])


@pytest.mark.parametrize(("service", "files"), EARLIER)
def test_each_earlier_version_becomes_the_latest(
    bare: Server, admin: Raw, server: Server, tmp_path: Path, service: str, files: int
) -> None:
    for file in FILES[service][:files]:
        write(tmp_path, file.name, file.read_text(), service)
    migrator.migrate(admin, tmp_path, PASSWORD)
    for file in FILES[service][files:]:
        write(tmp_path, file.name, file.read_text(), service)
    applied = [name for name in migrator.migrate(admin, tmp_path, PASSWORD) if name not in MESSAGING]
    assert applied == [f"{service}/{file.name}" for file in FILES[service][files:]]
    assert definitions(bare, service) == definitions(server, service)


def test_an_earlier_version_with_data_takes_on_a_new_file(bare: Server, admin: Raw, services: Path) -> None:
    migrator.migrate(admin, services, PASSWORD)
    write(services, "0002_titles.sql", "ALTER TABLE books ADD COLUMN title VARCHAR(9) NOT NULL DEFAULT '-';\n")
    assert migrator.migrate(admin, services, PASSWORD) == ["library/0002_titles.sql"]
    assert Database(bare, "library").rows("SELECT * FROM books") == [{"id": 1, "title": "-"}, {"id": 2, "title": "-"}]


def test_a_changed_file_is_refused(admin: Raw, services: Path) -> None:
    migrator.migrate(admin, services, PASSWORD)
    write(services, "0001_books.sql", "CREATE TABLE books (id BIGINT PRIMARY KEY);\n")
    with pytest.raises(migrator.MigrationChanged, match=r"library/0001_books\.sql"):
        migrator.migrate(admin, services, PASSWORD)


def test_a_later_file_of_several_statements_is_refused_before_anything_is_applied(
    bare: Server, admin: Raw, services: Path
) -> None:
    write(services, "0002_two.sql", "CREATE TABLE a (id INT);\nCREATE TABLE b (id INT);\n")
    with pytest.raises(migrator.MigrationTooLong, match=r"library/0002_two\.sql: one statement a file"):
        migrator.migrate(admin, services, PASSWORD)
    assert Database(bare, "library").count("schema_migrations") == 0


def test_a_recorded_file_that_is_gone_is_tolerated(bare: Server, admin: Raw, services: Path) -> None:
    newer = write(services, "0002_titles.sql", "CREATE TABLE titles (id INT PRIMARY KEY);\n")
    migrator.migrate(admin, services, PASSWORD)
    newer.unlink()
    assert migrator.migrate(admin, services, PASSWORD) == []
    assert Database(bare, "library").count("titles") == 0, "and what it made is still there"


def test_a_file_that_fails_is_done_again_and_later_ones_wait(bare: Server, admin: Raw, services: Path) -> None:
    broken = write(services, "0002_titles.sql", "CREATE TABLE titles (id INT, nonsense);\n")
    write(services, "0003_shelves.sql", "CREATE TABLE shelves (id INT);\n")
    with pytest.raises(pymysql.err.Error):
        migrator.migrate(admin, services, PASSWORD)
    names = [row["name"] for row in Database(bare, "library").rows("SELECT name FROM schema_migrations")]
    assert sorted(names) == [*sorted(["library/0001_books.sql", *MESSAGING])]
    broken.write_text("CREATE TABLE titles (id INT);\n")
    assert migrator.migrate(admin, services, PASSWORD) == ["library/0002_titles.sql", "library/0003_shelves.sql"]


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE books ADD COLUMN title INT", "CREATE INDEX titles ON books (id)", "CREATE TABLE titles (id INT)"],
)
def test_a_file_whose_end_was_not_heard_of_is_not_stuck_in_what_it_did(
    bare: Server, admin: Raw, services: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrator.migrate(admin, services, PASSWORD)
    write(services, "0002_titles.sql", f"{change};\n")
    with pytest.raises(pymysql.err.OperationalError, match="killed"):
        migrator.migrate(deaf(bare, change), services, PASSWORD)
    assert migrator.migrate(admin, services, PASSWORD) == ["library/0002_titles.sql"]
    assert migrator.migrate(admin, services, PASSWORD) == []
    names = {row["name"] for row in Database(bare, "library").rows("SELECT name FROM schema_migrations")}
    assert names == {*MESSAGING, "library/0001_books.sql", "library/0002_titles.sql"}


def test_a_file_is_not_taken_for_done_because_another_did_the_same(admin: Raw, services: Path) -> None:
    write(services, "0002_titles.sql", "ALTER TABLE books ADD COLUMN title INT;\n")
    write(services, "0003_titles.sql", "ALTER TABLE books ADD COLUMN title VARCHAR(9);\n")
    for _ in range(2):
        with pytest.raises(pymysql.err.OperationalError, match="Duplicate column"):
            migrator.migrate(admin, services, PASSWORD)


def test_a_first_file_that_fails_has_written_no_row(bare: Server, admin: Raw, services: Path) -> None:
    first = services / "library" / "migrations" / "0001_books.sql"
    good = first.read_text().replace("TABLE", "TABLE IF NOT EXISTS")
    first.write_text(good + "nonsense;\n")
    with pytest.raises(pymysql.err.Error):
        migrator.migrate(admin, services, PASSWORD)
    first.write_text(good)
    assert migrator.migrate(admin, services, PASSWORD) == ["library/0001_books.sql"]
    assert Database(bare, "library").count("books") == 2


def deaf(server: Server, change: str) -> Raw:
    """An administrator's connection that is lost right after the server has made that change."""
    connection = administrator(server)
    query = connection.query

    def lose(sql: str | bytes, unbuffered: bool = False) -> int:
        affected = query(sql, unbuffered)
        if change in str(sql):
            connection.kill(connection.thread_id())  # type: ignore[no-untyped-call]
        return affected

    connection.query = lose  # type: ignore[method-assign]
    return connection


def test_two_at_once_apply_each_file_once(bare: Server, services: Path) -> None:
    def run() -> list[str]:
        return migrator.migrate(administrator(bare), services, PASSWORD)

    both = [Elsewhere(run), Elsewhere(run)]
    assert sorted([one.result() for one in both], key=len) == [[], [*MESSAGING, "library/0001_books.sql"]]
    assert Database(bare, "library").count("books") == 2


def test_another_run_is_not_waited_for_without_end(
    bare: Server, admin: Raw, services: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrator, "LOCK_SECONDS", 0)
    other = administrator(bare)
    other.query("SELECT GET_LOCK('migrations', 0)")
    with pytest.raises(TimeoutError):
        migrator.migrate(admin, services, PASSWORD)


def test_a_table_that_somebody_does_not_let_go_of_is_not_waited_for_at_everybodys_cost(
    bare: Server, admin: Raw, services: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrator.migrate(admin, services, PASSWORD)
    write(services, "0002_titles.sql", "ALTER TABLE books ADD COLUMN title INT;\n")
    other = administrator(bare, "library")
    other.query("SELECT * FROM books")
    monkeypatch.setattr(migrator, "WAIT_SECONDS", 1)
    with pytest.raises(pymysql.err.OperationalError, match="Lock wait timeout"):
        migrator.migrate(admin, services, PASSWORD)
    assert Database(bare, "library").count("books") == 2, "nobody stands behind it"
    other.rollback()
    assert migrator.migrate(admin, services, PASSWORD) == ["library/0002_titles.sql"]


@pytest.mark.parametrize("name", ["Library", "my-library", "1st", "a`b", "order_s", "x" * 40])
def test_a_folder_that_cannot_name_a_schema_is_refused(admin: Raw, tmp_path: Path, name: str) -> None:
    write(tmp_path, "0001_a.sql", "SELECT 1;\n", name)
    with pytest.raises(ValueError, match="cannot name a schema"):
        migrator.migrate(admin, tmp_path, PASSWORD)


@pytest.mark.parametrize("user", schemas())
def test_a_service_can_touch_its_own_data_and_nothing_else(server: Server, user: str) -> None:
    connection = connect_as(server.host, server.port, user, PASSWORD, str(server.ca_file))
    with connection.cursor() as cursor:
        cursor.execute("SHOW DATABASES")
        assert {row["Database"] for row in cursor.fetchall()} == {user, "information_schema"}
        cursor.execute(f"SELECT COUNT(*) FROM `{user}`.outbox")
        forbidden = [f"DROP TABLE `{user}`.outbox", f"CREATE TABLE `{user}`.mine (id INT)", "CREATE DATABASE mine"]
        for other in {*schemas(), "mysql"} - {user}:
            table = "user" if other == "mysql" else "outbox"
            forbidden += [f"SELECT * FROM `{other}`.{table}", f"DELETE FROM `{other}`.{table}", f"USE `{other}`"]
        for statement in forbidden:
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(statement)
    connection.close()


def test_a_service_has_no_way_in_without_its_password_or_without_tls(server: Server) -> None:
    with pytest.raises(pymysql.err.OperationalError, match="denied"):
        connect_as(server.host, server.port, "workshop", "guess", str(server.ca_file))
    with pytest.raises(pymysql.err.OperationalError):
        pymysql.connect(host=server.host, port=server.port, user="workshop", password=PASSWORD, ssl_disabled=True)


def test_without_a_password_users_are_made_for_iam_tokens() -> None:
    statements: list[str] = []

    class Cursor:
        def execute(self, sql: str, parameters: Any = None) -> None:
            statements.append(sql)

    migrator._prepare(Cursor(), "library", "")
    [made] = [sql for sql in statements if "CREATE USER" in sql]
    assert (
        made == "CREATE USER IF NOT EXISTS 'library'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL"
    )
    [granted] = [sql for sql in statements if "GRANT" in sql]
    assert granted == "GRANT SELECT, INSERT, UPDATE, DELETE ON `library`.* TO 'library'@'%'"


@pytest.fixture
def cloudformation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Where a custom resource answers: the URL, and what was answered."""
    answers: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            assert self.headers.get("Content-Type", "") == ""
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/answer", answers
        listening.shutdown()


@pytest.fixture
def invoke(
    cloudformation: tuple[str, list[dict[str, Any]]], bare: Server, services: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Call the custom resource's function. Returns its answer."""
    url, answers = cloudformation
    with mock_aws():
        secret = json.dumps({"username": bare.user, "password": bare.password})
        arn = boto3.client("secretsmanager").create_secret(Name="admin", SecretString=secret)["ARN"]
        monkeypatch.setenv("DATABASE_HOST", bare.host)
        monkeypatch.setenv("DATABASE_PORT", str(bare.port))
        monkeypatch.setenv("DATABASE_CA_FILE", str(bare.ca_file))
        monkeypatch.setenv("DATABASE_PASSWORD", PASSWORD)
        monkeypatch.setenv("ADMIN_SECRET_ARN", arn)
        monkeypatch.setenv("LAMBDA_TASK_ROOT", str(services))

        def call(request_type: str) -> dict[str, Any]:
            event = {
                "RequestType": request_type,
                "ResponseURL": url,
                "StackId": "stack",
                "RequestId": "request",
                "LogicalResourceId": "Migrations",
            }
            migrator.handler(event, Context())
            return answers[-1]

        yield call


ANSWER = {
    "StackId": "stack",
    "RequestId": "request",
    "LogicalResourceId": "Migrations",
    "PhysicalResourceId": "migrations",
}


def test_a_deploy_brings_the_schemas_up_to_date(bare: Server, invoke: Callable[[str], dict[str, Any]]) -> None:
    for request_type in ("Create", "Update"):
        answer = invoke(request_type)
        assert answer == {**ANSWER, "Status": "SUCCESS", "Reason": answer["Reason"]}
    assert Database(bare, "library").count("books") == 2


def test_deleting_the_stack_deletes_no_data(bare: Server, invoke: Callable[[str], dict[str, Any]]) -> None:
    invoke("Create")
    assert invoke("Delete")["Status"] == "SUCCESS"
    assert Database(bare, "library").count("books") == 2


def test_a_migration_that_fails_fails_the_deploy_with_its_reason(
    services: Path, invoke: Callable[[str], dict[str, Any]]
) -> None:
    write(services, "0002_broken.sql", "SELECT nonsense;\n")
    answer = invoke("Create")
    assert answer["Status"] == "FAILED"
    assert "nonsense" in answer["Reason"]


def test_a_database_that_is_away_fails_the_deploy_and_does_not_leave_it_waiting(
    invoke: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PORT", "1")
    assert invoke("Create")["Status"] == "FAILED"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


def rotated(user: str, password: str) -> None:
    """What Secrets Manager says from now on."""
    text = json.dumps({"username": user, "password": password})
    boto3.client("secretsmanager").put_secret_value(SecretId=os.environ["ADMIN_SECRET_ARN"], SecretString=text)


@pytest.fixture
def rotation(bare: Server, admin: Raw) -> Iterator[list[str]]:
    """The administrator's password is changed each time somebody has read it, as often as the list has another one:
    what is told of it and not yet used is no longer true."""
    left: list[str] = []

    def after_reading(**_: Any) -> None:
        if left:
            password = left.pop(0)
            with admin.cursor() as cursor:
                cursor.execute("ALTER USER %s@'%%' IDENTIFIED BY %s", (bare.user, password))
            rotated(bare.user, password)

    boto3.setup_default_session()
    assert boto3.DEFAULT_SESSION
    boto3.DEFAULT_SESSION.events.register("after-call.secrets-manager.GetSecretValue", after_reading)
    yield left
    boto3.setup_default_session()


@pytest.mark.parametrize("times", [1, 3])
def test_a_password_that_is_changed_between_reading_and_connecting_does_not_fail_the_deploy(
    bare: Server, invoke: Callable[[str], dict[str, Any]], rotation: list[str], pauses: list[float], times: int
) -> None:
    rotation += [f"another-{number}" for number in range(times)]
    assert invoke("Create")["Status"] == "SUCCESS"
    assert pauses == list(migrator.PAUSES[:times])
    assert Database(replace(bare, password=f"another-{times - 1}"), "library").count("books") == 2


def test_without_reading_it_again_the_same_change_fails_the_deploy(
    invoke: Callable[[str], dict[str, Any]], rotation: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrator, "PAUSES", ())
    rotation.append("another")
    answer = invoke("Create")
    assert (answer["Status"], "Access denied" in answer["Reason"]) == ("FAILED", True)


def test_a_password_that_stays_wrong_is_given_up_after_a_minute_and_any_other_error_at_once(
    invoke: Callable[[str], dict[str, Any]], pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated("admin", "wrong")
    answer = invoke("Create")
    assert (answer["Status"], "Access denied" in answer["Reason"]) == ("FAILED", True)
    assert pauses == list(migrator.PAUSES)
    assert 30 <= sum(pauses) <= 60
    pauses.clear()
    monkeypatch.setenv("DATABASE_PORT", "1")
    assert invoke("Create")["Status"] == "FAILED"
    assert not pauses


def test_a_container_migrates_as_the_function_does_and_fails_the_deploy_likewise(
    bare: Server, services: Path, invoke: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "SERVICES", services)
    migrate.main()
    assert Database(bare, "library").count("books") == 2
    write(services, "0002_broken.sql", "SELECT nonsense;\n")
    with pytest.raises(pymysql.err.OperationalError, match="nonsense"):
        migrate.main()
