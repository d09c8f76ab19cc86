"""Stands between an execution environment and MariaDB, ends TLS on both sides, and sees each call that passes."""

import re
import select
import socket
import ssl
import threading
from contextlib import closing, suppress

from localcloud.mariadb import Server
from tests.faults.calls import Calls, Cut

_COMMAND = 0  # the sequence number of a packet that begins a command; others go on with a login
_WRITES = {"INSERT", "UPDATE", "DELETE"}
_VERB_AND_TABLE = re.compile(r"\s*(\w+)(?:.*?\b(?:FROM|INTO|UPDATE)\s+`?(\w+))?", re.DOTALL)


class Tap:
    """Use `port` instead of the server's. `quiet` waits until everybody has hung up.

    Without `ends_of_reads`, a COMMIT after which nothing was written is not told: nobody waits for its answer, so
    whether it or the next call to somebody else is first is left to chance.
    """

    def __init__(self, server: Server, calls: Calls, ends_of_reads: bool = True) -> None:
        self._server, self._calls, self._ends_of_reads = server, calls, ends_of_reads
        self._listener = socket.create_server((server.host, 0))
        self._connections: list[threading.Thread] = []
        self._to_client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._to_client.load_cert_chain(server.directory / "server.pem", server.directory / "server.key")
        self._to_client.num_tickets = 0
        self._to_server = ssl.create_default_context(cafile=str(server.ca_file))
        self._to_server.maximum_version = ssl.TLSVersion.TLSv1_2  # a later one speaks without being asked
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def quiet(self) -> None:
        while self._connections:
            self._connections.pop().join(30)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # which wakes the acceptor
        self._listener.close()
        self._acceptor.join()
        self.quiet()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._connections.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        address = (self._server.host, self._server.port)
        with suppress(Cut, OSError), closing(client), closing(socket.create_connection(address)) as server:
            self._calls.sent("connect")
            client.sendall(_packet(server))  # the server speaks first
            server.sendall(_packet(client))  # the client asks for TLS
            with (
                closing(self._to_client.wrap_socket(client, server_side=True)) as client_over_tls,
                closing(self._to_server.wrap_socket(server, server_hostname=self._server.host)) as server_over_tls,
            ):
                self._calls.answered()
                self._converse(client_over_tls, server_over_tls)

    def _converse(self, client: ssl.SSLSocket, server: ssl.SSLSocket) -> None:
        """One asks, one answers: nobody here speaks out of turn."""
        wrote = False
        while packet := _packet(client):
            call = _named(packet)
            told = call != "COMMIT" or wrote or self._ends_of_reads
            wrote = call != "COMMIT" and (wrote or call.split()[0] in _WRITES)
            if told:
                self._calls.sent(call)
            server.sendall(packet)
            answer = server.recv(65536)
            if told:
                self._calls.answered()
            while answer:
                client.sendall(answer)
                answer = server.recv(65536) if _more(server, client) else b""


def _more(server: ssl.SSLSocket, client: ssl.SSLSocket) -> bool:
    """Whether the server goes on with its answer; else the client is next."""
    return bool(server.pending()) or client not in select.select([server, client], [], [])[0]


def _packet(source: socket.socket) -> bytes:
    """A packet of the protocol, with its header; nothing when the other side has hung up."""
    header = _exactly(source, 4)
    return header + _exactly(source, int.from_bytes(header[:3], "little")) if header else b""


def _exactly(source: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = source.recv(length - len(data))
        if not part:
            return b""
        data += part
    return data


def _named(packet: bytes) -> str:
    """`INSERT outbox`, `COMMIT`, `log in`."""
    if packet[3] != _COMMAND:
        return "log in"
    verb, table = _VERB_AND_TABLE.match(packet[5:].decode(errors="replace")).groups()  # type: ignore[union-attr]
    return f"{verb} {table}" if table else str(verb)
