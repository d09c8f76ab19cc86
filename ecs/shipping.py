"""What shipping answers orders, and whom it tells that a parcel has moved."""

from collections.abc import Sequence

from msgspec import Struct

from common.database import transaction
from common.requests import body, identifier
from ecs.runtime.calls import Neighbour
from ecs.runtime.internal import InternalResolver
from ecs.runtime.journal import Journal
from shipping import use_cases
from shipping.consumer import consumer
from shipping.domain import Address, Line, Status
from shipping.models import CancellationRequested, OrderConfirmed, ShipmentDelivered, ShipmentDispatched

__all__ = ["app", "consumer", "journal", "overrides"]

app = InternalResolver("shipping", {})
overrides = None
journal = Journal()
consumer.task(journal.sweep)
orders, inventory = Neighbour("orders"), Neighbour("inventory")


class Parcel(Struct):
    customer_id: str
    lines: Sequence[Line]
    shipping_address: Address


class Cancellation(Struct):
    customer_id: str


class Progress(Struct):
    status: Status


@app.put("/internal/shipments/<order_id>")
def prepare(order_id: str) -> Progress:
    """There is a parcel to be packed, unless the order is known: then this tells how far it is."""
    order, parcel = identifier(order_id), body(app, Parcel)
    event = OrderConfirmed(order, parcel.customer_id, parcel.lines, parcel.shipping_address)
    with transaction() as tx:
        shipment = use_cases.prepare(tx, event) or use_cases.read_prepared(tx, order)
    return Progress(shipment.status)


@app.post("/internal/shipments/<order_id>/cancel")
def cancel(order_id: str) -> Progress:
    """See that nothing is sent, or tell how far it is. Whoever asks is told by the answer, and by nothing else."""
    event = CancellationRequested(identifier(order_id), body(app, Cancellation).customer_id)
    with transaction() as tx:
        return Progress(use_cases.stop(tx, event).status)


@journal.on(ShipmentDispatched)
def out_of_stock(event: ShipmentDispatched) -> None:
    inventory.call("POST", f"/internal/reservations/{event.order_id}/dispatch")


@journal.on(ShipmentDispatched)
def dispatched(event: ShipmentDispatched) -> None:
    body = {"tracking_number": event.tracking_number}
    orders.call("POST", f"/internal/orders/{event.order_id}/dispatched", body)


@journal.on(ShipmentDelivered)
def delivered(event: ShipmentDelivered) -> None:
    orders.call("POST", f"/internal/orders/{event.order_id}/delivered")
