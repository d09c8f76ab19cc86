"""Shipping's HTTP routes."""

import secrets

from common.database import transaction
from common.http import Resolver
from common.operation import operation
from common.requests import identifier, principal, staff
from shipping import use_cases
from shipping.domain import ShipmentNotFound, WrongState
from shipping.models import ShipmentView

app = Resolver("shipping", {ShipmentNotFound: 404, WrongState: 409})
handler = app.handler


@app.get("/shipments/<order_id>")
@operation("customer")
def read_shipment(order_id: str) -> ShipmentView:
    """How far an order's parcel is. There is none before the order is confirmed."""
    reader = principal(app)
    with transaction() as tx:
        return ShipmentView.of(use_cases.read_shipment(tx, identifier(order_id), reader))


@app.post("/shipments/<order_id>/dispatch")
@operation("staff", refuses=(WrongState,))
def dispatch_shipment(order_id: str) -> ShipmentView:
    """The carrier has the parcel, which gets its tracking number. Repeated, it answers alike."""
    caller, tracking_number = staff(app), f"KM{secrets.token_hex(8).upper()}"  # a real one comes from the carrier
    with transaction() as tx:
        return ShipmentView.of(use_cases.dispatch(tx, identifier(order_id), caller, tracking_number))


@app.post("/shipments/<order_id>/deliver")
@operation("staff", refuses=(WrongState,))
def deliver_shipment(order_id: str) -> ShipmentView:
    """The customer has the parcel. Repeated, it answers alike."""
    caller = staff(app)
    with transaction() as tx:
        return ShipmentView.of(use_cases.deliver(tx, identifier(order_id), caller))
