"""What happens to shipping, and what is to be seen of it then."""

from functools import partial
from typing import Any
from uuid import UUID

from common.values import uuid7
from shipping import api, consumer
from tests.integration.database import Database
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import ALICE, STAFF, Answer, ask, deliver, event

LINES = [
    {"product_id": "019a0c40-1f00-7a10-9c01-5b7d3e2f4a11", "name": "Mug", "quantity": 1},
    {"product_id": "019a0c40-1f35-7b22-8e02-6c8e4f3a5b22", "name": "木組み 🪵", "quantity": 999},
]
ADDRESS = {
    "name": "Alice Example",
    "line1": "1-2-3 Chiyoda",
    "city": "Tokyo",
    "postal_code": "100-0001",
    "country": "JP",
    "line2": None,
    "region": "Tokyo",
}

customer = partial(ask, api.handler)
staff = partial(ask, api.handler, sub=STAFF, groups="staff")


def confirmed(order: str, customer_id: str = ALICE, **fields: Any) -> dict[str, Any]:
    total = {"amount": 800, "currency": "JPY"}
    data = {"order_id": order, "customer_id": customer_id, "lines": LINES, "total": total, "shipping_address": ADDRESS}
    return event("OrderConfirmed", data | fields)


def requested(order: str, customer_id: str = ALICE) -> dict[str, Any]:
    """That the order's customer wants it cancelled."""
    return event("CancellationRequested", {"order_id": order, "customer_id": customer_id})


def happens(*events: dict[str, Any]) -> None:
    """The events arrive one by one and are dealt with."""
    for one in events:
        assert deliver(consumer.handler, one) == []


def prepared() -> str:
    """An order whose parcel is being packed."""
    order = str(uuid7())
    happens(confirmed(order))
    assert shown(order) == ("preparing", None)
    return order


def dispatch(order: str) -> Answer:
    return staff("POST", f"/shipments/{order}/dispatch")


def hand_over(order: str) -> Answer:
    return staff("POST", f"/shipments/{order}/deliver")


def shown(order: str) -> tuple[str, str | None]:
    """Status, tracking number."""
    answer = staff("GET", f"/shipments/{order}")
    assert answer.status == 200, answer.text
    return answer.json["status"], answer.json["tracking_number"]


def told(bus: FakeBus, order: str) -> list[str]:
    """What others were told of the order's shipment, in order: the detail-types."""
    return [
        entry["DetailType"]
        for entry, detail in zip(bus.accepted, bus.details(), strict=True)
        if detail["data"]["order_id"] == order
    ]


def row(database: Database, order: str) -> dict[str, Any]:
    [row] = database.rows("SELECT * FROM shipments WHERE order_id = %s", (UUID(order).bytes,))
    return row
