"""The checkout, and everything else that orders does about its own orders: it calls its neighbours, step by step.

The journal runs all of this, and runs it again where a crash or an absent neighbour left it unfinished. So every step
can be repeated, both what it calls and what it records; and an order that ends gives back all that it had obtained.
"""

from datetime import UTC, datetime
from uuid import UUID

from common.database import retrying, transaction
from common.events import Event
from common.values import Money
from ecs import neighbours_of_orders as neighbours
from ecs.runtime.journal import Journal
from orders import repository, use_cases
from orders.domain import Order, Status
from orders.models import (
    CancellationRequested,
    ContactGiven,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderPlaced,
    OrderRejected,
    PaymentRefunded,
    ShipmentDelivered,
)

CHECKOUT_SECONDS = 20.0

journal = Journal()


class ShipmentDispatched(Event):
    """As shipping tells of it."""

    order_id: UUID
    tracking_number: str


@journal.on(OrderPlaced, seconds=CHECKOUT_SECONDS)
def check_out(event: OrderPlaced) -> None:
    """Hold the stock, then take the money: nobody pays for what is not there. What fails on the way is tried again
    until the order is settled, or has expired; it may be cancelled at any time."""
    reservation = neighbours.reserve(event)
    if reservation.status == "rejected":
        _record(event.order_id, Status.REJECTED, reservation.reason)
    if reservation.status != "reserved":
        return

    order = _record(event.order_id, Status.RESERVED)
    if order.status is not Status.RESERVED:
        return  # it ended meanwhile, or was confirmed by an attempt that came no further

    charge = neighbours.charge(event)
    if charge.status == "captured":
        _record(event.order_id, Status.CONFIRMED)
    elif charge.status == "declined":
        _record(event.order_id, Status.REJECTED, charge.reason)


@journal.on(OrderConfirmed)
def prepare(event: OrderConfirmed) -> None:
    neighbours.prepare(event)


@journal.on(CancellationRequested, once="order_id")
def stop(event: CancellationRequested) -> None:
    """Shipping knows whether the parcel is still here."""
    parcel = neighbours.stop(event)
    moved = {"cancelled": Status.CANCELLED, "dispatched": Status.SHIPPED, "delivered": Status.DELIVERED}
    _record(event.order_id, moved[parcel.status])


@journal.on(OrderRejected)
@journal.on(OrderCancelled)
@journal.on(OrderExpired)
def release(event: OrderRejected | OrderCancelled | OrderExpired) -> None:
    neighbours.release(event.order_id)


@journal.on(OrderRejected)
@journal.on(OrderCancelled)
@journal.on(OrderExpired)
def give_back(event: OrderRejected | OrderCancelled | OrderExpired) -> None:
    with transaction() as tx:
        total = repository.get_for_event(tx, event.order_id).total
    neighbours.give_back(event, Money(total))


@journal.on(ContactGiven)
def address(event: ContactGiven) -> None:
    neighbours.address(event)


@journal.on(OrderConfirmed)
@journal.on(OrderRejected)
@journal.on(OrderCancelled)
@journal.on(OrderExpired)
@journal.on(ShipmentDispatched)
@journal.on(ShipmentDelivered)
@journal.on(PaymentRefunded)
def tell(event: Event) -> None:
    neighbours.tell(event)


def _record(order_id: UUID, status: Status, reason: str | None = None) -> Order:
    """The order as it is then: where it was, if it had moved on by itself."""

    def recorded() -> Order:
        with transaction() as tx:
            return use_cases.record(tx, order_id, status, datetime.now(UTC), reason)

    return retrying(recorded)
