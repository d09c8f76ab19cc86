"""What comes into payments and goes out of it: requests, answers, events."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from common.events import Event
from common.values import Money
from payments import domain


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """Money, at least one unit of it."""

    amount: Annotated[int, Meta(ge=1, le=2**53)]
    currency: Literal["JPY"]


class RefundPayment(Struct, frozen=True, forbid_unknown_fields=True):
    """Without an amount: all that is left."""

    amount: Part | UnsetType = UNSET


class PaymentView(Struct):
    """A payment as its readers see it."""

    order_id: UUID
    status: domain.Status
    captured: Money
    refunded: Money

    @classmethod
    def of(cls, payment: domain.Payment) -> "PaymentView":
        return cls(payment.order_id, payment.status, Money(payment.captured), Money(payment.refunded))


class OrderPlaced(Event):
    order_id: UUID
    customer_id: str
    total: Money
    payment_method: str


class StockReserved(Event):
    order_id: UUID


class OrderRejected(Event):
    order_id: UUID


class OrderCancelled(Event):
    order_id: UUID


class OrderExpired(Event):
    order_id: UUID


class PaymentCaptured(Event):
    """The order's total was captured."""

    order_id: UUID


class PaymentDeclined(Event):
    """The provider refused the charge: the reason is its own."""

    order_id: UUID
    reason: str


class PaymentRefunded(Event):
    """Money went back: all of an order that has ended, or what staff decided."""

    order_id: UUID
    amount: Money
