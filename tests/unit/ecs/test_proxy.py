"""An event made of a WSGI request is what API Gateway would have made of it."""

from typing import Any

import pytest

from common.http import Resolver
from ecs.runtime.proxy import answer, event, route
from tests.integration.gateway import api_event

app = Resolver("workshop", {})


@app.get("/lamps/<lamp_id>")
def lamp(lamp_id: str) -> dict[str, Any]:
    return {"lamp_id": lamp_id}


def environ(method: str = "GET", path: str = "/lamps/7", **variables: str) -> dict[str, Any]:
    return {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", **variables}


def test_it_has_what_an_event_of_the_gateway_has() -> None:
    given, made = api_event("GET", "/lamps/7"), event(environ(), b"", "request-7", None, {})
    assert set(made) == set(given)
    assert made["requestContext"]["requestId"] == "request-7"


def test_its_resource_is_the_route_and_not_what_was_asked_for() -> None:
    found = route(app, environ())
    assert event(environ(), b"", "r", found, {})["resource"] == "/lamps/{lamp_id}"
    for other in (environ(path="/lamps"), environ("POST")):
        assert route(app, other) is None
        assert event(other, b"", "r", None, {})["resource"] == "/{proxy+}"


def test_without_claims_there_is_no_authorizer() -> None:
    assert "authorizer" not in event(environ(), b"", "r", None, {})["requestContext"]


def test_claims_are_text_as_the_authorizer_passes_them_on() -> None:
    claims = {"sub": "alice", "cognito:groups": ["night", "staff"], "email_verified": True, "exp": 7}
    assert event(environ(), b"", "r", None, claims)["requestContext"]["authorizer"]["claims"] == {
        "sub": "alice",
        "cognito:groups": "night,staff",
        "email_verified": "true",
        "exp": "7",
    }


@pytest.mark.parametrize(
    ("query", "last", "every"),
    [
        ("", None, None),
        ("a=1&a=2&b=", {"a": "2", "b": ""}, {"a": ["1", "2"], "b": [""]}),
        ("q=%E6%A4%80+x", {"q": "椀 x"}, {"q": ["椀 x"]}),
        ("q=%ff", {"q": "\N{REPLACEMENT CHARACTER}"}, {"q": ["\N{REPLACEMENT CHARACTER}"]}),
    ],
)
def test_a_query_is_there_once_and_in_full(query: str, last: object, every: object) -> None:
    made = event(environ(QUERY_STRING=query), b"", "r", None, {})
    assert (made["queryStringParameters"], made["multiValueQueryStringParameters"]) == (last, every)


@pytest.mark.parametrize(
    ("sent", "body"), [(b"", None), ("椀".encode(), "椀"), (b"a\xff", "a\N{REPLACEMENT CHARACTER}")]
)
def test_a_body_is_text(sent: bytes, body: str | None) -> None:
    made = event(environ("POST"), sent, "r", None, {})
    assert (made["body"], made["isBase64Encoded"]) == (body, False)


def test_headers_have_their_usual_names() -> None:
    made = event(environ(HTTP_IDEMPOTENCY_KEY="key", CONTENT_TYPE="text/plain"), b"", "r", None, {})
    assert made["headers"] == {"Idempotency-Key": "key", "Content-Type": "text/plain"}


@pytest.mark.parametrize(
    ("result", "status", "headers", "content"),
    [
        ({"statusCode": 204}, "204 No Content", [], b""),
        (
            {"statusCode": 200, "multiValueHeaders": {"X": ["1", "2"]}, "body": "椀"},
            "200 OK",
            [("X", "1"), ("X", "2"), ("Content-Length", "3")],
            "椀".encode(),
        ),
        (
            {"statusCode": 200, "body": "AP8=", "isBase64Encoded": True},
            "200 OK",
            [("Content-Length", "2")],
            b"\x00\xff",
        ),
    ],
)
def test_an_answer_goes_out_as_it_was_given(
    result: dict[str, Any], status: str, headers: list[tuple[str, str]], content: bytes
) -> None:
    started: list[tuple[str, list[tuple[str, str]]]] = []
    assert answer(lambda line, named: started.append((line, named)), result) == [content]
    assert started == [(status, headers)]
