"""What a server was really sent, from its own general log. Only a server of one's own has one: see `listening`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from common.connection import kept
from localcloud import throwaway
from localcloud.mariadb import Server
from tests.integration.database import administrator

# The driver's own, when it connects. RDS Proxy keeps track of both, and neither pins a session.
ON_CONNECTING = {"SET NAMES utf8mb4", "SET AUTOCOMMIT = 0"}


class Statement(NamedTuple):
    user: str
    connection: int
    kind: str
    text: str

    @property
    def verb(self) -> str:
        return self.text.split(None, 1)[0].upper()


@contextmanager
def listening(template: Server) -> Iterator[Server]:
    """A server that writes down every packet of every client."""
    with throwaway.throw_away(template, "--general-log", "--log-output=TABLE") as server:
        yield server


class GeneralLog:
    def __init__(self, server: Server) -> None:
        self._connection = administrator(server)

    def clear(self) -> None:
        self._settle()
        with self._connection.cursor() as cursor:
            cursor.execute("TRUNCATE mysql.general_log")

    def statements(self) -> list[Statement]:
        """Of the services, in order, as they arrived; without connecting and leaving."""
        self._settle()
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT user_host, thread_id, command_type, argument FROM mysql.general_log")
            rows = cursor.fetchall()
        entries = [
            Statement(str(row["user_host"]).partition("[")[0], row["thread_id"], row["command_type"], _text(row))
            for row in rows
        ]
        return [
            entry
            for entry in entries
            if entry.user != "admin"
            and entry.kind not in ("Connect", "Quit", "Ping")
            and entry.text not in ON_CONNECTING
        ]

    def _settle(self) -> None:
        """What was answered comes behind a COMMIT that nobody waited for."""
        if raw := kept()._raw:
            raw.ping(reconnect=False)


def _text(row: dict[str, Any]) -> str:
    """The log's table holds characters beyond the basic plane as `\\xF0\\x9F…`: here they are what was sent again."""
    sent = re.sub(rb"\\x([0-9A-F]{2})", lambda escape: bytes.fromhex(escape[1].decode()), row["argument"].encode())
    return sent.decode(errors="replace")
