"""What an order is and how it moves: no clock, no randomness, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID


class Status(StrEnum):
    PLACED = "placed"
    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    CANCELLING = "cancelling"  # confirmed, and shipping is asked whether it can still be stopped
    CANCELLED = "cancelled"
    EXPIRED = "expired"


# The way of an order that succeeds, and from where it can leave that way.
PROGRESS = (Status.PLACED, Status.RESERVED, Status.CONFIRMED, Status.SHIPPED, Status.DELIVERED)
UNSETTLED = {Status.PLACED, Status.RESERVED}
EXITS = {
    Status.REJECTED: UNSETTLED,
    Status.EXPIRED: UNSETTLED,
    Status.CANCELLING: {Status.CONFIRMED},
    Status.CANCELLED: UNSETTLED | {Status.CANCELLING},
}


class OrderNotFound(Exception):
    """There is no such order, or none that the reader may see."""

    def __init__(self, order_id: UUID) -> None:
        super().__init__(f"there is no order {order_id}")


class UnknownProduct(Exception):
    """A line asks for something that is not sold, or not any more."""

    def __init__(self, position: int, product_id: UUID) -> None:
        super().__init__(f"product {product_id} is not sold")
        self.field = f"lines[{position}].product_id"


class DuplicateProduct(Exception):
    """A product stands in more than one line."""

    def __init__(self, position: int) -> None:
        super().__init__("a product may stand in one line only")
        self.field = f"lines[{position}].product_id"


class TooLateToCancel(Exception):
    """The order has ended otherwise, or is on its way."""

    def __init__(self, status: Status) -> None:
        super().__init__(f"the order is {status}")


class Customer(NamedTuple):
    """Who orders: the token's `sub`, an address that was shown to be theirs, the language of their mails."""

    customer_id: str
    email: str | None
    locale: str


class Product(NamedTuple):
    """Orders' own copy of what catalog sells. `price` is in minor units."""

    name: str
    price: int


class Requested(NamedTuple):
    """A line as the customer asks for it."""

    product_id: UUID
    quantity: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it was sold: a later change of the product does not touch it."""

    product_id: UUID
    name: str
    quantity: int
    unit_price: int

    @property
    def amount(self) -> int:
        return self.quantity * self.unit_price


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
class Step:
    """An entry of the timeline."""

    status: Status
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    order_id: UUID
    customer_id: str
    lines: tuple[Line, ...]
    shipping_address: Address
    timeline: tuple[Step, ...]
    correlation_id: str

    @property
    def status(self) -> Status:
        return self.timeline[-1].status

    @property
    def total(self) -> int:
        return sum(line.amount for line in self.lines)

    @property
    def created_at(self) -> datetime:
        return self.timeline[0].at

    @property
    def updated_at(self) -> datetime:
        return self.timeline[-1].at

    def advance(self, to: Status, at: datetime, reason: str | None = None) -> "Order":
        """The order with all steps up to `to` recorded; the same order when it is there, past it, or has ended.

        No step is earlier than the one before: clocks differ, and a sweep has one moment for all of its orders.
        """
        return replace(self, timeline=self.timeline + steps(self.status, to, max(at, self.updated_at), reason))

    def cancel(self, at: datetime) -> "Order":
        """The order cancelled, or `cancelling` once it is confirmed, or as it was when that has been asked before.

        Raises TooLateToCancel.
        """
        if self.status in (Status.CANCELLING, Status.CANCELLED):
            return self
        after = self.advance(Status.CANCELLED if self.status in UNSETTLED else Status.CANCELLING, at)
        if after.status == self.status:
            raise TooLateToCancel(self.status)
        return after


def place(
    order_id: UUID,
    customer_id: str,
    requested: Sequence[Requested],
    products: Mapping[UUID, Product],
    shipping_address: Address,
    correlation_id: str,
    now: datetime,
) -> Order:
    """A new order at the products' prices of now. Raises UnknownProduct, DuplicateProduct."""
    lines: dict[UUID, Line] = {}
    for position, (product_id, quantity) in enumerate(requested):
        if product_id in lines:
            raise DuplicateProduct(position)
        if product_id not in products:
            raise UnknownProduct(position, product_id)
        product = products[product_id]
        lines[product_id] = Line(product_id, product.name, quantity, product.price)
    timeline = (Step(Status.PLACED, now),)
    return Order(order_id, customer_id, tuple(lines.values()), shipping_address, timeline, correlation_id)


def steps(current: Status, to: Status, at: datetime, reason: str | None = None) -> tuple[Step, ...]:
    """What the timeline gains when `to` is reported to an order that is `current`.

    Reports may overtake each other, so those left out on the way are recorded as well, and a report from behind
    records nothing: a timeline never repeats or goes back.
    """
    if to in EXITS:
        return (Step(to, at, reason),) if current in EXITS[to] else ()
    if current == Status.CANCELLING:  # a parcel that could not be stopped
        current = Status.CONFIRMED
    if current not in PROGRESS:
        return ()
    passed = PROGRESS[PROGRESS.index(current) + 1 : PROGRESS.index(to) + 1]
    return tuple(Step(status, at, reason) for status in passed)
