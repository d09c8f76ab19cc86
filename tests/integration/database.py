"""A service's schema as an administrator sees it."""

from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import ER

from common import migrator
from common.connection import Raw, connect_as
from localcloud.home import REPOSITORY
from localcloud.mariadb import Server

SERVICES = REPOSITORY / "services"
WORKSHOP = Path(__file__).parent / "common" / "services"
"""Where the layer's own tests have a service, `workshop`, that sells nothing."""
PASSWORD = "password-of-every-service"


def schemas() -> list[str]:
    return sorted(path.parent.name for folder in (SERVICES, WORKSHOP) for path in folder.glob("*/migrations"))


def administrator(server: Server, schema: str | None = None) -> Raw:
    return connect_as(server.host, server.port, server.user, server.password, str(server.ca_file), schema, 60)


def migrate(server: Server) -> None:
    connection = administrator(server)
    for services in (SERVICES, WORKSHOP):
        migrator.migrate(connection, services, PASSWORD)
    connection.close()


class Database:
    """One schema, by a connection that commits every statement."""

    def __init__(self, server: Server, schema: str) -> None:
        self.server, self.schema = server, schema
        self._connection = administrator(server, schema)
        self._connection.autocommit(True)

    def execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> int:
        """Returns how many rows were matched."""
        with self._connection.cursor() as cursor:
            return cursor.execute(sql, parameters)

    def rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def value(self, sql: str, parameters: tuple[Any, ...] = ()) -> Any:
        """The only value of the only row."""
        [row] = self.rows(sql, parameters)
        [value] = row.values()
        return value

    def count(self, table: str) -> int:
        return int(self.value(f"SELECT COUNT(*) FROM `{table}`"))

    def counts(self) -> dict[str, int]:
        """How many rows each table has: equal before and after, if nothing was written."""
        return {table: self.count(table) for table in self._tables()}

    def empty(self) -> None:
        self.execute("SET foreign_key_checks = 0")
        for table in self._tables():
            self.execute(f"DELETE FROM `{table}`")
        self.execute("SET foreign_key_checks = 1")

    def connections(self) -> list[int]:
        """Those of the service. One that was closed is there until the server has noticed it."""
        rows = self.rows("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = %s", (self.schema,))
        return [row["ID"] for row in rows]

    def kill_connections(self) -> list[int]:
        """End every connection of the service, as a failover does. Returns which there were."""
        with self.server.connect(self.schema, PASSWORD) as own, own.cursor() as cursor:
            cursor.execute("SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID()")
            ids = [connection_id for (connection_id,) in cursor.fetchall()]
            for connection_id in ids:
                try:
                    cursor.execute(f"KILL {connection_id}")
                except pymysql.MySQLError as error:
                    if error.args[0] != ER.NO_SUCH_THREAD:  # it has ended by itself
                        raise
        return ids

    def close(self) -> None:
        self._connection.close()

    def _tables(self) -> list[str]:
        rows = self.rows(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME <> %s",
            (self.schema, "schema_migrations"),
        )
        return [row["TABLE_NAME"] for row in rows]
