"""What RDS Proxy is to its callers: many sessions on a few connections to the database, each lent for a transaction.

A session that sends what RDS Proxy pins for keeps its connection until it leaves, and is counted. Who logs in is not
checked.
"""

import queue
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from common.connection import connect_as
from localcloud.home import REPOSITORY
from localcloud.mariadb import Server
from tests.faults.tap import _packet
from tests.integration.database import PASSWORD
from tests.integration.general_log import ON_CONNECTING, Statement
from tests.integration.test_statements import pins

QUIT, QUERY = 1, 3
OK, END, ERROR, IN_TRANSACTION = 0x00, 0xFE, 0xFF, 1


@contextmanager
def multiplexed(server: Server, service: str, connections: int) -> Iterator[tuple[Server, Callable[[], int]]]:
    """The same server at another port, where all sessions share so many connections of the user `service`; and how many
    sessions have been pinned so far. A process of its own."""
    command = [sys.executable, "-m", "bench.multiplexer", str(server.directory), str(server.port), service]
    with subprocess.Popen(
        [*command, str(connections)], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout

        def pinned() -> int:
            print(file=process.stdin, flush=True)
            return int(process.stdout.readline())  # type: ignore[union-attr]

        try:
            yield replace(server, port=int(process.stdout.readline())), pinned
        finally:
            process.kill()


class Multiplexer:
    def __init__(self, server: Server, service: str, connections: int) -> None:
        self.pinned = 0
        self._lent: queue.Queue[ssl.SSLSocket] = queue.Queue()
        self._raw = [
            connect_as(server.host, server.port, service, PASSWORD, str(server.ca_file), service)
            for _ in range(connections)
        ]
        for raw in self._raw:
            raw._sock.settimeout(None)  # type: ignore[attr-defined]
            self._lent.put(raw._sock)  # type: ignore[attr-defined]
        with socket.create_connection((server.host, server.port)) as greeted:
            self._greeting = _packet(greeted)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(server.directory / "server.pem", server.directory / "server.key")

    def serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(self._greeting)
            _packet(client)  # asks for TLS
            with self._tls.wrap_socket(client, server_side=True) as session:
                _packet(session)  # logs in
                session.sendall(_ok(3))
                self._converse(session)

    def _converse(self, session: ssl.SSLSocket) -> None:
        connection, pinned = None, False
        try:
            while (packet := _packet(session)) and packet[4] != QUIT:
                statement = packet[5:].decode(errors="replace")
                if statement in ON_CONNECTING:  # all connections have these values
                    session.sendall(_ok(1))
                    continue
                if not pinned and pins(Statement("", 0, "Query" if packet[4] == QUERY else "Other", statement)):
                    pinned = True
                    self.pinned += 1
                connection = connection or self._lent.get()
                connection.sendall(packet)
                answer, in_transaction = _answer(connection)
                if not (in_transaction or pinned):
                    self._lent.put(connection)
                    connection = None
                session.sendall(answer)
        finally:
            if connection:
                connection.sendall(b"\x09\0\0\0\x03ROLLBACK")
                _answer(connection)
                self._lent.put(connection)


def _ok(number: int) -> bytes:
    """An answer, the packet of that number of an exchange: done, and no transaction is open."""
    return bytes([7, 0, 0, number, OK, 0, 0, 0, 0, 0, 0])


def _answer(connection: ssl.SSLSocket) -> tuple[bytes, bool]:
    """All packets of an answer, and whether a transaction is open after it. Of an error that is assumed."""
    packets = [_packet(connection)]
    if packets[0][4] == OK:
        return packets[0], bool(_status(packets[0]) & IN_TRANSACTION)
    ends = 0
    while packets[-1][4] != ERROR and ends < 2:  # columns, and rows
        packets.append(_packet(connection))
        ends += packets[-1][4] == END and len(packets[-1]) < 13
    return b"".join(packets), packets[-1][4] == ERROR or bool(packets[-1][7] & IN_TRANSACTION)


def _status(ok: bytes) -> int:
    """Behind two numbers, whose first byte tells how long they are."""
    place = 5
    for _ in range(2):
        place += {0xFC: 3, 0xFD: 4, 0xFE: 9}.get(ok[place], 1)
    return ok[place]


def _main(directory: str, port: str, service: str, connections: str) -> None:
    multiplexer = Multiplexer(Server(Path(directory), int(port), ""), service, int(connections))
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)

    def accept() -> None:
        while True:
            threading.Thread(target=multiplexer.serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    while sys.stdin.readline():
        print(multiplexer.pinned, flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
