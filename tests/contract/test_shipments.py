"""Shipments from an order's confirmation to its customer's door."""

from collections.abc import Callable

from localcloud.api import Api
from tests.e2e.shop import Shop, place, settled, statuses
from tests.e2e.waiting import eventually


def test_an_order_is_dispatched_and_delivered_and_its_units_leave_the_stock(
    alice: Api, staff: Api, shop: Shop, drained: Callable[[], None]
) -> None:
    product_id = shop.sell(on_hand=10)
    order_id = place(alice, {product_id: 3})
    settled(alice, order_id)
    assert shop.shipment(order_id) == ("preparing", None)
    assert shop.stock(product_id) == (10, 3)

    sent = [staff.expect(200, "POST", f"/shipments/{order_id}/dispatch") for _ in range(2)]
    assert sent[0]["status"] == "dispatched"
    assert sent[0] == sent[1] == alice.get(f"/shipments/{order_id}")
    eventually(lambda: alice.get(f"/orders/{order_id}")["status"] == "shipped")
    eventually(lambda: shop.stock(product_id) == (7, 0))

    for _ in range(2):
        delivered = staff.expect(200, "POST", f"/shipments/{order_id}/deliver")
        assert delivered == sent[0] | {"status": "delivered"}
    eventually(lambda: alice.get(f"/orders/{order_id}")["status"] == "delivered")
    staff.expect(409, "POST", f"/shipments/{order_id}/dispatch")

    drained()
    order = alice.get(f"/orders/{order_id}")
    assert statuses(order) == ["placed", "reserved", "confirmed", "shipped", "delivered"]
    assert [step["at"] for step in order["timeline"]] == sorted(step["at"] for step in order["timeline"])
    assert shop.stock(product_id) == (7, 0)
    assert shop.payment(order_id) == ("captured", 3_000, 0)


def test_a_confirmed_order_that_its_customer_cancels_is_not_sent_and_stock_and_money_go_back(
    alice: Api, staff: Api, shop: Shop, drained: Callable[[], None]
) -> None:
    product_id = shop.sell(on_hand=10)
    order_id = place(alice, {product_id: 3})
    settled(alice, order_id)
    assert shop.shipment(order_id) == ("preparing", None)

    assert alice.expect(202, "POST", f"/orders/{order_id}/cancel")["status"] == "cancelling"
    eventually(lambda: alice.get(f"/orders/{order_id}")["status"] == "cancelled")
    staff.expect(409, "POST", f"/shipments/{order_id}/dispatch")

    drained()
    assert statuses(alice.get(f"/orders/{order_id}")) == ["placed", "reserved", "confirmed", "cancelling", "cancelled"]
    assert shop.shipment(order_id) == ("cancelled", None)
    assert shop.stock(product_id) == (10, 0)
    assert shop.payment(order_id) == ("refunded", 3_000, 3_000)


def test_an_order_that_is_dispatched_is_not_cancelled_any_more(alice: Api, staff: Api, shop: Shop) -> None:
    order_id = place(alice, {shop.sell(on_hand=10): 1})
    settled(alice, order_id)
    shop.shipment(order_id)
    staff.expect(200, "POST", f"/shipments/{order_id}/dispatch")
    eventually(lambda: alice.get(f"/orders/{order_id}")["status"] == "shipped")
    alice.expect(409, "POST", f"/orders/{order_id}/cancel")
    assert shop.shipment(order_id)[0] == "dispatched"
