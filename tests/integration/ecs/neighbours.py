"""Tasks of a neighbour, each at an address of its own on the loopback net, and the zone in which their name stands."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Event, Thread
from typing import Any, NamedTuple

from localcloud.home import free_port

Behaviour = Callable[[BaseHTTPRequestHandler], None]

HOST = "workshop.shop.internal"
ended = Event()
"""What hangs, hangs until the test has ended."""


class Heard(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Task:
    """Answers 200 and its address, or whatever `answer` does; `heard` is what it was asked."""

    address: str
    answer: Behaviour | None = None
    heard: list[Heard] = field(default_factory=list)


@dataclass
class Zone:
    """What the resolver gives, in an order of its own, which is always the same: as glibc's does."""

    addresses: list[str]
    port: int

    def getaddrinfo(self, host: str, port: Any, *_: Any, **__: Any) -> list[Any]:
        addresses = sorted(self.addresses) if host == HOST else [host] if host[0].isdigit() else []
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


def says(status: int, content: Any = None, **headers: str) -> Behaviour:
    """`content` as JSON, or as it is where it is bytes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def after(seconds: float, answer: Behaviour) -> Behaviour:
    def late(handler: BaseHTTPRequestHandler) -> None:
        ended.wait(seconds)
        answer(handler)

    return late


def never(handler: BaseHTTPRequestHandler) -> None:
    ended.wait(30)


def raw(content: bytes, pause: float = 0) -> Behaviour:
    """These bytes, one by one where there is a pause, and then the end of the connection."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        for part in [content] if not pause else [content[i : i + 1] for i in range(len(content))]:
            handler.wfile.write(part)
            if ended.wait(pause):
                return

    return answer


@contextmanager
def tasks(*several: Task) -> Iterator[int]:
    """They listen on the port that this gives, for the length of a block."""
    port = free_port()
    with ExitStack() as stack:
        for task in several:
            stack.enter_context(_listening(task, port))
        stack.callback(ended.clear)
        stack.callback(ended.set)
        yield port


@contextmanager
def _listening(task: Task, port: int) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            task.heard.append(Heard(self.command, self.path, self.headers, body))
            (task.answer or says(200, task.address))(self)

        do_POST = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None: ...

        def handle(self) -> None:
            with suppress(ConnectionError):  # who asked has gone
                super().handle()

    class Server(ThreadingTCPServer):  # an HTTPServer would look for its address's name in the DNS
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 128

    server = Server((task.address, port), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
