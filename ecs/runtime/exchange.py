"""One HTTP request to one address, and its answer before a given time, however slowly it trickles in."""

import socket
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from urllib3.connection import HTTPConnection

CONNECT_SECONDS = 0.5
ON_THE_WAY_SECONDS = 0.05  # kept from who answers: it has to arrive before we stop waiting
ANSWER_BYTES = 2**20


class AnswerTooLarge(Exception):
    """The answer is larger than anything that was agreed on."""


class Request(NamedTuple):
    method: str
    path: str
    body: bytes | None
    headers: Mapping[str, str]


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


def exchange(host: str, port: int, address: str, request: Request, ends: float) -> Answer:
    """Ask `host` at its `address`, by `time.monotonic() == ends`. It is told how much time it has. Redirects are not
    followed. Raises OSError (time-outs too), urllib3's HTTPError, http.client's HTTPException, AnswerTooLarge."""
    with _Socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(min(CONNECT_SECONDS, _until(ends)))
        sock.connect((address, port))
        sock.ends = ends
        connection = HTTPConnection(host, port, timeout=_until(ends))
        connection.sock = sock
        millis = str(int(_until(ends - ON_THE_WAY_SECONDS) * 1000))
        # A connection that is kept pins its caller to a task, and meets its end when that is replaced.
        headers = {**request.headers, "Request-Timeout-Millis": millis, "Connection": "close"}
        connection.request(request.method, request.path, request.body, headers, preload_content=False)
        answer = connection.getresponse()
        body = b""
        while part := answer.read(ANSWER_BYTES + 1 - len(body), decode_content=False):  # the last one sees a short body
            body += part
    if len(body) > ANSWER_BYTES:
        raise AnswerTooLarge(f"more than {ANSWER_BYTES} bytes")
    return Answer(answer.status, answer.headers, body)


class _Socket(socket.socket):
    """Reads until a time, not for a time: a time-out alone would begin again with each byte."""

    ends: float

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        self.settimeout(_until(self.ends))
        return super().recv_into(*arguments, **options)


def _until(ends: float) -> float:
    seconds = ends - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
