"""Products to order, requests for them, and what other services report."""

from typing import Any
from uuid import UUID, uuid5

from common.values import uuid7
from orders import api, consumer
from tests.integration.gateway import ALICE, Answer, ask, deliver, event

ADDRESS = {
    "name": "Alice Example",
    "line1": "1-2-3 Chiyoda",
    "city": "Tokyo",
    "postal_code": "100-0001",
    "country": "JP",
}


def product_id(number: int) -> str:
    return str(uuid5(UUID(int=0), str(number)))


MUG, POT = product_id(1), product_id(2)


def product(detail_type: str, product_id: str, revision: int = 1, **fields: Any) -> dict[str, Any]:
    data = {
        "product_id": product_id,
        "name": "Mug",
        "description": "which orders does not care for",
        "price": {"amount": 800, "currency": "JPY"},
        "retired": False,
        "revision": revision,
        **fields,
    }
    return event(detail_type, data, source="catalog")


def sell(*product_ids: str, **fields: Any) -> None:
    events = [product("ProductAdded", product_id, **fields) for product_id in product_ids]
    assert deliver(consumer.handler, *events) == []


def order_of(*lines: tuple[str, int], **fields: Any) -> dict[str, Any]:
    return {
        "lines": [{"product_id": product_id, "quantity": quantity} for product_id, quantity in lines],
        "payment_method": "tok_visa",
        "shipping_address": ADDRESS,
        **fields,
    }


def post(body: Any, key: str | None = "", sub: str = ALICE, **request: Any) -> Answer:
    """Without a key, a new one is made."""
    return ask(api.handler, "POST", "/orders", body, sub=sub, key=key if key != "" else str(uuid7()), **request)


def get(path: str, **request: Any) -> Answer:
    return ask(api.handler, "GET", path, **request)


def placed(sub: str = ALICE) -> str:
    """The identifier of a new order for two mugs."""
    answer = post(order_of((MUG, 2)), sub=sub)
    assert answer.status == 202, answer
    return str(answer.json["order_id"])


def report(detail_type: str, order_id: str, **data: Any) -> None:
    assert deliver(consumer.handler, event(detail_type, {"order_id": order_id, **data})) == []


def timeline(order_id: str) -> list[str]:
    return [step["status"] for step in get(f"/orders/{order_id}").json["timeline"]]
