"""Whatever is sent: an answer of the 400s with a problem body, and nothing half written."""

import base64
import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.requests import BODY_BYTES
from orders import api
from tests.integration.database import Database
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import Answer, ask
from tests.integration.orders.shop import ADDRESS, MUG, POT, get, order_of, post, product_id, sell

GOOD = order_of((MUG, 2))
SQL = ["'; DROP TABLE orders; --", "' OR '1'='1", "1); DELETE FROM orders; --", "\\' OR 1=1 #", "/*!50000 SELECT */ 1"]
ODD = [
    "灯籠 💡 ½ é",
    "‮right to left",
    "a" * 100,
    "%s%d{0}${x}",
    "\\u0000 as text",
    "<script>alert(1)</script>",
    "a\u2028b",
]


@pytest.fixture(autouse=True)
def _products() -> None:
    sell(MUG)


def refused(answer: Answer, *statuses: int) -> None:
    assert answer.status in statuses, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "request_id"} <= set(answer.json)
    assert answer.json["status"] == answer.status
    if answer.status == 422:
        assert all(set(error) == {"field", "message"} for error in answer.json["errors"])


def having(path: str, value: Any) -> dict[str, Any]:
    """A good order but for one value."""
    order = deepcopy(GOOD)
    *way, last = path.split(".")
    at: Any = order
    for step in way:
        at = at[int(step)] if step.isdigit() else at[step]
    at[last] = value
    return order


def without(path: str) -> dict[str, Any]:
    order = having(path, None)
    at: Any = order
    *way, last = path.split(".")
    for step in way:
        at = at[int(step)] if step.isdigit() else at[step]
    del at[last]
    return order


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("lines", [], "lines"),
        ("lines", None, "lines"),
        ("lines", {}, "lines"),
        ("lines", "x", "lines"),
        ("lines", [None], "lines[0]"),
        ("lines", GOOD["lines"] * 2, "lines[1].product_id"),
        ("lines", [{"product_id": product_id(n), "quantity": 1} for n in range(21)], "lines"),
        ("lines", [{"product_id": product_id(n), "quantity": 1} for n in range(1_000)], "lines"),
        ("lines.0.product_id", POT, "lines[0].product_id"),
        ("lines.0.product_id", "x", "lines[0].product_id"),
        ("lines.0.product_id", 1, "lines[0].product_id"),
        ("lines.0.product_id", "", "lines[0].product_id"),
        ("lines.0.quantity", 0, "lines[0].quantity"),
        ("lines.0.quantity", -1, "lines[0].quantity"),
        ("lines.0.quantity", 1_000, "lines[0].quantity"),
        ("lines.0.quantity", 2**64, "lines[0].quantity"),
        ("lines.0.quantity", 10**400, "lines[0].quantity"),
        ("lines.0.quantity", 1.5, "lines[0].quantity"),
        ("lines.0.quantity", "2", "lines[0].quantity"),
        ("lines.0.quantity", True, "lines[0].quantity"),
        ("lines.0.quantity", None, "lines[0].quantity"),
        ("lines.0.price", 1, "lines[0].price"),
        ("payment_method", "", "payment_method"),
        ("payment_method", None, "payment_method"),
        ("payment_method", "tok_" + "a" * 41, "payment_method"),
        ("payment_method", "visa", "payment_method"),
        ("payment_method", "tok_visa\n", "payment_method"),
        ("payment_method", 4111111111111111, "payment_method"),
        ("shipping_address", None, "shipping_address"),
        ("shipping_address", [], "shipping_address"),
        ("shipping_address.name", "", "shipping_address.name"),
        ("shipping_address.name", "   ", "shipping_address.name"),
        ("shipping_address.name", "a" * 101, "shipping_address.name"),
        ("shipping_address.name", "a\x00b", "shipping_address.name"),
        ("shipping_address.name", "a\nb", "shipping_address.name"),
        ("shipping_address.line2", 1, "shipping_address.line2"),
        ("shipping_address.postal_code", "", "shipping_address.postal_code"),
        ("shipping_address.postal_code", "1" * 17, "shipping_address.postal_code"),
        ("shipping_address.country", "XX", "shipping_address.country"),
        ("shipping_address.country", "jp", "shipping_address.country"),
        ("shipping_address.country", "JPN", "shipping_address.country"),
        ("shipping_address.planet", "Earth", "shipping_address.planet"),
        ("total", {"amount": 1, "currency": "JPY"}, "total"),
        ("customer_id", "bob-sub", "customer_id"),
        ("order_id", POT, "order_id"),
    ],
)
def test_a_faulty_field_is_named_and_nothing_is_written(
    database: Database, bus: FakeBus, path: str, value: Any, field: str
) -> None:
    before, announced = database.counts(), len(bus.calls)
    answer = post(having(path, value))
    refused(answer, 422)
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert (database.counts(), len(bus.calls)) == (before, announced)


