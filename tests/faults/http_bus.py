"""An event bus and a post office that speak HTTP, for execution environments of their own."""

import base64
import json
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from common.event_bridge import Refused
from tests.faults.calls import Calls, Cut
from tests.integration.fake_bus import Entry, FakeBus

_IDENTIFIER = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SENT = b"""<SendRawEmailResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/">
<SendRawEmailResult><MessageId>0101</MessageId></SendRawEmailResult></SendRawEmailResponse>"""


class Silence(Enum):
    """Of a bus that does not answer: before it took the events, or after."""

    DEAF = "took nothing"
    MUTE = "took all"


class HttpBus(FakeBus):
    """Takes what comes in by one of its doors. To be deaf or mute is one more way in which it can fail."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: dict[str, list[str]] = defaultdict(list)
        """By order, the subjects of the mails that SES took, which is all that it ever does here."""
        self._silence: Callable[[Entry], Silence | None] = lambda entry: None

    def fall_silent(self, how: Callable[[Entry], Silence | None]) -> None:
        """From now on, calls with an entry for which `how` says so are not answered: the client may wait for ever."""
        self._silence = how

    def recover(self) -> None:
        super().recover()
        self._silence = lambda entry: None

    def silence(self, entries: list[Entry]) -> Silence | None:
        return next(filter(None, map(self._silence, entries)), None)


@contextmanager
def door(bus: HttpBus, calls: Calls | None = None) -> Iterator[str]:
    """An address of the bus, for the length of a block. What comes in by it is one of the `calls`."""

    class Handler(_Handler):
        def put(self, entries: list[Entry]) -> None:
            _put(self, bus, calls, entries)

        def send(self, form: dict[str, list[str]]) -> None:
            _send(self, bus, calls, form)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.0: a connection a call, so that no two environments ever share one."""

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            if self.headers["X-Amz-Target"] == "AWSEvents.PutEvents":
                self.put(json.loads(request)["Entries"])
            else:
                self.send(parse_qs(request.decode()))
        except (Cut, OSError):
            self.close_connection = True  # without an answer

    def put(self, entries: list[Entry]) -> None:
        raise NotImplementedError

    def send(self, form: dict[str, list[str]]) -> None:
        raise NotImplementedError

    def answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def wait_for_the_client_to_give_up(self) -> None:
        self.connection.recv(1)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Nobody reads it."""


def _put(handler: _Handler, bus: HttpBus, calls: Calls | None, entries: list[Entry]) -> None:
    if calls:
        calls.sent("PutEvents")
    silence = bus.silence(entries)
    if silence is not Silence.DEAF:
        status, body = _answer(bus, entries)
    if calls:
        calls.answered()
    if silence:
        handler.wait_for_the_client_to_give_up()
    else:
        handler.answer(status, json.dumps(body).encode())


def _answer(bus: HttpBus, entries: list[Entry]) -> tuple[int, dict[str, Any]]:
    try:
        return 200, bus.put_events(Entries=entries)
    except Refused as error:
        return 400, {"__type": error.code, "message": "refused"}


def _send(handler: _Handler, bus: HttpBus, calls: Calls | None, form: dict[str, list[str]]) -> None:
    assert form["Action"] == ["SendRawEmail"]
    if calls:
        calls.sent("SendRawEmail")
    mail = message_from_bytes(base64.b64decode(form["RawMessage.Data"][0]), policy=default)
    [order_id] = set(_IDENTIFIER.findall(mail.get_body(("plain",)).get_content()))  # type: ignore[union-attr]
    bus.mails[order_id].append(mail["Subject"])
    if calls:
        calls.answered()
    handler.answer(200, _SENT)
