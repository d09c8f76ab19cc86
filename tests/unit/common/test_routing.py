"""Who answers a request, and what it is told of it."""

from typing import Any

import pytest

from common.routing import NoSuchRoute, Request, Response, Router
from tests.integration.gateway import Context, api_event

router = Router(encode=repr)


@router.get("/lamps/<lamp_id>")
def one(lamp_id: str) -> str:
    return lamp_id


@router.get("/lamps/broken")
def broken() -> Any:
    raise FileNotFoundError("bulb")


@router.patch("/lamps/<lamp_id>/bulbs/<bulb_id>")
def bulb(bulb_id: str, lamp_id: str) -> tuple[str, int]:
    return f"{bulb_id} of {lamp_id}", 202


@router.delete("/lamps/<lamp_id>")
def gone(lamp_id: str) -> Response:
    return Response(204, "text/plain", "", {"Lamp": lamp_id})


def refused(error: Exception) -> Response:
    return Response(400, "text/plain", f"{type(error).__name__}")


router.on_error(OSError, refused)


def resolved(method: str, path: str) -> tuple[int, str, dict[str, list[str]]]:
    answer = router.resolve(api_event(method, path), Context())
    return answer["statusCode"], answer["body"], answer["multiValueHeaders"]


@pytest.mark.parametrize("path", ["/lamps/7", "/lamps/7/"])
def test_what_stands_in_an_identifiers_place_is_an_argument(path: str) -> None:
    assert resolved("GET", path) == (200, "'7'", {"Content-Type": ["application/json"]})


def test_identifiers_go_by_their_names() -> None:
    assert resolved("PATCH", "/lamps/7/bulbs/b")[:2] == (202, "'b of 7'")


def test_a_response_is_sent_as_it_is() -> None:
    assert resolved("DELETE", "/lamps/7") == (204, "", {"Content-Type": ["text/plain"], "Lamp": ["7"]})


def test_a_route_without_identifiers_comes_first_wherever_it_was_defined_and_the_next_kind_of_its_error_answers() -> (
    None
):
    assert resolved("GET", "/lamps/broken")[:2] == (400, "FileNotFoundError")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/lamps/7"),
        ("GET", "/lamps"),
        ("GET", "/lamps/"),
        ("GET", "/lamps/7/8"),
        ("GET", "/a/lamps/7"),
        ("get", "/lamps/7"),
    ],
)
def test_there_is_a_route_only_for_its_method_and_the_whole_path(method: str, path: str) -> None:
    assert router.find(method, path) is None
    router_of_none = Router(encode=repr)
    router_of_none.on_error(NoSuchRoute, refused)
    assert router_of_none.resolve(api_event(method, path), Context())["body"] == "NoSuchRoute"


def test_what_the_answer_to_an_error_raises_goes_on() -> None:
    def answer(error: Exception) -> Response:
        raise error

    failing = Router(encode=repr)
    failing.on_error(Exception, answer)
    with pytest.raises(NoSuchRoute):
        failing.resolve(api_event("GET", "/"), Context())


def test_a_header_is_found_whatever_its_case_and_what_a_request_lacks_is_empty() -> None:
    event = api_event("GET", "/lamps/7", headers={"IDEMPOTENCY-key": "k"})
    assert Request(event).headers.get("Idempotency-Key") == "k"
    bare = Request({**event, "headers": None, "queryStringParameters": None, "body": None})
    assert (bare.headers.get("Host"), bare.query, bare.body, bare.is_base64_encoded) == ("", {}, "", False)
