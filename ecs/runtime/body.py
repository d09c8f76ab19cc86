"""The body of a request: limited in size and time."""

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any

LARGEST = 1024 * 1024  # what a route takes is for its resolver to say
TO_THE_END = 10 * 1024 * 1024  # as much is heard out, and thrown away: who still sends may not see an answer
PART = 64 * 1024
SECONDS = 3.0


class BadBody(Exception):
    """It cannot be had. `status` is the answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def body(environ: Mapping[str, Any]) -> bytes:
    """Raises BadBody: 413 above 1 MiB; 408 when it does not come in 3 s."""
    told = environ.get("CONTENT_LENGTH") or ""
    if told and not (told.isascii() and told.isdigit()):
        raise BadBody(400, "the header Content-Length is not a number")
    if not told and "HTTP_TRANSFER_ENCODING" not in environ:
        return b""
    if told and int(told) > TO_THE_END:
        raise BadBody(413, f"the body is larger than {LARGEST} bytes")
    began, late = time.monotonic(), Timer(SECONDS, _stop_reading, (int(environ["SERVER_PORT"]),))
    late.start()
    try:
        read: bytes = environ["wsgi.input"].read(LARGEST + 1)
        more = len(read) - LARGEST
        while 0 < more < TO_THE_END and (part := environ["wsgi.input"].read(PART)):
            more += len(part)
    finally:
        late.cancel()
    if time.monotonic() - began >= SECONDS:
        raise BadBody(408, f"the body did not come within {SECONDS:.0f} s")
    if len(read) > LARGEST:
        raise BadBody(413, f"the body is larger than {LARGEST} bytes")
    if len(read) < int(told or 0):
        raise BadBody(400, "the body ended early")
    return read


def _stop_reading(port: int) -> None:
    """Nothing more will be read from this worker's caller: what waits for it, in the server's own code, comes back.

    A worker has one connection at a time; what else is open here has another port of its own.
    """
    for descriptor in Path("/dev/fd").iterdir():
        with suppress(OSError):  # many are no sockets
            connection = socket.socket(fileno=int(descriptor.name))
            try:
                if connection.family in (socket.AF_INET, socket.AF_INET6) and connection.getsockname()[1] == port:
                    connection.getpeername()  # raises for the one that listens, which is to go on
                    connection.shutdown(socket.SHUT_RD)
            finally:
                connection.detach()  # it is not ours to close
