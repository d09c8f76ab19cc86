"""Orders in the ECS design: settled in one request, once for a key; and what other services report of them later."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from common import http
from common.values import uuid7
from ecs import orders as ecs_orders
from ecs import placing as ecs_placing
from ecs.runtime import calls
from localcloud.mariadb import Server
from orders import consumer
from tests.faults.calling_shop import CallingShop, calling, mugs, placing
from tests.faults.crashing import IN_STOCK, QUANTITY, Environments, Moment, Point
from tests.integration.gateway import ALICE, question

NOBODY = str(UUID(int=0))


@pytest.fixture
def callers(server: Server, become: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Environments]:
    with calling(server, become, monkeypatch) as environments:
        yield environments


@pytest.fixture
def shop(callers: Environments) -> CallingShop:
    assert isinstance(callers.shop, CallingShop)
    return callers.shop


@pytest.fixture
def mug(shop: CallingShop) -> str:
    return shop.open()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is held up in a call does not repeat it meanwhile."""
    monkeypatch.setattr(calls, "ATTEMPT_SECONDS", 15)


def internal(shop: CallingShop, path: str, body: Any = None, **headers: str) -> int:
    """As a service reports it, whose client is known by its token."""
    token = shop.pool.service("shipping", "orders")
    return shop.tasks["orders"].ask("POST", f"/internal/orders/{path}", body, token, **headers).status


def timeline(shop: CallingShop, order: str) -> list[str]:
    return [step["status"] for step in shop.customer("GET", f"/orders/{order}").json["timeline"]]


def topics(shop: CallingShop) -> list[str]:
    return [row["topic"] for row in shop.databases["notifications"].rows("SELECT topic FROM mails ORDER BY mail_id")]


def test_an_order_is_settled_in_one_request(shop: CallingShop, mug: str) -> None:
    answer = shop.place(mugs(mug), "k")
    order = answer.json
    assert (answer.status, order["status"], order["customer_id"]) == (201, "confirmed", ALICE)
    assert order["lines"][0]["unit_price"] == {"amount": 800, "currency": "JPY"}
    assert [step["status"] for step in order["timeline"]] == ["placed", "reserved", "confirmed"]
    assert shop.customer("GET", f"/orders/{order['order_id']}").json == order
    assert shop.journal() == []


@pytest.mark.parametrize(
    ("request_of", "reason"),
    [
        (lambda mug: mugs(mug, quantity=999), "out of stock"),
        (lambda mug: mugs(mug, "tok_declined"), "declined"),
    ],
)
def test_an_order_that_cannot_be_had_is_rejected_with_the_reason(
    shop: CallingShop, request_of: Callable[[str], dict[str, Any]], reason: str
) -> None:
    mug = shop.open(on_hand=QUANTITY)
    answer = shop.place(request_of(mug), "k")
    assert (answer.status, answer.json["status"]) == (201, "rejected")
    assert reason in answer.json["timeline"][-1]["reason"]
    assert shop.stock(mug) == (QUANTITY, 0)


def test_what_is_wrong_with_a_request_is_told_as_in_the_lambda_design(shop: CallingShop, mug: str) -> None:
    assert shop.place(mugs(mug, quantity=0), "k").status == 422
    assert shop.place(mugs(NOBODY), "k").json["errors"][0]["field"] == "lines[0].product_id"
    assert shop.customer("POST", "/orders", mugs(mug)).status == 400
    assert shop.tasks["orders"].ask("POST", "/orders", mugs(mug)).status == 401
    assert shop.place(mugs(mug), "k").status == 201, "the key has not been used by what was refused"
    assert shop.place(mugs(mug, quantity=1), "k").status == 422


def test_a_product_that_is_not_sold_any_more_is_refused_but_a_repeat_is_answered(shop: CallingShop, mug: str) -> None:
    first = shop.place(mugs(mug), "k")
    assert shop.by_staff("catalog", "DELETE", f"/products/{mug}").status == 204
    assert shop.place(mugs(mug), "another").status == 422
    assert (shop.place(mugs(mug), "k").text, first.status) == (first.text, 201)


