"""Brings every schema up to date: plain SQL files, in order, each applied once and never changed afterwards.

A server commits each table change by itself, so a file with several that fails half-way could be neither repeated
nor repaired. From 0002 on a file is therefore one statement; 0001 may be many, all CREATE TABLE IF NOT EXISTS. That a
file is begun is recorded first: if nobody heard how it ended, the next run finds its change made, or makes it.

For each service: its schema, a user that can touch nothing else, the layer's messaging tables, then the service's own
files. Runs as a custom resource on every deploy, straight to the database, because GET_LOCK pins a proxy session.
Deletes nothing, and tolerates recorded migrations whose file is gone: those of a newer version that was rolled back.
"""

import hashlib
import json
import os
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from pymysql.constants import ER
from pymysql.err import MySQLError, OperationalError

from common.connection import Raw, connect_as
from common.observability import logger

MESSAGING = Path(__file__).parent / "migrations"
RDS_ROOTS = Path(__file__).parent / "certificates" / "rds.pem"
COLLATION = "utf8mb4_unicode_520_ci"  # both MySQL 8.4 and MariaDB have it
LOCK_SECONDS = 60
WAIT_SECONDS = 20  # for a table that is in use: whoever comes meanwhile stands behind it
STATEMENT_SECONDS = 600  # an ALTER TABLE may take its time
# What a change of a table meets when it was made before: a table, column or index is there, or not there any more.
MADE = {ER.TABLE_EXISTS_ERROR, ER.DUP_FIELDNAME, ER.DUP_KEYNAME, ER.BAD_TABLE_ERROR, ER.CANT_DROP_FIELD_OR_KEY}
PAUSES = (1, 2, 5, 10, 20, 20)  # seconds before a secret is read again whose password was refused


class MigrationChanged(Exception):
    """A file differs from what was applied under its name. Write a new migration instead."""


class MigrationTooLong(Exception):
    """A file of more than one statement, and not the first of its folder."""


class _Environment(msgspec.Struct, frozen=True, rename="upper"):
    database_host: str
    admin_secret_arn: str
    database_port: int = 3306
    database_password: str = ""
    database_ca_file: str = ""


class Migration(NamedTuple):
    """One file. `name` is `messaging/0001_….sql` or `<service>/0001_….sql`."""

    name: str
    checksum: str
    statements: list[str]


def migrate(connection: Raw, services: Path, password: str = "") -> list[str]:
    """Apply what is missing for every folder of `services` that has migrations. Returns the names of what was applied.

    `password` is that of each service's user; without one, users authenticate by IAM tokens.
    Raises MigrationChanged, MigrationTooLong, TimeoutError when another run is at it for 60 s, pymysql's errors.
    """
    applied: list[str] = []
    with connection.cursor() as cursor:
        cursor.execute("SET lock_wait_timeout = %s", (WAIT_SECONDS,))  # both servers' own is a day or more
        cursor.execute("SELECT GET_LOCK('migrations', %s) AS got", (LOCK_SECONDS,))
        if cursor.fetchone() != {"got": 1}:
            raise TimeoutError("another migration is running")
        try:
            for folder in sorted(services.glob("*/migrations")):
                service = folder.parent.name
                _prepare(cursor, service, password)
                cursor.execute(f"USE `{service}`")
                applied += _apply(cursor, [*_read(MESSAGING, "messaging"), *_read(folder, service)])
        finally:
            with suppress(MySQLError):  # a connection that is lost has no lock
                cursor.execute("SELECT RELEASE_LOCK('migrations')")
    connection.commit()
    return applied


def run(services: Path) -> None:
    """`migrate` as the administrator whose secret the environment names, read again for a minute while its password is
    refused. Raises boto3's errors beside its own."""
    connection, password = _administrator()
    logger.info("migrated", extra={"applied": migrate(connection, services, password)})


def handler(event: dict[str, Any], context: Any) -> None:
    """The Lambda handler of the custom resource: `Create` and `Update` migrate, `Delete` does nothing."""
    status, reason = "SUCCESS", ""
    try:
        if event["RequestType"] != "Delete":
            run(Path(os.environ.get("LAMBDA_TASK_ROOT", ".")))
    except Exception as error:
        logger.exception("migration failed")
        status, reason = "FAILED", f"{type(error).__name__}: {error}"[:1000]
    _answer(event, status, reason)


