"""The database from behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pymysql
from pymysql.cursors import Cursor

from localcloud.stack import Stack


@contextmanager
def connected(stack: Stack, schema: str, autocommit: bool = True, service: str = "") -> Iterator[Cursor]:
    """A cursor of the administrator, or of a service's own user, by a connection of its own; what it did not commit is
    undone."""
    login = stack.database
    connection = pymysql.connect(
        host=str(login["host"]),
        port=int(login["port"]),
        user=service or str(login["admin_user"]),
        password=str(login["service_password" if service else "admin_password"]),
        database=schema,
        ssl_ca=str(login["ca_file"]),
        ssl_verify_cert=True,
        ssl_verify_identity=True,
        autocommit=autocommit,
    )
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def count(stack: Stack, schema: str, table: str) -> int:
    with connected(stack, schema) as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM `{table}`")
        found: int = cursor.fetchall()[0][0]
        return found


def without_deadline(stack: Stack, order_id: str) -> None:
    """For an order that a test keeps waiting: it must not expire where the machine is slow."""
    with connected(stack, "orders") as cursor:
        cursor.execute("UPDATE orders SET due_at = NULL WHERE order_id = %s", (UUID(order_id).bytes,))


def tables(stack: Stack, schema: str) -> list[str]:
    with connected(stack, schema) as cursor:
        cursor.execute("SHOW TABLES")
        return [name for (name,) in cursor.fetchall()]
