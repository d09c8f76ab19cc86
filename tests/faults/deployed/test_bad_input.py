"""Whatever comes in, good or bad, is answered as the API reference says, and never with a defect."""

import copy
import http.client
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure
from schemathesis.engine import events, from_schema

from localcloud.api import Api
from localcloud.stack import Stack
from tests.e2e.shop import Shop, new_key, place, settled
from tests.faults import figures
from tests.faults.deployed.described import DOCUMENT, ROUTES, Belongings, Route, by_name, judge
from tests.faults.deployed.forgery import NOBODY

Document = dict[str, Any]
CHECKS = {
    "enabled": True,
    # Who may ask is test_isolation's, for every caller and not only for none.
    "ignored_auth": {"enabled": False},
    # API Gateway answers 403 where there is no such method, and never reaches a service; the emulator 403 or 404.
    "unsupported_method": {"enabled": False},
}


@pytest.fixture(scope="module")
def known(bob: Api, shop: Shop) -> dict[str, str]:
    """What there is to be asked for: a product to be changed, one to be ordered that never runs out, and a confirmed
    order of bob's."""
    ordered = shop.sell(on_hand=1_000_000)
    order_id = place(bob, {ordered: 1})
    settled(bob, order_id)
    return {"product_id": shop.sell(on_hand=10), "ordered": ordered, "order_id": order_id}


def about(known: dict[str, str]) -> Document:
    """The reference, whose identifiers are either known or nobody's: made up ones would all be 404. And whose countries
    are few: each would be tried."""
    document = copy.deepcopy(DOCUMENT)
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    one_of = [known[parameter["name"]], NOBODY]
                    parameter |= {"schema": {"type": "string", "enum": one_of}, "example": one_of[0]}
    schemas = document["components"]["schemas"]
    [order] = schemas["PlaceOrder"]["examples"]
    order["lines"] = [{"product_id": known["ordered"], "quantity": 1}]
    line, address = (of(schemas, schemas["PlaceOrder"]["properties"][name]) for name in ("lines", "shipping_address"))
    line["product_id"] = {"enum": [known["ordered"]]}
    address["country"] = {"enum": ["JP", "US"]}
    return document


def of(schemas: Document, schema: Document) -> Document:
    """The properties of the component to which a schema, or that of its items, refers."""
    found: Document = schemas[schema.get("items", schema)["$ref"].rpartition("/")[2]]["properties"]
    return found


def send_everything(document: Document, stack: Stack, bob: Api, staff: Api, examples: int) -> tuple[int, list[str]]:
    """How many requests were sent, and whatever did not go as the document says."""
    callers = {"customer": bob, "staff": staff}
    config = {
        "base-url": stack.api_url,
        "request-timeout": 40,
        "continue-on-failure": True,
        "suppress-health-check": ["too_slow"],  # which a machine that stands still for a second fails
        "generation": {"max-examples": examples, "deterministic": True, "with-security-parameters": False},
        "phases": {"stateful": {"enabled": False}},
        "checks": CHECKS,
        "operations": [
            {"include-name": route.name, "headers": {"Authorization": f"Bearer {callers[route.who].token}"}}
            for route in ROUTES
            if route.who in callers
        ],
    }
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(config))
    schema.hook("filter_failure")(is_a_failure)
    sent, wrong = 0, list[str]()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            sent += len(event.recorder.cases)
            wrong += told(event.recorder.checks.values())
        elif isinstance(event, events.NonFatalError):
            wrong.append(f"{event.label}: {event.value!r}")
        elif isinstance(event, events.FatalError):
            raise event.exception
    return sent, wrong


REFUSED_ALL_THE_SAME = (
    "Expected `int`, got `float`",  # to JSON Schema 265.0 is an integer; a count that is not written as one is refused
    "a product may stand in one line only",  # no schema can say that
    "this Idempotency-Key was used with another body",  # the key of the example, repeated with every other body
)


def is_a_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:
    """But for requests that fit the schema and are refused for what it cannot say."""
    named = response.status_code == 422 and any(reason in response.text for reason in REFUSED_ALL_THE_SAME)
    return not (failure.title == "Schema-valid request rejected" and named)


def told(checks: Iterable[Any]) -> list[str]:
    return [
        f"{node.failure_info.failure.operation}: {node.failure_info.failure}\n{node.failure_info.code_sample}"
        for nodes in checks
        for node in nodes
        if node.failure_info
    ]


def test_good_and_bad_requests_are_answered_as_the_reference_says(
    stack: Stack, bob: Api, staff: Api, known: dict[str, str], long: bool
) -> None:
    sent, wrong = send_everything(about(known), stack, bob, staff, examples=200 if long else 5)
    assert not wrong, "\n\n".join(wrong)
    figures.note("bad_input", routes=len(ROUTES), requests=sent, answers_unlike_the_description=len(wrong))


@pytest.mark.parametrize("status", ["200", "404", "422"])
def test_an_answer_that_the_reference_left_out_would_be_reported(
    stack: Stack, bob: Api, staff: Api, known: dict[str, str], status: str
) -> None:
    document = about(known)
    path = "/products" if status == "422" else "/stock/{product_id}"
    document["paths"] = {path: {"get": document["paths"][path]["get"]}}
    assert not send_everything(document, stack, bob, staff, examples=5)[1]
    del document["paths"][path]["get"]["responses"][status]
    assert any("Undocumented status code" in line for line in send_everything(document, stack, bob, staff, 5)[1])