def _administrator() -> tuple[Raw, str]:
    """RDS changes the password every seven days: one that is refused may have been changed since it was read."""
    import boto3  # only here: the layer's other modules have no use for it
    from botocore.config import Config

    env = msgspec.convert(dict(os.environ), _Environment, strict=False)
    secrets = boto3.client("secretsmanager", config=Config(connect_timeout=3, read_timeout=5))

    def connected() -> Raw:
        secret = json.loads(secrets.get_secret_value(SecretId=env.admin_secret_arn)["SecretString"])
        user, password, ca_file = secret["username"], secret["password"], env.database_ca_file or str(RDS_ROOTS)
        return connect_as(env.database_host, env.database_port, user, password, ca_file, read_timeout=STATEMENT_SECONDS)

    for pause in PAUSES:
        try:
            return connected(), env.database_password
        except OperationalError as error:
            if error.args[0] != ER.ACCESS_DENIED_ERROR:
                raise
            logger.info("the administrator's password was refused, its secret is read again", extra={"seconds": pause})
            time.sleep(pause)
    return connected(), env.database_password


def _answer(event: dict[str, Any], status: str, reason: str) -> None:
    """Tell CloudFormation, which waits for it (AWS CloudFormation User Guide, "Custom resource response objects")."""
    body = {
        "Status": status,
        "Reason": reason or "see the function's log",
        "PhysicalResourceId": "migrations",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    request = urllib.request.Request(
        event["ResponseURL"], json.dumps(body).encode(), headers={"Content-Type": ""}, method="PUT"
    )
    urllib.request.urlopen(request, timeout=10).close()


def _prepare(cursor: Any, service: str, password: str) -> None:
    """The service's schema, the record of its migrations, and its user with rights on that schema alone."""
    if not re.fullmatch(r"[a-z][a-z0-9]{0,30}", service):  # in a GRANT, _ stands for any character
        raise ValueError(f"{service!r} cannot name a schema")
    cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{service}` CHARACTER SET utf8mb4 COLLATE {COLLATION}")
    cursor.execute(
        f"""
        CREATE TABLE IF NOT EXISTS `{service}`.schema_migrations (
            name       VARCHAR(128) NOT NULL PRIMARY KEY,
            checksum   CHAR(64)     NOT NULL,
            applied_at DATETIME(6)  NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
        )
        """
    )
    if password:
        cursor.execute(f"CREATE USER IF NOT EXISTS '{service}'@'%%' IDENTIFIED BY %s", (password,))
    else:
        cursor.execute(
            f"CREATE USER IF NOT EXISTS '{service}'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL"
        )
    cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{service}`.* TO '{service}'@'%'")


def _apply(cursor: Any, migrations: list[Migration]) -> list[str]:
    cursor.execute("SELECT name, checksum FROM schema_migrations")
    recorded = {row["name"]: row["checksum"] for row in cursor.fetchall()}
    applied = []
    for migration in migrations:
        if migration.name not in recorded:
            _make(cursor, migration, recorded)
            applied.append(migration.name)
        elif recorded[migration.name] != migration.checksum:
            raise MigrationChanged(migration.name)
    return applied


def _make(cursor: Any, migration: Migration, recorded: dict[str, str]) -> None:
    begun = f"begun: {migration.name}"
    made = MADE if recorded.get(begun) == migration.checksum and len(migration.statements) == 1 else set()
    cursor.execute("REPLACE INTO schema_migrations (name, checksum) VALUES (%s, %s)", (begun, migration.checksum))
    cursor.connection.commit()
    try:
        for statement in migration.statements:
            cursor.execute(statement)
    except MySQLError as error:
        if error.args[0] not in made:
            with suppress(MySQLError):  # refused, so not made; who has lost the connection cannot know
                cursor.connection.rollback()
                cursor.execute("DELETE FROM schema_migrations WHERE name = %s", (begun,))
                cursor.connection.commit()
            raise
        logger.info("a migration had been made by a run that was cut off", extra={"migration": migration.name})
    cursor.execute("UPDATE schema_migrations SET name = %s WHERE name = %s", (migration.name, begun))
    cursor.connection.commit()


def _read(folder: Path, prefix: str) -> Iterator[Migration]:
    """The files of a folder in the order of their numbers. A statement ends with a semicolon at the end of a line."""
    for path in sorted(folder.glob("[0-9]*.sql")):
        text = path.read_text(encoding="utf-8")
        code = re.sub(r"^\s*--.*\n?", "", text, flags=re.MULTILINE)
        statements = [part.strip() for part in re.split(r";[ \t]*$", code, flags=re.MULTILINE) if part.strip()]
        if len(statements) > 1 and not path.name.startswith("0001_"):
            raise MigrationTooLong(f"{prefix}/{path.name}: one statement a file, so that a file is applied or not")
        yield Migration(f"{prefix}/{path.name}", hashlib.sha256(text.encode()).hexdigest(), statements)