@pytest.mark.parametrize(
    "path",
    ["lines", "payment_method", "shipping_address", "lines.0.product_id", "lines.0.quantity"]
    + [f"shipping_address.{field}" for field in ADDRESS],
)
def test_a_missing_field_is_named(path: str) -> None:
    answer = post(without(path))
    refused(answer, 422)
    assert [error["field"] for error in answer.json["errors"]] == [path.replace(".0.", "[0].")]


@pytest.mark.parametrize("key", [None, "", "a" * 65, "schlüssel", "a\nb", "\x00", "\x7f"])
def test_a_missing_or_odd_key_is_a_bad_request(database: Database, key: str | None) -> None:
    before = database.counts()
    refused(ask(api.handler, "POST", "/orders", GOOD, key=key), 400)
    assert database.counts() == before


@pytest.mark.parametrize("key", [*SQL, "%s", "\\", '"', "~" * 64])
def test_any_printable_key_will_do(database: Database, key: str) -> None:
    first = post(GOOD, key=key)
    assert (first.status, post(GOOD, key=key).text) == (202, first.text)
    assert database.count("orders") == 1


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "not json",
        json.dumps(GOOD)[:-1],
        json.dumps(GOOD) + "x",
        json.dumps(GOOD).replace('"quantity": 2', '"quantity": NaN'),
        json.dumps(GOOD).replace("Tokyo", "\\ud800"),
        json.dumps(GOOD).replace("Tokyo", "To\nkyo"),
        "[" * 60_000,
        '{"lines":' * 7_000,
    ],
)
def test_what_is_no_json_is_a_bad_request(database: Database, body: str) -> None:
    before = database.counts()
    refused(post(body), 400)
    assert database.counts() == before


def test_deep_nesting_of_good_json_is_refused() -> None:
    refused(post(json.dumps(GOOD).replace('"Tokyo"', "[" * 20_000 + "]" * 20_000)), 400, 422)


def test_invalid_utf8_is_a_bad_request() -> None:
    for raw in (b"\xff", json.dumps(GOOD).encode().replace(b"Tokyo", b"\xe6\x9d"), json.dumps(GOOD).encode("utf-16")):
        refused(post(base64.b64encode(raw).decode(), base64=True), 400)


def test_too_large_a_body_is_refused() -> None:
    refused(post(json.dumps(GOOD) + " " * BODY_BYTES), 413)


@pytest.mark.parametrize("text", [*SQL, *ODD])
@pytest.mark.parametrize("field", ["name", "line1", "line2", "city", "region"])
def test_a_text_is_kept_as_it_came(database: Database, field: str, text: str) -> None:
    text = text[:100]
    answer = post(having(f"shipping_address.{field}", text))
    assert answer.status == 202, answer
    assert answer.json["shipping_address"][field] == text
    read = get(f"/orders/{answer.json['order_id']}")
    assert read.json == answer.json
    assert database.count("orders") == 1


@pytest.mark.parametrize("text", SQL)
@pytest.mark.parametrize("path", ["lines.0.product_id", "payment_method", "shipping_address.postal_code"])
def test_sql_where_there_can_be_no_text_is_refused(database: Database, path: str, text: str) -> None:
    before = database.counts()
    refused(post(having(path, text)), 422)
    assert database.counts() == before


@pytest.mark.parametrize("text", SQL)
def test_sql_in_a_callers_name_finds_nobody_elses(text: str) -> None:
    order_id = post(GOOD).json["order_id"]
    assert get(f"/orders/{order_id}", sub=text).status == 404
    assert get("/orders", sub=text).json["items"] == []
    assert post(GOOD, sub=text).status == 202


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/orders"), ("DELETE", f"/orders/{MUG}"), ("GET", "/order"), ("POST", f"/orders/{MUG}")],
)
def test_an_unknown_route_is_not_found(method: str, path: str) -> None:
    refused(ask(api.handler, method, path, GOOD, key="k"), 404)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
PATHS = [
    "lines",
    "lines.0.product_id",
    "lines.0.quantity",
    "payment_method",
    "shipping_address",
    "shipping_address.name",
    "shipping_address.country",
    "shipping_address.postal_code",
    "shipping_address.line2",
    "surprise",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150)
@given(path=st.sampled_from(PATHS), value=JSON)
def test_no_value_anywhere_is_a_fault_of_ours(database: Database, path: str, value: Any) -> None:
    before = database.counts()
    answer = post(having(path, value))
    if answer.status != 202:
        refused(answer, 400, 422)
        assert database.counts() == before
    else:
        assert get(f"/orders/{answer.json['order_id']}").json == answer.json
