"""Orders has stock held, shipping has it taken out, each again at any time; stock is that of what catalog sells."""

from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from common.values import uuid7
from tests.integration.ecs.called import AT_ONCE, Called
from tests.integration.ecs.serving import Answer

HELD = {"status": "reserved", "reason": None}
RELEASED = {"status": "released", "reason": None}


@pytest.fixture
def order() -> str:
    return str(uuid7())


@pytest.fixture
def mug(called: Called) -> str:
    """A product of which there are 10."""
    product_id = str(uuid7())
    sold(called, product_id)
    assert called.staff("PUT", f"/stock/{product_id}", {"on_hand": 10}).status == 200
    called.around.clear()
    return product_id


def sold(called: Called, product_id: str) -> None:
    """Catalog knows the product."""
    price = {"amount": 800, "currency": "JPY"}
    product = {"product_id": product_id, "name": "Mug", "price": price, "retired": False, "revision": 3}
    called.around.answers[f"/internal/products?ids={product_id}"] = (200, {"items": [product]})


def wish(order: str, product: str, quantity: int) -> tuple[Any, ...]:
    return ("POST", f"/reservations/{order}", {"lines": [{"product_id": product, "quantity": quantity}]}, order)


def reserve(called: Called, order: str, product: str, quantity: int = 3) -> Any:
    answer = called.internal(*wish(order, product, quantity))
    assert answer.status == 200, answer.text
    return answer.json


def release(called: Called, order: str) -> None:
    assert called.internal("DELETE", f"/reservations/{order}").status == 204


def dispatch(called: Called, order: str) -> Answer:
    return called.internal("POST", f"/reservations/{order}/dispatch")


def stock(called: Called, product: str) -> tuple[int, int]:
    """On hand, reserved."""
    answer = called.customer("GET", f"/stock/{product}")
    assert answer.status == 200, answer.text
    return answer.json["on_hand"], answer.json["reserved"]


def test_an_order_is_held_once_however_often_it_is_asked_for(called: Called, order: str, mug: str) -> None:
    assert [reserve(called, order, mug) for _ in range(2)] == [HELD, HELD]
    assert stock(called, mug) == (10, 3)


def test_an_order_is_held_once_by_all_who_ask_at_the_same_time(called: Called, order: str, mug: str) -> None:
    answers = called.at_once(*[wish(order, mug, 3)] * AT_ONCE)
    assert [(answer.status, answer.json) for answer in answers] == [(200, HELD)] * AT_ONCE
    assert stock(called, mug) == (10, 3)


def test_who_asks_again_is_told_why_an_order_was_rejected_even_when_keys_are_forgotten(
    called: Called, order: str, mug: str
) -> None:
    rejected = {"status": "rejected", "reason": f"out of stock: {mug} (asked 11, available 10)"}
    assert reserve(called, order, mug, 11) == rejected
    called.staff("PUT", f"/stock/{mug}", {"on_hand": 20})
    called.database.execute("DELETE FROM idempotency_keys")
    assert reserve(called, order, mug, 11) == rejected
    assert stock(called, mug) == (20, 0)


@pytest.mark.parametrize("arrivals", sorted(set(permutations(["reserve", "reserve", "release", "release"]))))
def test_an_order_that_is_over_holds_nothing_in_whatever_order_it_is_said(
    called: Called, order: str, mug: str, arrivals: tuple[str, ...]
) -> None:
    for arrival in arrivals:
        released = arrival == "release" or arrivals.index("release") < arrivals.index("reserve")
        reserve(called, order, mug) if arrival == "reserve" else release(called, order)
        if released:
            assert stock(called, mug) == (10, 0)
    assert reserve(called, order, mug) == RELEASED
    assert stock(called, mug) == (10, 0)


def test_an_order_that_is_held_and_over_at_the_same_time_holds_nothing(called: Called, order: str, mug: str) -> None:
    end = ("DELETE", f"/reservations/{order}")
    answers = called.at_once(*[wish(order, mug, 3), end] * (AT_ONCE // 2))
    assert [answer.status for answer in answers] == [200, 204] * (AT_ONCE // 2)
    assert reserve(called, order, mug) == RELEASED
    assert stock(called, mug) == (10, 0)


def test_a_parcel_takes_its_units_out_once_and_nothing_that_comes_late_brings_them_back(
    called: Called, order: str, mug: str
) -> None:
    reserve(called, order, mug)
    assert [dispatch(called, order).status for _ in range(2)] == [204, 204]
    release(called, order)
    assert reserve(called, order, mug) == {"status": "dispatched", "reason": None}
    assert stock(called, mug) == (7, 0)


@pytest.mark.parametrize("before", ["nothing", "released"])
def test_a_parcel_of_an_order_that_holds_nothing_is_refused_for_good(
    called: Called, order: str, mug: str, before: str
) -> None:
    if before == "released":
        release(called, order)
    answer = dispatch(called, order)
    assert (answer.status, "Retry-After" in answer.headers) == (409, False)
    assert stock(called, mug) == (10, 0)


def test_what_catalog_sells_has_a_stock_from_the_first_look_on(called: Called) -> None:
    mug = str(uuid7())
    sold(called, mug)
    assert [stock(called, mug) for _ in range(2)] == [(0, 0), (0, 0)]
    [asked] = called.around.asked
    assert (asked.scope, asked.path) == ("shop.internal/catalog", f"/internal/products?ids={mug}")
    assert called.database.value("SELECT revision FROM stock WHERE product_id = %s", (UUID(mug).bytes,)) == 3


def test_what_catalog_sells_can_be_counted_before_anybody_looked(called: Called) -> None:
    mug = str(uuid7())
    sold(called, mug)
    assert called.customer("PUT", f"/stock/{mug}", {"on_hand": 5}).status == 403
    assert called.around.asked == []
    assert called.staff("PUT", f"/stock/{mug}", {"on_hand": 5}).json["available"] == 5
    assert stock(called, mug) == (5, 0)


def test_what_catalog_does_not_know_has_no_stock(called: Called) -> None:
    called.around.answers["/internal/products"] = (200, {"items": []})
    path = f"/stock/{uuid7()}"
    assert called.customer("GET", path).status == called.staff("PUT", path, {"on_hand": 5}).status == 404
    assert called.database.count("stock") == 0


@pytest.mark.usefixtures("fresh")
def test_while_catalog_is_away_only_what_is_new_has_to_wait(called: Called, mug: str) -> None:
    called.around.answers["/internal/products"] = (503, {"status": 503})
    answer = called.customer("GET", f"/stock/{uuid7()}")
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    assert stock(called, mug) == (10, 0)