def test_a_body_other_than_described_would_be_reported(
    stack: Stack, bob: Api, staff: Api, known: dict[str, str]
) -> None:
    document = about(known)
    document["paths"] = {path: document["paths"][path] for path in ("/stock/{product_id}",)}
    document["components"]["schemas"]["StockView"]["properties"]["on_hand"] = {"type": "string"}
    assert any("violates schema" in line for line in send_everything(document, stack, bob, staff, 5)[1])


# Headers. `Headers` are sent as they stand, each name as often as it stands there.

Headers = list[tuple[str, str]]


def sent(stack: Stack, route: Route, known: dict[str, str], headers: Headers, body: bytes | None) -> tuple[int, str]:
    """Status and text; 0 when the connection was closed instead, which is an answer too."""
    address = urlsplit(stack.api_url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=40)
    try:
        connection.putrequest(route.method, address.path + route.address(known))
        for name, value in [*headers, ("Content-Length", str(len(body or b"")))]:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
        return 0, ""
    finally:
        connection.close()


def example(route: Route, known: dict[str, str]) -> bytes | None:
    text = route.body(known)
    return None if text is None else text.encode()


CLAIMS = '{{"sub": "{alice}", "token_use": "id", "cognito:groups": "staff"}}'
PRETENDED = {
    "X-Forwarded-User": "{alice}",
    "X-Remote-User": "{alice}",
    "X-User-Id": "{alice}",
    "X-Auth-Request-User": "{alice}",
    "X-Claims": CLAIMS,
    "X-Amzn-Request-Context": f'{{{{"authorizer": {{{{"claims": {CLAIMS}}}}}}}}}',
    "X-Forwarded-Groups": "staff",
    "X-Amzn-Oidc-Identity": "{alice}",
    "X-Amzn-Oidc-Accesstoken": "{token}",
    "X-Amzn-Remapped-Authorization": "Bearer {token}",
    "X-Authorization": "Bearer {token}",
    "Proxy-Authorization": "Bearer {token}",
    "Cookie": "Authorization={token}; sub={alice}; groups=staff",
    "X-Forwarded-For": "127.0.0.1",
    "Forwarded": "for=127.0.0.1;host=localhost",
    "X-Original-URL": "/health/orders",
    "X-Rewrite-URL": "/products",
    "X-HTTP-Method-Override": "GET",
    "X-Method-Override": "DELETE",
}


@by_name
@pytest.mark.usefixtures("unchanged")
def test_nobody_becomes_another_by_a_header(
    stack: Stack, alice: Api, bob: Api, alices: Belongings, route: Route
) -> None:
    """What proxies say of a user, and alice's own token in wrong places, sent by a stranger and by bob."""
    own = ("Authorization", f"Bearer {bob.token}")
    for name, value in PRETENDED.items():
        headers = [(name, value.format(alice=alices.secrets[1], token=alice.token)), ("Idempotency-Key", new_key())]
        status, text = sent(stack, route, alices.known, headers, example(route, alices.known))
        judge(status, text, route.owed_to_a_stranger, alices.secrets)
        if route.name != "POST /orders":  # which bob may
            status, text = sent(stack, route, alices.known, [own, *headers], example(route, alices.known))
            judge(status, text, route.owed_to_another_customer, alices.secrets)


@pytest.mark.parametrize(
    "route", [it for it in ROUTES if it.owed_to_another_customer <= {403, 404}], ids=lambda it: it.name
)
@pytest.mark.usefixtures("unchanged")
def test_of_two_authorizations_none_gives_more_than_it_would_alone(
    stack: Stack, alice: Api, bob: Api, staff: Api, alices: Belongings, route: Route
) -> None:
    """bob's own and one that does not count, of whoever may do it, in either order."""
    own, forged = bob.token, (staff if route.who == "staff" else alice).token.rpartition(".")[0] + ".AAAA"
    for tokens in ([own, forged], [forged, own], [own, ""], ["", own], [f"{own}, {forged}"], [f"{forged}, {own}"]):
        headers = [("Authorization", f"Bearer {token}") for token in tokens] + [("Idempotency-Key", new_key())]
        status, text = sent(stack, route, alices.known, headers, example(route, alices.known))
        judge(status, text, route.owed_to_another_customer | {401}, alices.secrets)


@by_name
@pytest.mark.parametrize("size", [9_000, 60_000, 1_000_000])
@pytest.mark.usefixtures("unchanged")
def test_huge_headers_are_no_defect(stack: Stack, alices: Belongings, route: Route, size: int) -> None:
    many = [(f"X-Header-{number}", "x" * 100) for number in range(size // 100)]
    for headers in ([("X-Huge", "x" * size)], many, [("Authorization", "Bearer " + "x" * size)]):
        status, text = sent(stack, route, alices.known, headers, example(route, alices.known))
        judge(status, text, route.owed_to_a_stranger | {0, 400, 401, 413, 431, 494}, alices.secrets)


@by_name
@pytest.mark.parametrize("size", [98_305, 1_000_000, 7_000_000])
def test_huge_bodies_are_refused_or_not_looked_at(
    stack: Stack, staff: Api, known: dict[str, str], route: Route, size: int
) -> None:
    """From staff, who may ask for everything. 7 MB are more than a function can be called with."""
    if "requestBody" not in route.described and route.method != "GET":
        pytest.skip("has no body, and would be done")
    headers = [("Authorization", f"Bearer {staff.token}"), ("Idempotency-Key", new_key())]
    status, _ = sent(stack, route, known, [*headers, ("Content-Type", "application/json")], b" " * size)
    assert status in ({413} if "requestBody" in route.described else {200, 404, 413})


def test_after_all_of_it_the_shop_is_open(bob: Api, known: dict[str, str]) -> None:
    assert settled(bob, place(bob, {known["ordered"]: 1}))["status"] == "confirmed"
