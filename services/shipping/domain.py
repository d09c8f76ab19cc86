"""What a shipment is and how it moves: no clock, no randomness, no I/O."""

from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID


class Status(StrEnum):
    PREPARING = "preparing"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"  # also when nothing was prepared yet: a confirmation that comes late is to find it so


class ShipmentNotFound(Exception):
    """There is no such shipment, or none that the reader may see."""

    def __init__(self, order_id: UUID) -> None:
        super().__init__(f"there is no shipment of order {order_id}")


class WrongState(Exception):
    """The shipment is too far for that, or not far enough."""

    def __init__(self, status: Status, wanted: Status) -> None:
        super().__init__(f"a shipment that is {status} cannot be {wanted}")


@dataclass(frozen=True, slots=True)
class Line:
    product_id: UUID
    name: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Address:
    name: str
    line1: str
    city: str
    postal_code: str
    country: str
    line2: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a packer needs."""

    lines: tuple[Line, ...]
    address: Address


@dataclass(frozen=True, slots=True)
class Shipment:
    """An order's one shipment, by the order's identifier. It has a tracking number from its dispatch on."""

    order_id: UUID
    correlation_id: str
    status: Status
    tracking_number: str | None = None

    def dispatch(self, tracking_number: str) -> "Shipment":
        """In the carrier's hands; the same shipment, with the number it has, when it was before. Raises WrongState."""
        if self.status is Status.DISPATCHED:
            return self
        if self.status is not Status.PREPARING:
            raise WrongState(self.status, Status.DISPATCHED)
        return replace(self, status=Status.DISPATCHED, tracking_number=tracking_number)

    def deliver(self) -> "Shipment":
        """In the customer's hands; the same shipment when it was before. Raises WrongState."""
        if self.status is Status.DELIVERED:
            return self
        if self.status is not Status.DISPATCHED:
            raise WrongState(self.status, Status.DELIVERED)
        return replace(self, status=Status.DELIVERED)

    def cancel(self) -> "Shipment":
        """Not to be sent; the same shipment when it is too late for that."""
        return replace(self, status=Status.CANCELLED) if self.status is Status.PREPARING else self
