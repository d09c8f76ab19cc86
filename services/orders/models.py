"""What comes into orders and goes out of it: requests, answers, events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from common.events import Event
from common.values import Money
from orders import domain
from orders.countries import Country

Text = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\A(?=.*\S)[^\x00-\x1f\x7f]*\Z")]
Moment = Annotated[datetime, Meta(tz=True)]


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    product_id: UUID
    quantity: Annotated[int, Meta(ge=1, le=999)]


class Address(Struct, frozen=True, forbid_unknown_fields=True):
    name: Text
    line1: Text
    city: Text
    postal_code: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9 -]{0,15}\Z")]
    country: Country
    line2: Text | None = None
    region: Text | None = None


class PlaceOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """`payment_method` is a card token of the payment provider. The sandbox knows `tok_visa`, which works,
    `tok_declined`, and `tok_flaky`, which fails twice and then works.
    """

    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=20)]
    payment_method: Annotated[str, Meta(pattern=r"\Atok_[a-z0-9_]{1,40}\Z")]
    shipping_address: Address

    def product_ids(self) -> Sequence[UUID]:
        return [line.product_id for line in self.lines]


class LineView(Struct):
    product_id: UUID
    name: str
    quantity: int
    unit_price: Money
    amount: Money


class StepView(Struct):
    status: domain.Status
    at: Moment
    reason: str | None


class OrderView(Struct, kw_only=True):
    """An order as its readers see it; in a list it comes without its timeline."""

    order_id: UUID
    status: domain.Status
    customer_id: str
    lines: Sequence[LineView]
    total: Money
    shipping_address: domain.Address
    created_at: Moment
    updated_at: Moment
    timeline: Sequence[StepView] | UnsetType = UNSET

    @classmethod
    def of(cls, order: domain.Order, timeline: bool = True) -> "OrderView":
        return cls(
            order_id=order.order_id,
            status=order.status,
            customer_id=order.customer_id,
            lines=[
                LineView(line.product_id, line.name, line.quantity, Money(line.unit_price), Money(line.amount))
                for line in order.lines
            ],
            total=Money(order.total),
            shipping_address=order.shipping_address,
            created_at=order.created_at,
            updated_at=order.updated_at,
            timeline=[StepView(step.status, step.at, step.reason) for step in order.timeline] if timeline else UNSET,
        )


class OrderList(Struct):
    items: Sequence[OrderView]
    next_cursor: str | None


class OrderPlaced(Event):
    """An order was taken on; with what it takes to reserve and to charge it."""

    order_id: UUID
    customer_id: str
    lines: Sequence[Line]
    total: Money
    payment_method: str

    @classmethod
    def of(cls, order: domain.Order, payment_method: str) -> "OrderPlaced":
        return cls(
            order_id=order.order_id,
            customer_id=order.customer_id,
            lines=[Line(line.product_id, line.quantity) for line in order.lines],
            total=Money(order.total),
            payment_method=payment_method,
        )


class ContactGiven(Event):
    """How to reach whoever placed the order: apart from it, so that only who writes to them learns it."""

    order_id: UUID
    customer_id: str
    email: str | None
    locale: str

    @classmethod
    def of(cls, order: domain.Order, customer: domain.Customer) -> "ContactGiven":
        return cls(order.order_id, customer.customer_id, customer.email, customer.locale)


class ConfirmedLine(Struct, frozen=True):
    product_id: UUID
    name: str
    quantity: int


class OrderConfirmed(Event):
    """In stock and paid; with what it takes to pack it and to write of it."""

    order_id: UUID
    customer_id: str
    lines: Sequence[ConfirmedLine]
    total: Money
    shipping_address: domain.Address

    @classmethod
    def of(cls, order: domain.Order) -> "OrderConfirmed":
        return cls(
            order_id=order.order_id,
            customer_id=order.customer_id,
            lines=[ConfirmedLine(line.product_id, line.name, line.quantity) for line in order.lines],
            total=Money(order.total),
            shipping_address=order.shipping_address,
        )


class OrderEnded(Event):
    order_id: UUID
    customer_id: str
    reason: str | None

    @classmethod
    def of(cls, order: domain.Order) -> "OrderEnded":
        return cls(order_id=order.order_id, customer_id=order.customer_id, reason=order.timeline[-1].reason)


class OrderRejected(OrderEnded):
    """Something is out of stock, or was not paid: the reason says which."""


class OrderCancelled(OrderEnded):
    """Cancelled by its customer or by staff, before anything was sent."""


class OrderExpired(OrderEnded):
    """Not settled by its deadline."""


class CancellationRequested(Event):
    """Shipping is asked to stop the parcel, and to say whether it could."""

    order_id: UUID
    customer_id: str

    @classmethod
    def of(cls, order: domain.Order) -> "CancellationRequested":
        return cls(order_id=order.order_id, customer_id=order.customer_id)


def announcement(order: domain.Order) -> Event | None:
    """What others are to know of the status that the order has now."""
    match order.status:
        case domain.Status.CONFIRMED:
            return OrderConfirmed.of(order)
        case domain.Status.REJECTED:
            return OrderRejected.of(order)
        case domain.Status.CANCELLED:
            return OrderCancelled.of(order)
        case domain.Status.EXPIRED:
            return OrderExpired.of(order)
        case domain.Status.CANCELLING:
            return CancellationRequested.of(order)
        case _:
            return None


class ProductAdded(Event):
    """The whole product as it is at `revision`; so are ProductChanged and ProductRetired."""

    product_id: UUID
    name: str
    price: Money
    retired: bool
    revision: int


class ProductChanged(ProductAdded):
    pass


class ProductRetired(ProductAdded):
    pass


class StockReserved(Event):
    order_id: UUID


class StockRejected(Event):
    order_id: UUID
    reason: str


class PaymentCaptured(Event):
    order_id: UUID


class PaymentDeclined(Event):
    order_id: UUID
    reason: str


class PaymentRefunded(Event):
    order_id: UUID
    amount: Money


class ShipmentCancelled(Event):
    order_id: UUID


class ShipmentDispatched(Event):
    order_id: UUID


class ShipmentDelivered(Event):
    order_id: UUID
