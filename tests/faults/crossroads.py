"""Where calls between services pass in the ECS design: seen, as those to the database are by the tap, and hindered."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import urllib3

from tests.faults.calls import Calls, Cut

RECEIVERS = {
    "contacts": "notifications",
    "news": "notifications",
    "orders": "orders",
    "payments": "payments",
    "products": "catalog",
    "reservations": "inventory",
    "shipments": "shipping",
}
"""Who answers `/internal/…`, by what comes next in the path."""
_IDENTIFIER = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Crossroads:
    """`url` is for NEIGHBOUR_URL. Who is `away` hangs up on all calls, who is `stuck` answers none; who is `mute` does
    what it is asked and then hangs up. `deadlines` is how much time callers said that they had."""

    def __init__(self, url: str, ports: dict[str, int], calls: Calls | None) -> None:
        self.url, self.ports, self.calls = url, ports, calls
        self.away: set[str] = set()
        self.stuck: set[str] = set()
        self.mute: set[str] = set()
        self.asked: list[str] = []
        self.deadlines: list[int] = []

    def recover(self) -> None:
        for those in (self.away, self.stuck, self.mute):
            those.clear()


@contextmanager
def crossroads(ports: dict[str, int], calls: Calls | None = None) -> Iterator[Crossroads]:
    """For the length of a block. `ports` are those of the services; what passes is one of the `calls`."""
    http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=30), retries=False)

    class Handler(BaseHTTPRequestHandler):
        """HTTP/1.0: a connection a call."""

        def pass_on(self) -> None:
            request = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            service = RECEIVERS[self.path.partition("?")[0].split("/")[2]]
            name = f"{self.command} {service}{_IDENTIFIER.sub('…', self.path)}"
            here.asked.append(name)
            here.deadlines.append(int(self.headers["Request-Timeout-Millis"]))
            try:
                if here.calls:
                    here.calls.sent(name)
                if service in here.away:
                    raise Cut
                if service in here.stuck:
                    self.connection.recv(1)  # until the client gives up
                    raise Cut
                answer = http.request(
                    self.command,
                    f"http://127.0.0.1:{here.ports[service]}{self.path}",
                    body=request,
                    headers=dict(self.headers.items()),
                )
                if here.calls:
                    here.calls.answered()
                if service in here.mute:
                    raise Cut
                self.send_response(answer.status)
                for header in ("Content-Type", "Content-Length", "Retry-After"):
                    if header in answer.headers:
                        self.send_header(header, answer.headers[header])
                self.end_headers()
                self.wfile.write(answer.data)
            except (Cut, OSError, urllib3.exceptions.HTTPError):
                self.close_connection = True  # without an answer

        do_GET = do_POST = do_PUT = do_DELETE = pass_on  # noqa: N815  # as http.server looks for them

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = Crossroads(f"http://127.0.0.1:{server.server_port}", ports, calls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        http.clear()
