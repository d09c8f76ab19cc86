"""Whom a service calls, in their place: keeps what it is asked, and answers what it is told to. Takes mails as well."""

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import jwt

MAIL_TAKEN = (
    '<SendRawEmailResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/"><SendRawEmailResult>'
    "<MessageId>mail</MessageId></SendRawEmailResult></SendRawEmailResponse>"
)


class Asked(NamedTuple):
    """`scope` is of the token that came with it, `story` the correlation id."""

    method: str
    path: str
    body: Any
    scope: str
    key: str | None
    story: str | None


@dataclass
class Neighbourhood:
    """`answers` are a status and a body by the beginning of a path; where none fits, it is 204."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    mails: list[Message] = field(default_factory=list)
    takes_mails: bool = True

    def clear(self) -> None:
        self.asked.clear()
        self.answers.clear()
        self.mails.clear()
        self.takes_mails = True

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    def answer(self, asked: Asked) -> tuple[int, str]:
        self.asked.append(asked)
        fitting = [answer for path, answer in self.answers.items() if asked.path.startswith(path)]
        status, body = fitting[0] if fitting else (204, None)
        return status, "" if body is None else json.dumps(body)

    def post(self, form: dict[str, list[str]]) -> tuple[int, str]:
        """As SES answers."""
        if not self.takes_mails:
            return 503, ""
        self.mails.append(message_from_bytes(b64decode(form["RawMessage.Data"][0]), policy=default))
        return 200, MAIL_TAKEN


@contextmanager
def neighbourhood() -> Iterator[Neighbourhood]:
    """One that listens on loopback for the length of a block."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            if self.path == "/":
                status, text = here.post(parse_qs(body))
            else:
                token = self.headers["Authorization"].removeprefix("Bearer ")
                scope = jwt.decode(token, options={"verify_signature": False})["scope"]
                key, story = self.headers["Idempotency-Key"], self.headers["X-Correlation-Id"]
                sent = json.loads(body) if body else None
                status, text = here.answer(Asked(self.command, self.path, sent, scope, key, story))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  # as http.server looks for them

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = Neighbourhood(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
