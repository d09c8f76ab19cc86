"""What is answered instead of what was asked for, and when."""

from http import HTTPStatus
from typing import Any

from msgspec import Struct

from reference.services import Route

PROBLEM = "application/problem+json"
RETRY_AFTER = {"Retry-After": {"description": "Seconds", "required": True, "schema": {"type": "integer", "minimum": 1}}}
RETRY_LATER = {
    "Retry-After": RETRY_AFTER["Retry-After"] | {"description": "While the first is at work", "required": False}
}

EVERYWHERE = {
    429: "Too many requests at once",
    500: "A defect of the service",
    503: "The service cannot answer just now",
    504: "The service did not answer in time",
}
UNIDENTIFIED = {401: "No ID token of the user pool, or one that does not count any more"}
NOT_STAFF = {403: "This is for staff"}
SAME = UNIDENTIFIED | NOT_STAFF | EVERYWHERE
MALFORMED = {400: "Not JSON", 413: "The body is larger than 96 KiB", 422: "A field is faulty or missing, or unknown"}
NO_KEY = {400: "Not JSON, or no usable Idempotency-Key"}
KEY_IN_USE = {409: "The first request with this Idempotency-Key is still at work"}
FAULTY_QUERY = {422: "A parameter of the query is faulty"}
NOT_THERE = {404: "There is no such thing"}
NOT_YOURS = {404: "There is no such thing, or it is another customer's"}


class FaultyField(Struct, forbid_unknown_fields=True):
    field: str
    message: str


class Problem(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """RFC 9457. `errors` name the faulty fields of a 422; `request_id` stands in every log line of the request."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FaultyField] = []


def problems(route: Route) -> dict[int, str]:
    """By status, when a route answers with it."""
    operation = route.operation
    found = dict(EVERYWHERE)
    if operation.who != "anyone":
        found |= UNIDENTIFIED
    if operation.who == "staff":
        found |= NOT_STAFF
    if operation.takes:
        found |= MALFORMED
    if operation.keyed:
        found |= NO_KEY | KEY_IN_USE
    if operation.paged or operation.query:
        found |= FAULTY_QUERY
    if route.identifiers:
        found |= NOT_YOURS if operation.who == "customer" else NOT_THERE
    for error in operation.refuses:
        status, reason = route.statuses[error], (error.__doc__ or error.__name__).partition("\n")[0].rstrip(".")
        found[status] = f"{reason}; or: {found[status]}" if status in found else reason
    return dict(sorted(found.items()))


def answers(route: Route) -> dict[str, Any]:
    """As OpenAPI has them, by status; those that are the same everywhere are in `shared`."""
    return {
        str(status): {"$ref": f"#/components/responses/{_name(status)}"}
        if status in SAME
        else _answer(when, RETRY_LATER if status == 409 and route.operation.keyed else None)
        for status, when in problems(route).items()
    }


def shared() -> dict[str, Any]:
    """By the name under which `answers` refers to it."""
    return {_name(status): _answer(when, RETRY_AFTER if status == 503 else None) for status, when in SAME.items()}


def _answer(when: str, headers: dict[str, Any] | None) -> dict[str, Any]:
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": when, **({"headers": headers} if headers else {}), "content": content}


def _name(status: int) -> str:
    return HTTPStatus(status).phrase.replace(" ", "")
