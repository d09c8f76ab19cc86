"""Every error is a problem (RFC 9457) that says nothing it should not."""

import io
import json
import re
from typing import Any

import pymysql
import pytest

from common import http
from common.database import Contention, DatabaseUnavailable
from common.http import Problem, RequestInProgress, Resolver
from common.observability import count, logger
from tests.integration.gateway import Context, api_event, ask


class LampNotFound(Exception):
    pass


class LampTooHot(Exception):
    pass


class LampUnpaid(Exception):
    pass


class BulbUnknown(Exception):
    field = "bulbs[0]"


class Oven:
    """A route that raises what it is told to, in turn, and then answers."""

    def __init__(self) -> None:
        self.app = Resolver("workshop", {LampNotFound: 404, LampTooHot: 409, BulbUnknown: 422, LampUnpaid: 422})
        self.errors: list[BaseException] = []
        self.app.post("/lamps")(self.light)

    def light(self) -> tuple[Any, int]:
        if self.errors:
            raise self.errors.pop(0)
        return {"lit": True}, 202

    def ask(self, *errors: BaseException) -> Any:
        self.errors = list(errors)
        return ask(self.app.handler, "POST", "/lamps", request_id="request-7")


@pytest.fixture
def oven() -> Oven:
    return Oven()


def test_an_answer_is_json_with_the_status_of_its_route(oven: Oven) -> None:
    answer = oven.ask()
    assert (answer.status, answer.json, answer.headers["Content-Type"]) == (202, {"lit": True}, "application/json")


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (LampNotFound("no lamp 7"), 404, "Not Found"),
        (LampTooHot("lamp 7 is hot"), 409, "Conflict"),
        (Problem(413, "too much"), 413, None),
        (Problem(400, "bad"), 400, "Bad Request"),
    ],
)
def test_a_domain_error_becomes_a_problem(oven: Oven, error: Exception, status: int, title: str | None) -> None:
    answer = oven.ask(error)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.status == answer.json["status"] == status
    assert set(answer.json) == {"type", "title", "status", "detail", "request_id"}
    assert (answer.json["detail"], answer.json["request_id"]) == (str(error), "request-7")
    assert title in (None, answer.json["title"])


def test_a_domain_error_that_knows_its_field_names_it(oven: Oven) -> None:
    assert oven.ask(BulbUnknown("no such bulb")).json["errors"] == [{"field": "bulbs[0]", "message": "no such bulb"}]


@pytest.mark.parametrize("error", [Problem(422, "used before"), LampUnpaid("used before")])
def test_a_422_of_no_field_is_about_the_body(oven: Oven, error: Exception) -> None:
    assert oven.ask(error).json["errors"] == [{"field": "body", "message": "used before"}]


def test_an_unexpected_error_says_nothing_of_itself(oven: Oven) -> None:
    answer = oven.ask(RuntimeError("password=hunter2"))
    assert answer.status == answer.json["status"] == 500
    assert answer.json["request_id"] == "request-7"
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text


def test_the_log_names_an_unexpected_error_and_its_place_but_nothing_of_what_it_says(
    oven: Oven, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    error = RuntimeError("canary")
    error.__cause__ = pymysql.err.DataError(1406, "Data too long: canary")
    oven.ask(error)
    assert "canary" not in log.getvalue() + "".join(capfd.readouterr())
    line = json.loads(log.getvalue().splitlines()[0])
    found = {name: line[name] for name in ("level", "error", "causes", "code")}
    assert found == {"level": "ERROR", "error": "RuntimeError", "causes": ["DataError"], "code": 1406}
    assert re.search(r"/test_http\.py:\d+ in light$", line["frames"][-1])


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("DELETE", "/lamps"), ("GET", "/"), ("GET", "/lamps/%00")]
)
def test_an_unknown_route_is_a_problem(oven: Oven, method: str, path: str) -> None:
    answer = ask(oven.app.handler, method, path)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert set(answer.json) == {"type", "title", "status", "detail", "request_id"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, 202),
        (LampNotFound("no lamp 7"), 404),
        (Problem(401, "who are you?"), 401),
        (RuntimeError("a bug"), 500),
        (DatabaseUnavailable("away"), 503),
    ],
)
def test_pages_of_one_origin_may_read_every_answer_where_it_is_set_and_else_nobody_is_told_anything(
    oven: Oven, error: Exception | None, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [error] if error else []
    assert not [name for name in oven.ask(*errors).headers if name.startswith("Access-Control")]
    monkeypatch.setenv("ALLOWED_ORIGIN", "")
    assert not [name for name in oven.ask(*errors).headers if name.startswith("Access-Control")]
    monkeypatch.setenv("ALLOWED_ORIGIN", "https://shop.example.com")
    answer = oven.ask(*errors)
    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example.com"
    assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After,X-Amzn-RequestId"


def test_pages_may_read_that_there_is_no_such_route_too(oven: Oven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_ORIGIN", "https://shop.example.com")
    answer = ask(oven.app.handler, "GET", "/nowhere")
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (404, "https://shop.example.com")


def test_without_a_database_the_caller_is_told_when_to_come_back(oven: Oven) -> None:
    answer = oven.ask(DatabaseUnavailable("10.0.0.7 refused"))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "10.0.0.7" not in answer.text


def test_contention_is_tried_again(oven: Oven) -> None:
    assert oven.ask(Contention("row 1"), Contention("row 1")).status == 202
    assert oven.errors == []


@pytest.mark.parametrize(("error", "status"), [(Contention("row 1"), 503), (RequestInProgress(), 409)])
def test_lasting_contention_ends(oven: Oven, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int) -> None:
    monkeypatch.setattr(http, "RETRY_SECONDS", 0.0)
    answer = oven.ask(error)
    assert (answer.status, answer.headers["Retry-After"]) == (status, "5")


def test_failures_are_counted_once_in_a_metric_of_their_invocation(
    oven: Oven, capsys: pytest.CaptureFixture[str]
) -> None:
    oven.ask(RuntimeError())
    metrics = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" in line]
    assert [(line["RequestsFailed"], line["_aws"]["CloudWatchMetrics"][0]["Namespace"]) for line in metrics] == [
        ([1.0], "Kumiki")
    ]
    oven.ask()
    assert "_aws" not in capsys.readouterr().out


def test_every_line_of_a_request_carries_its_id_and_no_other_requests(
    oven: Oven, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    oven.ask(RuntimeError())
    ask(oven.app.handler, "POST", "/lamps", request_id="request-8")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["correlation_id"] for line in lines] == ["request-7", "request-7", "request-8"]
    assert "error" not in lines[-1]
    last = {name: lines[-1][name] for name in ("method", "route", "status", "message")}
    assert last == {"method": "POST", "route": "/lamps", "status": 202, "message": "request"}


def test_metrics_are_written_even_when_the_handler_itself_fails(oven: Oven, capsys: pytest.CaptureFixture[str]) -> None:
    event = api_event("POST", "/lamps")
    event["requestContext"] = {}
    count("RequestsFailed")
    with pytest.raises(KeyError):
        oven.app.handler(event, Context())
    assert "RequestsFailed" in capsys.readouterr().out
