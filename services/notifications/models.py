"""What notifications takes in: events, and what each of them means to the customer."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from common.events import Event
from common.values import Money
from notifications.domain import Address, Line, Locale, News, Topic


class ContactGiven(Event):
    """`email` is an address that the customer has proved to be theirs; without one, nobody is told."""

    order_id: UUID
    customer_id: str
    email: Annotated[str, Meta(max_length=320)] | None
    locale: Locale


class OrderConfirmed(Event):
    """What the event does not have is left out of the mail."""

    order_id: UUID
    lines: Sequence[Line] = ()
    total: Money | None = None
    shipping_address: Address | None = None

    def news(self) -> News:
        paid = self.total.amount if self.total else None
        return News(self.order_id, Topic.CONFIRMED, paid, tuple(self.lines), self.shipping_address)


class OrderRejected(Event):
    order_id: UUID
    reason: str | None = None

    def news(self) -> News:
        return News(self.order_id, Topic.REJECTED, reason=self.reason)


class OrderCancelled(Event):
    order_id: UUID

    def news(self) -> News:
        return News(self.order_id, Topic.CANCELLED)


class OrderExpired(Event):
    order_id: UUID

    def news(self) -> News:
        return News(self.order_id, Topic.EXPIRED)


class ShipmentDispatched(Event):
    order_id: UUID
    tracking_number: str

    def news(self) -> News:
        return News(self.order_id, Topic.DISPATCHED, tracking_number=self.tracking_number)


class ShipmentDelivered(Event):
    order_id: UUID

    def news(self) -> News:
        return News(self.order_id, Topic.DELIVERED)


class PaymentRefunded(Event):
    order_id: UUID
    amount: Money

    def news(self) -> News:
        return News(self.order_id, Topic.REFUNDED, self.amount.amount)


Happening = (
    OrderConfirmed
    | OrderRejected
    | OrderCancelled
    | OrderExpired
    | ShipmentDispatched
    | ShipmentDelivered
    | PaymentRefunded
)
