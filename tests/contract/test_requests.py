"""What comes in over HTTP and should not: it is answered with a problem, and nothing of it stays."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud.api import Api
from localcloud.played import ADDRESS
from tests.e2e.shop import Answer, Shop, new_key, place, request, send, settled

UNKNOWN = "01990000-0000-7000-8000-000000000000"
HOSTILE = (
    "'; DROP TABLE orders; --",
    "\" OR 1=1 /* %s %(x)s {0} ${jndi:ldap://x} */ \\' \\",
    "木組み 🪵 e\u0301 \u202eabc ‮ 👩‍👩‍👧 \u200b ﷽",
    "<script>alert(1)</script>&amp;",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢\u00a0\U0010fffd",
)


@pytest.fixture(scope="module")
def product_id(alice: Api, shop: Shop) -> str:
    """Of a product that can be ordered."""
    found = shop.sell(on_hand=1_000)
    settled(alice, place(alice, {found: 1}))
    return found


@pytest.fixture
def nothing_new(bob: Api) -> Iterator[None]:
    """What the test has bob send must not become an order."""

    def newest() -> list[str]:  # whose status may go on changing
        return [order["order_id"] for order in bob.get("/orders?limit=1")["items"]]

    before = newest()
    yield
    assert newest() == before


def assert_problem(answer: Answer, status: int) -> dict[str, Any]:
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json
    assert problem["status"] == status
    assert {"type", "title", "status", "detail", "request_id"} <= problem.keys()
    assert all(problem.values())
    assert ("errors" in problem) == (status == 422)
    assert all(error.keys() == {"field", "message"} for error in problem.get("errors", []))
    return problem


def post(customer: Api, body: bytes | str | dict[str, Any], **headers: str) -> Answer:
    text = json.dumps(body) if isinstance(body, dict) else body
    return send(customer, "POST", "/orders", text, **{"Idempotency_Key": new_key(), **headers})


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"order, please",
    "cut off": b'{"lines": [',
    "two documents": b"{}{}",
    "single quotes": b"{'lines': []}",
    "trailing comma": b'{"lines": [],}',
    "NaN": b'{"lines": NaN}',
    "UTF-16": '{"lines": []}'.encode("utf-16"),
    "very deep": b"[" * 30_000,
    "a NUL": b'{"lines": \x00}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.usefixtures("nothing_new")
def test_a_body_that_is_no_json_is_400(bob: Api, body: bytes) -> None:
    assert_problem(post(bob, body), 400)


@pytest.mark.parametrize("faulty", [b"\xff\xfe", b"\xe6\x9c", b"\xed\xa0\x80", b"\xc0\xaf"], ids=repr)
@pytest.mark.usefixtures("nothing_new")
def test_what_is_not_utf_8_is_400_wherever_it_stands(bob: Api, product_id: str, faulty: bytes) -> None:
    good = json.dumps(request({product_id: 1})).encode()
    for place_of in (b"Alice Aoki", b"tok_visa", b"lines"):
        assert_problem(post(bob, good.replace(place_of, faulty)), 400)
    assert_problem(post(bob, faulty), 400)


FAULTY: dict[str, dict[str, Any]] = {
    "lines that are no list": {"lines": {}},
    "lines that are null": {"lines": None},
    "no lines": {"lines": []},
    "a line that is a number": {"lines": [1]},
    "1,000 lines": {"lines": [{"product_id": UNKNOWN, "quantity": 1}] * 1_000},
    "quantity 0": {"quantity": 0},
    "quantity below 0": {"quantity": -1},
    "quantity 1,000": {"quantity": 1_000},
    "quantity beyond 64 bits": {"quantity": 2**70},
    "half a unit": {"quantity": 1.5},
    "quantity as text": {"quantity": "1"},
    "quantity true": {"quantity": True},
    "quantity null": {"quantity": None},
    "identifier of no form": {"product_id": "1"},
    "identifier that is SQL": {"product_id": "' OR 1=1 --"},
    "payment method null": {"payment_method": None},
    "payment method empty": {"payment_method": ""},
    "payment method a list": {"payment_method": ["tok_visa"]},
    "an unknown field": {"discount": 100},
    "a total of one's own": {"total": {"amount": 1, "currency": "JPY"}},
    "no address": {"shipping_address": None},
    "address that is a text": {"shipping_address": "Tokyo"},
    "address with an unknown field": {"shipping_address": ADDRESS | {"planet": "Mars"}},
    "country that there is not": {"shipping_address": ADDRESS | {"country": "XX"}},
    "country in small letters": {"shipping_address": ADDRESS | {"country": "jp"}},
    "name empty": {"shipping_address": ADDRESS | {"name": ""}},
    "name blank": {"shipping_address": ADDRESS | {"name": "   "}},
    "name of 101 characters": {"shipping_address": ADDRESS | {"name": "x" * 101}},
    "name with a NUL": {"shipping_address": ADDRESS | {"name": "a\x00b"}},
    "a deep field": {"shipping_address": json.loads("[" * 400 + "]" * 400)},
}


@pytest.mark.parametrize("change", FAULTY.values(), ids=FAULTY)
@pytest.mark.usefixtures("nothing_new")
def test_a_faulty_field_is_422_and_named(bob: Api, product_id: str, change: dict[str, Any]) -> None:
    body = request({product_id: 1})
    line = body["lines"][0] | {name: change[name] for name in ("product_id", "quantity") if name in change}
    body |= {"lines": [line]} | {name: value for name, value in change.items() if name not in line}
    problem = assert_problem(post(bob, body), 422)
    assert problem["errors"]


@pytest.mark.parametrize("missing", ["lines", "payment_method", "shipping_address"])
@pytest.mark.usefixtures("nothing_new")
def test_a_missing_field_is_422(bob: Api, product_id: str, missing: str) -> None:
    body = request({product_id: 1})
    del body[missing]
    assert missing in json.dumps(assert_problem(post(bob, body), 422)["errors"])


@pytest.mark.parametrize("body", ["[]", "null", "1", '"order"', "true"])
@pytest.mark.usefixtures("nothing_new")
def test_json_that_is_no_object_is_422(bob: Api, body: str) -> None:
    assert assert_problem(post(bob, body), 422)["errors"]


@pytest.mark.usefixtures("nothing_new")
def test_an_unknown_product_and_one_that_stands_there_twice_are_422(bob: Api, product_id: str) -> None:
    unknown = assert_problem(post(bob, request({product_id: 1, UNKNOWN: 1})), 422)
    assert [error["field"] for error in unknown["errors"]] == ["lines[1].product_id"]
    body = request({product_id: 1})
    twice = assert_problem(post(bob, body | {"lines": body["lines"] * 2}), 422)
    assert [error["field"] for error in twice["errors"]] == ["lines[1].product_id"]


@pytest.mark.parametrize("key", ["", "x" * 65, "a\tb", "schlüssel".encode().decode("latin-1"), "\xa0"])
@pytest.mark.usefixtures("nothing_new")
def test_an_odd_idempotency_key_is_400(bob: Api, product_id: str, key: str) -> None:
    assert_problem(post(bob, request({product_id: 1}), Idempotency_Key=key), 400)


@pytest.mark.usefixtures("nothing_new")
def test_no_idempotency_key_is_400(bob: Api, staff: Api, product_id: str) -> None:
    assert_problem(send(bob, "POST", "/orders", json.dumps(request({product_id: 1}))), 400)
    assert_problem(send(staff, "POST", f"/payments/{UNKNOWN}/refund", "{}"), 400)


@pytest.mark.usefixtures("nothing_new")
def test_a_body_above_96_kibibytes_is_413(bob: Api, staff: Api) -> None:
    for body in (b" " * 98_305, b"[" * 100_000, b'{"lines": "' + b"x" * 2_000_000 + b'"}'):
        assert_problem(post(bob, body), 413)
    assert_problem(send(staff, "POST", "/products", b" " * 98_305), 413)


@pytest.mark.parametrize(
    "malformed", ["1", "null", "x" * 300, UNKNOWN[:-1], f"{UNKNOWN}0", "%27%20OR%201=1", "%00", "木"]
)
@pytest.mark.parametrize("path", ["/orders", "/payments", "/products", "/shipments", "/stock"])
def test_a_malformed_identifier_is_404(bob: Api, path: str, malformed: str) -> None:
    assert_problem(send(bob, "GET", f"{path}/{malformed}"), 404)


@pytest.mark.parametrize("path", ["/orders", "/products"])
@pytest.mark.parametrize(
    "query",
    [f"limit={limit}" for limit in ("0", "101", "-1", "1.5", "ten", "", "1e1", "%D9%A1", "9999999999")]
    + [f"cursor={cursor}" for cursor in ("x", "", UNKNOWN, "%00", "%27%20OR%201=1", "A" * 5_000)],
)
def test_a_bad_limit_or_cursor_is_422(bob: Api, path: str, query: str) -> None:
    problem = assert_problem(send(bob, "GET", f"{path}?{query}"), 422)
    assert [error["field"] for error in problem["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "Fan"},
        {"name": "", "price": {"amount": 1, "currency": "JPY"}},
        {"name": "x" * 101, "price": {"amount": 1, "currency": "JPY"}},
        {"name": "Fan", "price": 100},
        {"name": "Fan", "price": {"amount": 0, "currency": "JPY"}},
        {"name": "Fan", "price": {"amount": 10_000_001, "currency": "JPY"}},
        {"name": "Fan", "price": {"amount": 1.5, "currency": "JPY"}},
        {"name": "Fan", "price": {"amount": 1, "currency": "EUR"}},
        {"name": "Fan", "price": {"amount": 1, "currency": "JPY"}, "stock": 5},
    ],
    ids=json.dumps,
)
def test_a_faulty_product_is_422(staff: Api, body: object) -> None:
    assert assert_problem(send(staff, "POST", "/products", json.dumps(body)), 422)["errors"]


@pytest.mark.parametrize("on_hand", [-1, 1.5, "1", None, True, 2**64])
def test_a_faulty_count_of_stock_is_422_and_changes_nothing(
    staff: Api, shop: Shop, product_id: str, on_hand: object
) -> None:
    before = shop.stock(product_id)
    assert_problem(send(staff, "PUT", f"/stock/{product_id}", json.dumps({"on_hand": on_hand})), 422)
    assert shop.stock(product_id) == before


def test_stock_below_what_orders_hold_is_409(alice: Api, staff: Api, shop: Shop) -> None:
    product_id = shop.sell(on_hand=5)
    settled(alice, place(alice, {product_id: 3}))
    assert_problem(send(staff, "PUT", f"/stock/{product_id}", '{"on_hand": 2}'), 409)
    assert shop.stock(product_id) == (5, 3)


def test_a_shipment_that_there_is_not_is_404_and_one_in_another_state_409(
    alice: Api, staff: Api, shop: Shop, product_id: str
) -> None:
    for method, path in [("GET", ""), ("POST", "/dispatch"), ("POST", "/deliver")]:
        assert_problem(send(staff, method, f"/shipments/{UNKNOWN}{path}"), 404)
    order_id = place(alice, {product_id: 1})
    settled(alice, order_id)
    assert shop.shipment(order_id) == ("preparing", None)
    assert_problem(send(staff, "POST", f"/shipments/{order_id}/deliver"), 409)
    assert_problem(send(alice, "POST", f"/shipments/{order_id}/dispatch"), 403)
    assert shop.shipment(order_id) == ("preparing", None)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_comes_back_as_it_was_sent(alice: Api, staff: Api, shop: Shop, accepted: int, text: str) -> None:
    product_id = shop.sell(on_hand=5, name=text, description=text * 3)
    product = staff.get(f"/products/{product_id}")
    assert (product["name"], product["description"]) == (text, text * 3)

    address = ADDRESS | dict.fromkeys(("name", "line1", "line2", "city", "region"), text)
    settled(alice, place(alice, {product_id: 1}))
    answer = post(alice, request({product_id: 1}, shipping_address=address), Idempotency_Key=new_key())
    assert answer.status == accepted, answer
    order = settled(alice, answer.json["order_id"])
    assert (order["status"], order["shipping_address"], order["lines"][0]["name"]) == ("confirmed", address, text)


def test_pages_of_a_list_leave_nothing_out_and_repeat_nothing(bob: Api, shop: Shop) -> None:
    product_id = shop.sell(on_hand=100)
    placed = [place(bob, {product_id: 1}) for _ in range(7)]
    paged = [order for size in (1, 3, 3) for order in page(bob, "/orders", size)[:7]]
    assert paged[:7] == paged[7:14] == paged[14:] == placed[::-1]


def test_pages_of_products_end_with_the_last(staff: Api, shop: Shop) -> None:
    for position in range(5):
        shop.sell(on_hand=1, name=f"Paging {position}")
    whole = page(staff, "/products", 100)
    assert page(staff, "/products", 7) == whole
    assert len(set(whole)) == len(whole) >= 5


def page(reader: Api, path: str, limit: int) -> list[str]:
    """Identifiers of all pages of this size, one after the other."""
    found: list[str] = []
    cursor = ""
    while True:
        answer = reader.get(f"{path}?limit={limit}{cursor}")
        assert len(answer["items"]) <= limit
        found += [item[f"{path[1:-1]}_id"] for item in answer["items"]]
        if answer["next_cursor"] is None:
            return found
        cursor = f"&cursor={answer['next_cursor']}"


def test_a_repeat_gets_the_same_bytes_and_another_body_422(
    alice: Api, bob: Api, shop: Shop, product_id: str, accepted: int
) -> None:
    key, body = new_key(), request({product_id: 2})
    first = post(alice, body, Idempotency_Key=key)
    assert first.status == accepted
    settled(alice, first.json["order_id"])
    held = shop.stock(product_id)

    spaced = json.dumps(dict(reversed(body.items())), indent=4)
    for repeat in (json.dumps(body), spaced):
        answer = post(alice, repeat, Idempotency_Key=key)
        assert (answer.status, answer.data) == (accepted, first.data)
    assert_problem(post(alice, request({product_id: 3}), Idempotency_Key=key), 422)

    others = post(bob, request({product_id: 3}), Idempotency_Key=key)
    assert others.status == accepted
    assert settled(bob, others.json["order_id"])["order_id"] != first.json["order_id"]
    assert shop.stock(product_id)[1] == held[1] + 3


def test_what_was_refused_may_be_put_right_under_the_same_key(alice: Api, product_id: str, accepted: int) -> None:
    key = new_key()
    assert_problem(post(alice, request({UNKNOWN: 1}), Idempotency_Key=key), 422)
    assert post(alice, request({product_id: 1}), Idempotency_Key=key).status == accepted


def test_a_route_that_there_is_not_is_403_or_404(bob: Api) -> None:
    inside = ("POST", f"/internal/orders/{UNKNOWN}/delivered")
    outside = [
        ("GET", "/nothing"),
        ("DELETE", "/orders"),
        ("GET", "/"),
        ("PUT", f"/orders/{UNKNOWN}"),
        ("POST", "/sweep"),
    ]
    for method, path in [inside, *outside]:
        assert send(bob, method, path).status in (403, 404), path
