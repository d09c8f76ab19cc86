"""What happens to inventory, and what is to be seen of it then."""

from functools import partial
from uuid import UUID

from common.values import uuid7
from inventory import api, consumer
from tests.integration.database import Database
from tests.integration.gateway import STAFF, ask, deliver, event

Order = str
Wanted = dict[str, int]

public = partial(ask, api.handler, sub=None)
staff = partial(ask, api.handler, sub=STAFF, groups="staff")


def happens(detail_type: str, **data: object) -> None:
    """The event arrives and is dealt with."""
    assert deliver(consumer.handler, event(detail_type, data)) == []


def stocked(on_hand: int) -> str:
    """A new product of which there is something."""
    product_id = str(uuid7())
    happens("ProductAdded", product_id=product_id, name="Mug", revision=1)
    assert staff("PUT", f"/stock/{product_id}", {"on_hand": on_hand}).status == 200
    return product_id


def stock(product_id: str) -> tuple[int, int, int]:
    """On hand, reserved, available."""
    answer = public("GET", f"/stock/{product_id}")
    assert answer.status == 200, answer.text
    return answer.json["on_hand"], answer.json["reserved"], answer.json["available"]


def placed(wanted: Wanted, order: Order | None = None) -> Order:
    order = order or str(uuid7())
    lines = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in wanted.items()]
    happens("OrderPlaced", order_id=order, customer_id="alice", lines=lines)
    return order


def over(order: Order, detail_type: str = "OrderCancelled") -> None:
    happens(detail_type, order_id=order, customer_id="alice")


def status(database: Database, order: Order) -> str:
    return str(database.value("SELECT status FROM reservations WHERE order_id = %s", (UUID(order).bytes,)))
