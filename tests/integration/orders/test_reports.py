"""What other services report: every event's whole path, through inbox and outbox."""

import random
from functools import partial

import pytest

from orders import api, consumer
from tests.integration.database import Database
from tests.integration.environments import Elsewhere
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import ask, deliver, event
from tests.integration.orders.shop import ADDRESS, MUG, get, order_of, placed, post, product, report, sell, timeline


@pytest.fixture
def order_id() -> str:
    sell(MUG)
    return placed()


def test_an_order_whose_stock_is_held_and_whose_payment_is_captured_is_confirmed(
    order_id: str, database: Database, bus: FakeBus
) -> None:
    report("StockReserved", order_id)
    assert timeline(order_id) == ["placed", "reserved"]
    captured = event("PaymentCaptured", {"order_id": order_id}, correlation_id="story-1")
    assert deliver(consumer.handler, captured) == []
    assert timeline(order_id) == ["placed", "reserved", "confirmed"]
    [confirmed] = bus.details("OrderConfirmed")
    assert confirmed["data"] == {
        "order_id": order_id,
        "customer_id": "alice-sub",
        "lines": [{"product_id": MUG, "name": "Mug", "quantity": 2}],
        "total": {"amount": 1_600, "currency": "JPY"},
        "shipping_address": {**ADDRESS, "line2": None, "region": None},
    }
    assert confirmed["correlation_id"] == "story-1"
    assert confirmed["causation_id"] == captured["detail"]["id"]
    assert (database.count("outbox"), database.value("SELECT status FROM orders")) == (0, "confirmed")
    order = get(f"/orders/{order_id}").json
    assert order["updated_at"] == order["timeline"][-1]["at"] > order["created_at"]


@pytest.mark.parametrize("refusal", ["StockRejected", "PaymentDeclined"])
def test_a_refusal_rejects_the_order_with_its_reason(order_id: str, bus: FakeBus, refusal: str) -> None:
    report(refusal, order_id, reason="it's not to be had")
    order = get(f"/orders/{order_id}").json
    assert (order["status"], order["timeline"][-1]["reason"]) == ("rejected", "it's not to be had")
    [rejected] = bus.details("OrderRejected")
    assert rejected["data"] == {"order_id": order_id, "customer_id": "alice-sub", "reason": "it's not to be had"}


def test_captured_before_reserved_records_both_and_the_late_report_nothing(order_id: str, bus: FakeBus) -> None:
    report("PaymentCaptured", order_id)
    report("StockReserved", order_id)
    assert timeline(order_id) == ["placed", "reserved", "confirmed"]
    assert bus.types.count("OrderConfirmed") == 1


@pytest.mark.parametrize(
    ("first", "late"),
    [
        ("PaymentCaptured", "PaymentDeclined"),
        ("PaymentCaptured", "PaymentCaptured"),
        ("StockRejected", "PaymentCaptured"),
        ("StockRejected", "StockReserved"),
        ("PaymentDeclined", "StockRejected"),
    ],
)
def test_a_late_report_records_nothing_and_announces_nothing(
    order_id: str, database: Database, bus: FakeBus, first: str, late: str
) -> None:
    report(first, order_id, reason="first")
    before, announced = get(f"/orders/{order_id}").text, len(bus.accepted)
    report(late, order_id, reason="late")
    assert (get(f"/orders/{order_id}").text, len(bus.accepted)) == (before, announced)


def test_a_report_delivered_twice_is_announced_once(order_id: str, bus: FakeBus) -> None:
    captured = event("PaymentCaptured", {"order_id": order_id})
    assert deliver(consumer.handler, captured, captured) == []
    assert bus.types.count("OrderConfirmed") == 1


def test_contradicting_reports_at_once_leave_one_ending(database: Database, bus: FakeBus) -> None:
    sell(MUG)
    for _ in range(5):
        order_id = placed()
        kinds = ["StockReserved", "PaymentCaptured", "PaymentDeclined"]
        random.shuffle(kinds)

        def reported(kind: str, order_id: str = order_id) -> list[str]:
            failed = deliver(consumer.handler, event(kind, {"order_id": order_id, "reason": "r"}))
            assert failed == []
            return [name for name in bus.types if name in ("OrderConfirmed", "OrderRejected")]

        running = [Elsewhere(partial(reported, kind)) for kind in kinds]
        announced = [name for one in running for name in one.result()]
        assert announced in (["OrderConfirmed"], ["OrderRejected"])
        end = "confirmed" if announced == ["OrderConfirmed"] else "rejected"
        history = timeline(order_id)
        assert history[-1] == end
        assert len(set(history)) == len(history)
        assert database.value("SELECT status FROM orders ORDER BY order_id DESC LIMIT 1") == end


def test_a_report_of_an_order_that_is_not_there_is_given_back(database: Database) -> None:
    assert deliver(consumer.handler, event("StockReserved", {"order_id": MUG})) == ["m0"]
    assert database.count("inbox") == 0


def test_a_report_that_cannot_be_sent_on_stays_in_the_outbox(order_id: str, database: Database, bus: FakeBus) -> None:
    bus.fail(ConnectionError())
    report("PaymentCaptured", order_id)
    assert database.value("SELECT detail_type FROM outbox") == "OrderConfirmed"


def price() -> int:
    return int(post(order_of((MUG, 1))).json["total"]["amount"])


def yen(amount: int) -> dict[str, object]:
    return {"amount": amount, "currency": "JPY"}


def test_a_product_is_sold_as_catalog_announces_it() -> None:
    assert post(order_of((MUG, 1))).status == 422
    sell(MUG)
    assert price() == 800
    assert deliver(consumer.handler, product("ProductChanged", MUG, 2, price=yen(900))) == []
    assert price() == 900
    assert deliver(consumer.handler, product("ProductRetired", MUG, 3, retired=True)) == []
    answer = post(order_of((MUG, 1)))
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "lines[0].product_id")


def test_an_earlier_revision_that_arrives_late_changes_nothing(database: Database) -> None:
    sell(MUG)
    assert (
        deliver(
            consumer.handler,
            product("ProductChanged", MUG, 3, price=yen(300)),
            product("ProductChanged", MUG, 2, price=yen(200), name="Older"),
            product("ProductAdded", MUG, 3, price=yen(301)),
        )
        == []
    )
    assert database.rows("SELECT name, price, retired, revision FROM products") == [
        {"name": "Mug", "price": 300, "retired": 0, "revision": 3}
    ]


def test_a_change_that_arrives_before_its_product_was_added_is_kept(database: Database) -> None:
    assert (
        deliver(consumer.handler, product("ProductRetired", MUG, 2, retired=True), product("ProductAdded", MUG, 1))
        == []
    )
    assert database.rows("SELECT retired, revision FROM products") == [{"retired": 1, "revision": 2}]
    assert ask(api.handler, "POST", "/orders", order_of((MUG, 1)), key="k").status == 422