def test_a_repeat_is_answered_with_the_same_bytes_whatever_became_of_the_order_and_whoever_is_away(
    shop: CallingShop, mug: str
) -> None:
    first = shop.place(mugs(mug), "k")
    assert shop.customer("POST", f"/orders/{first.json['order_id']}/cancel").status == 202
    shop.roads.away |= {"catalog", "inventory", "payments", "shipping", "notifications"}
    again = shop.place(mugs(mug), "k")
    assert (again.status, again.text) == (201, first.text)


def test_the_same_order_sent_five_times_at_once_is_placed_once_and_answered_alike(
    shop: CallingShop, callers: Environments, mug: str
) -> None:
    callers.calls.listen()
    all_of_them = [callers.begin("orders", placing(mugs(mug), "k")) for _ in range(5)]
    answers = {(answer.status, answer.text) for answer in (one.result() for one in all_of_them)}
    assert [status for status, _ in answers] == [201]
    assert shop.databases["orders"].count("orders") == 1
    assert shop.stock(mug) == (IN_STOCK, QUANTITY)


def test_a_repeat_waits_for_the_first_and_then_is_told_to_come_back(
    shop: CallingShop, callers: Environments, mug: str, patient: None
) -> None:
    charging = Point(13, "POST payments/internal/payments/…/charge", Moment.UNHEARD)

    def hurry() -> None:
        ecs_placing.PATIENCE_SECONDS = 0.3
        http.RETRY_SECONDS = 0.0

    shop.start("orders", hurry)
    with callers.held_up("orders", placing(mugs(mug), "k"), charging) as first:
        repeat = shop.place(mugs(mug), "k")
        assert (repeat.status, repeat.headers["Retry-After"]) == (409, "5")
    answer = first.result()
    assert (answer.status, answer.json["status"]) == (201, "confirmed")
    assert shop.place(mugs(mug), "k").text == answer.text
    assert shop.databases["orders"].count("orders") == 1


def test_a_repeat_does_not_wait_for_a_first_that_has_given_up(
    shop: CallingShop, callers: Environments, mug: str, patient: None
) -> None:
    charging = Point(13, "POST payments/internal/payments/…/charge", Moment.UNHEARD)
    shop.observed.away.add("payments")
    with ThreadPoolExecutor(1) as thread, callers.held_up("orders", placing(mugs(mug), "k"), charging) as first:
        repeat = thread.submit(shop.place, mugs(mug), "k")
        time.sleep(3 * ecs_placing.LOOK_SECONDS)
        assert not repeat.done()
        callers.calls.resolve(cut=True)
        assert first.result().status == 503
        answer = repeat.result()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5"), "had it waited to the end, 409"


def test_an_address_is_kept_no_longer_than_until_notifications_has_it(shop: CallingShop, mug: str) -> None:
    orders = shop.databases["orders"]

    def kept() -> bool:
        tables = [
            row["t"]
            for row in orders.rows(
                "SELECT TABLE_NAME AS t FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'orders'"
            )
        ]
        return any("alice@example.com" in str(orders.rows(f"SELECT * FROM `{table}`")) for table in tables)

    shop.roads.away.add("notifications")
    shop.place(mugs(mug), "k")
    assert kept()
    shop.roads.recover()
    shop.start("orders")
    shop.settle_for_good()
    assert not kept()


def test_what_the_journal_has_still_to_tell_of_a_customer_is_underway_when_they_are_to_be_forgotten(
    shop: CallingShop, mug: str
) -> None:
    shop.roads.away.add("notifications")
    shop.place(mugs(mug, "tok_declined"), "k")
    shop._become("orders", shop.server)
    assert ecs_orders.consumer is consumer.consumer
    assert question(consumer.handler, "erase", ALICE) == [{"erased": 1, "underway": 2}], "ContactGiven, OrderRejected"
    assert question(consumer.handler, "erase", "bob-sub") == [{"erased": 0, "underway": 0}]
    shop.roads.recover()
    shop.start("orders")
    shop.settle_for_good()
    shop._become("orders", shop.server)
    assert question(consumer.handler, "erase", ALICE)[0]["underway"] == 0


