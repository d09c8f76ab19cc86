"""What orders records of money that went back."""

from orders import consumer
from tests.integration.database import Database
from tests.integration.gateway import deliver, event
from tests.integration.orders.shop import MUG, get, placed, sell


def test_a_refund_is_recorded_once_and_the_status_stays(database: Database) -> None:
    sell(MUG)
    order_id = placed()
    before = get(f"/orders/{order_id}").text
    amounts = [
        event("PaymentRefunded", {"order_id": order_id, "amount": {"amount": n, "currency": "JPY"}}) for n in (300, 200)
    ]
    assert deliver(consumer.handler, amounts[0], amounts[1], amounts[0]) == []
    assert database.value("SELECT refunded FROM orders") == 500
    assert get(f"/orders/{order_id}").text == before


def test_a_refund_of_an_order_that_is_not_there_is_given_back(database: Database) -> None:
    refund = event("PaymentRefunded", {"order_id": MUG, "amount": {"amount": 1, "currency": "JPY"}})
    assert deliver(consumer.handler, refund) == ["m0"]
    assert database.count("inbox") == 0
