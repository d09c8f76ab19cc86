"""What orders asks of the other services. Each function raises NeighbourUnavailable and NeighbourRefused."""

from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID

from msgspec import Struct

from common.events import Event
from common.observability import correlation
from common.values import Money
from ecs.runtime.calls import Neighbour
from orders.domain import Product
from orders.models import (
    CancellationRequested,
    ContactGiven,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderPlaced,
    OrderRejected,
)

catalog = Neighbour("catalog")
inventory = Neighbour("inventory")
payments = Neighbour("payments")
shipping = Neighbour("shipping")
notifications = Neighbour("notifications")


class Offer(Struct):
    product_id: UUID
    name: str
    price: Money
    retired: bool


class Offers(Struct):
    items: Sequence[Offer]


class Reservation(Struct):
    """`released`, when the order had ended before; `dispatched`, when it is on its way."""

    status: Literal["reserved", "rejected", "dispatched", "released"]
    reason: str | None = None


class Charge(Struct):
    """`ended`, when the order had ended before."""

    status: Literal["captured", "declined", "ended"]
    reason: str | None = None


class Parcel(Struct):
    status: Literal["cancelled", "dispatched", "delivered"]


def products(product_ids: Sequence[UUID]) -> Mapping[UUID, Product]:
    """Those of the products that are sold today."""
    path = f"/internal/products?ids={','.join(map(str, product_ids))}"
    offers = catalog.call("GET", path, gives=Offers).items
    return {offer.product_id: Product(offer.name, offer.price.amount) for offer in offers if not offer.retired}


def reserve(event: OrderPlaced) -> Reservation:
    """Hold all lines of the order or none, once; asked again, it says the same."""
    path, order_id = f"/internal/reservations/{event.order_id}", str(event.order_id)
    return inventory.call("POST", path, {"lines": event.lines}, key=order_id, gives=Reservation)


def release(order_id: UUID) -> None:
    """Give back what the order holds, or see that it never will hold anything."""
    inventory.call("DELETE", f"/internal/reservations/{order_id}")


def charge(event: OrderPlaced) -> Charge:
    """Take the money, once; asked again, it says the same."""
    wanted = {"customer_id": event.customer_id, "amount": event.total, "payment_method": event.payment_method}
    return payments.call("POST", f"/internal/payments/{event.order_id}/charge", wanted, gives=Charge)


def give_back(event: OrderRejected | OrderCancelled | OrderExpired, total: Money) -> None:
    """Refund what was captured, and see that nothing will be. Payments may not have heard of the order before."""
    ended = {"customer_id": event.customer_id, "amount": total}
    payments.call("POST", f"/internal/payments/{event.order_id}/end", ended)


def prepare(event: OrderConfirmed) -> None:
    """Have the parcel packed."""
    wanted = {"customer_id": event.customer_id, "lines": event.lines, "shipping_address": event.shipping_address}
    shipping.call("PUT", f"/internal/shipments/{event.order_id}", wanted)


def stop(event: CancellationRequested) -> Parcel:
    """See that nothing is sent, or hear that it is too late."""
    path = f"/internal/shipments/{event.order_id}/cancel"
    return shipping.call("POST", path, {"customer_id": event.customer_id}, gives=Parcel)


def address(event: ContactGiven) -> None:
    """Say to whom the mails of the order go."""
    given = {"customer_id": event.customer_id, "email": event.email, "locale": event.locale}
    notifications.call("PUT", f"/internal/contacts/{event.order_id}", given)


def tell(event: Event) -> None:
    """Have the customer told of the event that is being reacted to, once."""
    notifications.call("POST", f"/internal/news/{type(event).__name__}", event, key=correlation().causation_id)
