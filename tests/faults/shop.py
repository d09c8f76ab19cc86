"""Products to order, from functions that run as in `tests.faults.functions`."""

from common.values import uuid7
from tests.faults.functions import Functions
from tests.integration.gateway import STAFF, ask, deliver
from tests.integration.orders import shop

PRICE = 300


def sell(functions: Functions, on_hand: int) -> str:
    """A new product, known to orders and inventory; returns its identifier."""
    product_id = str(uuid7())
    event = shop.product("ProductAdded", product_id, price={"amount": PRICE, "currency": "JPY"})
    for consumer in ("orders.consumer", "inventory.consumer"):
        assert deliver(functions.one(consumer), event) == []
    stock = f"/stock/{product_id}"
    answer = ask(functions.one("inventory.api"), "PUT", stock, {"on_hand": on_hand}, sub=STAFF, groups="staff")
    assert answer.status == 200, answer
    return product_id


def order_of(product_id: str, quantity: int = 1) -> dict[str, object]:
    return shop.order_of((product_id, quantity))
