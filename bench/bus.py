"""An event bus over HTTP, in a process of its own, whose PutEvents takes a given time; and at that address a table of
DynamoDB, in which every key is a new one."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from localcloud.home import REPOSITORY


@contextmanager
def bus(milliseconds: float) -> Iterator[str]:
    """Its address. It takes whatever comes, and keeps connections open as the real one does."""
    command = [sys.executable, "-m", "bench.bus", str(milliseconds)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"  # type: ignore[union-attr]
        finally:
            process.kill()


class _Bus(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    seconds = 0.0

    def do_POST(self) -> None:
        entries = json.loads(self.rfile.read(int(self.headers["Content-Length"]))).get("Entries", [])
        time.sleep(self.seconds)
        taken = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}] * len(entries)}
        answer = json.dumps(taken if entries else {}).encode()
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Nobody reads it."""


if __name__ == "__main__":
    _Bus.seconds = float(sys.argv[1]) / 1000
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Bus)
    print(server.server_port, flush=True)
    server.serve_forever()
