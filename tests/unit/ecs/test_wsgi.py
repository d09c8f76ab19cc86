"""The server's own routes, before any resolver is asked."""

import io
import json
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from common.consumer import Consumer
from common.http import Resolver
from common.observability import logger
from ecs.runtime.tokens import Keys, Tokens
from ecs.runtime.wsgi import Service


class Adapter:
    overrides = None
    consumer = Consumer()


class Answer(NamedTuple):
    status: str
    headers: dict[str, str]
    problem: dict[str, Any]


def asked(method: str, path: str, secret: str = "", **headers: str) -> Answer:
    """What the server answers to a request; the names of `headers` are WSGI's."""
    tokens = Tokens("issuer", "client", Keys("http://127.0.0.1:9"))
    serve = Service("workshop", Adapter, Resolver("workshop", {}), tokens, lambda: False, secret)
    told: list[Any] = []
    body = serve({"REQUEST_METHOD": method, "PATH_INFO": path, **headers}, lambda *started: told.extend(started))
    return Answer(told[0], dict(told[1]), json.loads(b"".join(body)))


def swept(secret: str, authorization: str | None) -> str:
    """The status with which a sweep is answered that comes with such a header."""
    given = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
    return asked("POST", "/sweep", secret, **given).status


@pytest.mark.parametrize("authorization", [None, "", "secret", "s\xe9cret"])
@pytest.mark.parametrize("secret", ["", "another"])
def test_who_does_not_know_the_secret_has_nothing_swept_and_nobody_knows_an_empty_one(
    secret: str, authorization: str | None
) -> None:
    assert swept(secret, authorization) == "404 Not Found"


@pytest.mark.parametrize("path", ["/sweep", "/nowhere"])  # a refusal of the server, a problem of the resolver
def test_a_request_goes_by_the_number_that_the_front_door_gave_it(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    number = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    assert asked("GET", path, HTTP_X_REQUEST_ID=number).problem["request_id"] == number
    [line] = log.getvalue().splitlines()
    assert json.loads(line)["correlation_id"] == number


@pytest.mark.parametrize("number", [None, "", "short", "a b c d e f g h", "a,b,c,d,e", "x" * 65, '"}{"level": "INFO"'])
def test_a_request_without_a_number_that_can_be_one_gets_its_own(number: str | None) -> None:
    given = {} if number is None else {"HTTP_X_REQUEST_ID": number}
    assert UUID(asked("GET", "/nowhere", **given).problem["request_id"]).version == 7


@pytest.mark.parametrize("path", ["/sweep", "/nowhere"])
def test_pages_of_one_origin_may_read_what_the_server_itself_answers(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Access-Control-Allow-Origin" not in asked("GET", path).headers
    monkeypatch.setenv("ALLOWED_ORIGIN", "https://shop.example.com")
    assert asked("GET", path).headers["Access-Control-Allow-Origin"] == "https://shop.example.com"
