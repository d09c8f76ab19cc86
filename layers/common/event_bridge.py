"""PutEvents, the one call that every service makes to AWS. Importing botocore for it takes as long as starting four
bare functions, http.client a third of one. A failure that may pass is tried a second time. Of HTTP it understands only
what AWS sends: answers that have a length.
"""

import os
import random
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from select import select
from typing import Any
from urllib.parse import urlsplit

import msgspec

from common import sigv4
from common.connection import AMAZON_ROOTS, of_the_rest, tls

CONNECT_SECONDS, READ_SECONDS = 2, 5
_BROKEN = {500, 502, 503, 504}
_STALE_CREDENTIALS = {"ExpiredTokenException", "UnrecognizedClientException"}


class Refused(Exception):
    """AWS answered with an error: its code, or its status where the answer is not AWS's own."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.status = code, status


class BusUnavailable(Exception):
    """The bus was not reached, or its answer not heard; it may have taken what was sent."""


class EventBridge:
    """May be shared by threads: each call has a connection to itself, which is kept for others after it."""

    def __init__(self, region: str) -> None:
        self._region = region
        named = os.environ.get("AWS_ENDPOINT_URL_EVENTBRIDGE") or os.environ.get("AWS_ENDPOINT_URL")
        self._address = urlsplit(named or f"https://events.{region}.amazonaws.com")
        self._idle: list[socket.socket] = []

    def put_events(self, *, Entries: Sequence[dict[str, str]]) -> dict[str, Any]:  # noqa: N803  # AWS's name
        """AWS's answer, at the second attempt where that may help: so the bus may get an event twice, which receivers
        know by its id. Raises Refused, BusUnavailable, and LookupError without credentials."""
        body = msgspec.json.encode({"Entries": Entries})
        longest = 0.05
        try:
            return self._call(body)
        except Refused as error:
            if error.code in _STALE_CREDENTIALS:
                sigv4.forget()
            if error.code == "ThrottlingException":
                longest = 1
            elif error.status not in _BROKEN:
                raise
        except BusUnavailable:
            self._idle.clear()  # they are as old as the one that failed, and perhaps as dead
        time.sleep(random.random() * longest)
        return self._call(body)

    def _call(self, body: bytes) -> dict[str, Any]:
        try:
            headers = self.headers(body, datetime.now(UTC))
            status, content = self._ask(self._kept() or self._opened(), headers, body)
            if status == 200:
                return msgspec.json.decode(content, type=dict[str, Any])
        except (OSError, ValueError) as error:  # not reached, not heard, not understood
            raise BusUnavailable from error
        raise Refused(_code(content) or str(status), status)

    def headers(self, body: bytes, now: datetime) -> dict[str, str]:
        """Of the request, signed at that time. Raises what `credentials` does."""
        headers = {"content-type": "application/x-amz-json-1.1", "host": self._address.netloc}
        return sigv4.signed("events", self._region, headers | {"x-amz-target": "AWSEvents.PutEvents"}, body, now)

    def _ask(self, connection: socket.socket, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.settimeout(of_the_rest(READ_SECONDS))
        try:
            connection.sendall(f"POST / HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body)
            with connection.makefile("rb") as answer:
                _, code, *_ = answer.readline().split()
                status = int(code)
                fields = dict(line.lower().split(b":", 1) for line in iter(answer.readline, b"\r\n"))
                content = answer.read(length := int(fields.get(b"content-length", b"")))
            if len(content) < length:
                raise ConnectionError("the answer ends before its end")
        except BaseException:
            connection.close()
            raise
        if b"close" in fields.get(b"connection", b""):
            connection.close()
        else:
            self._idle.append(connection)
        return status, content

    def _kept(self) -> socket.socket | None:
        """One that is idle, on which nothing came meanwhile: that would be its end."""
        while self._idle:
            connection = self._idle.pop()
            if not select([connection], [], [], 0)[0]:
                return connection
            connection.close()
        return None

    def _opened(self) -> socket.socket:
        host = (self._address.hostname or "").encode("ascii")  # as for the database: a text costs 3 ms
        secure = self._address.scheme == "https"
        address: Any = host, self._address.port or (443 if secure else 80)
        connection = socket.create_connection(address, of_the_rest(CONNECT_SECONDS))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if secure:
            connection = tls(str(AMAZON_ROOTS)).wrap_socket(connection, server_hostname=host)
        return connection


def _code(content: bytes) -> str:
    """Of an error of AWS's own, {"__type": "com.example#ThrottlingException:..."}; empty when it is somebody else's."""
    try:
        kind = msgspec.json.decode(content, type=dict[str, Any]).get("__type")
    except msgspec.DecodeError:
        return ""
    return str(kind or "").partition(":")[0].rpartition("#")[2]