def test_a_parcel_on_its_way_and_money_that_went_back_are_recorded_and_told_once(shop: CallingShop, mug: str) -> None:
    order = shop.place(mugs(mug), "k").json["order_id"]
    for step in ("dispatch", "dispatch", "deliver", "deliver"):
        assert shop.by_staff("shipping", "POST", f"/shipments/{order}/{step}").status == 200
    for key in ("one", "one", "another"):
        amount = {"amount": {"amount": 100, "currency": "JPY"}}
        token = shop.pool.user("sam", "staff")
        path = f"/payments/{order}/refund"
        assert shop.tasks["payments"].ask("POST", path, amount, token, **{"Idempotency-Key": key}).status == 200
    shop.settle_for_good()
    assert timeline(shop, order) == ["placed", "reserved", "confirmed", "shipped", "delivered"]
    assert shop.stock(mug) == (IN_STOCK - QUANTITY, 0)
    assert shop.databases["orders"].value("SELECT refunded FROM orders") == 200
    assert topics(shop) == ["confirmed", "dispatched", "delivered", "refunded", "refunded"]
    assert (shop.journal(), shop.unsent(), shop.bus.types) == ([], 0, [])


def test_reports_may_be_repeated_and_overtake_each_other(shop: CallingShop, mug: str) -> None:
    order = shop.place(mugs(mug), "k").json["order_id"]
    parcel, event_id = {"tracking_number": "KM1"}, str(uuid7())
    for _ in range(2):
        assert internal(shop, f"{order}/delivered") == 204
        assert internal(shop, f"{order}/dispatched", parcel) == 204
        refund = {"amount": {"amount": 7, "currency": "JPY"}}
        assert internal(shop, f"{order}/refunded", refund, **{"Idempotency-Key": event_id}) == 204
    assert timeline(shop, order) == ["placed", "reserved", "confirmed", "shipped", "delivered"]
    assert shop.databases["orders"].value("SELECT refunded FROM orders") == 7
    assert topics(shop) == ["confirmed", "delivered", "dispatched", "refunded"]
    assert internal(shop, f"{NOBODY}/delivered") == 404
    assert internal(shop, f"{order}/dispatched", {}) == 422
    assert internal(shop, f"{order}/refunded", refund) == 400, "which event it is about has to be said"


def test_an_order_that_is_being_cancelled_when_its_parcel_has_left_is_shipped(shop: CallingShop, mug: str) -> None:
    order = shop.place(mugs(mug), "k").json["order_id"]
    shop.roads.away.add("orders")  # which is not told
    assert shop.by_staff("shipping", "POST", f"/shipments/{order}/dispatch").status == 200
    assert shop.customer("POST", f"/orders/{order}/cancel").json["status"] == "cancelling"
    assert shop.placed_as(order) == "shipped"
    shop.roads.recover()
    shop.start("shipping")
    shop.settle_for_good()
    assert timeline(shop, order)[-2:] == ["cancelling", "shipped"]
    assert sorted(topics(shop)) == ["confirmed", "dispatched"]


def test_shipping_is_asked_again_and_again_by_one_row_of_the_journal(shop: CallingShop, mug: str) -> None:
    orders = [shop.place(mugs(mug), key).json["order_id"] for key in "kl"]
    shop.roads.away.add("shipping")
    for order in orders:
        assert shop.customer("POST", f"/orders/{order}/cancel").json["status"] == "cancelling"
    for order in orders * 3:
        shop.pass_deadline(order)
        shop.sweep("orders")
    assert shop.journal() == ["CancellationRequested"] * 2
    shop.roads.recover()
    shop.start("orders")
    shop.settle_for_good()
    assert [shop.placed_as(order) for order in orders] == ["cancelled", "cancelled"]
    assert shop.journal() == []
