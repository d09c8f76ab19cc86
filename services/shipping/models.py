"""What comes into shipping and goes out of it: answers, events."""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from common.events import Event
from shipping import domain


class ShipmentView(Struct):
    """A shipment as its readers see it."""

    order_id: UUID
    status: domain.Status
    tracking_number: str | None

    @classmethod
    def of(cls, shipment: domain.Shipment) -> "ShipmentView":
        return cls(shipment.order_id, shipment.status, shipment.tracking_number)


class OrderConfirmed(Event):
    order_id: UUID
    customer_id: str
    lines: Sequence[domain.Line]
    shipping_address: domain.Address


class CancellationRequested(Event):
    order_id: UUID
    customer_id: str


class ShipmentCancelled(Event):
    """Nothing was sent, and nothing will be."""

    order_id: UUID


class ShipmentDispatched(Event):
    """The carrier has the parcel."""

    order_id: UUID
    tracking_number: str


class ShipmentDelivered(Event):
    """The customer has the parcel."""

    order_id: UUID


def announcement(shipment: domain.Shipment) -> Event:
    """What others are told of a shipment that is no longer being prepared."""
    if shipment.tracking_number is None:
        return ShipmentCancelled(shipment.order_id)
    if shipment.status is domain.Status.DISPATCHED:
        return ShipmentDispatched(shipment.order_id, shipment.tracking_number)
    return ShipmentDelivered(shipment.order_id)
