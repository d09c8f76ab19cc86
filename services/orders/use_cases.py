"""The use cases of orders, one function each: load, decide in the domain, save, publish."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from msgspec.structs import asdict

from common.database import Transaction, retrying, transaction
from common.observability import correlate, correlation, count, logger
from common.requests import Page, Principal
from orders import domain, repository
from orders.domain import UNSETTLED, Customer, Order, Product, Requested, Status
from orders.models import CancellationRequested, ContactGiven, OrderPlaced, PlaceOrder, ProductAdded, announcement
from orders.settings import deadline_seconds

DUE_AT_ONCE = 100
DUE_FOR_SECONDS = 10.0  # of the function's 25
OVERDUE_AFTER_SECONDS = 120  # two sweeps that did not get to it
UNANSWERED_AFTER = timedelta(minutes=10)


def place_order(
    tx: Transaction,
    order_id: UUID,
    customer: Customer,
    request: PlaceOrder,
    products: Mapping[UUID, Product],
    now: datetime,
) -> Order:
    """Record the order and announce it, or neither. `products` are those of the request that are sold today. Raises
    UnknownProduct, DuplicateProduct."""
    requested = [Requested(line.product_id, line.quantity) for line in request.lines]
    address, story = domain.Address(**asdict(request.shipping_address)), correlation().correlation_id
    order = domain.place(order_id, customer.customer_id, requested, products, address, story, now)
    repository.add(tx, order, deadline_seconds())
    tx.publish(OrderPlaced.of(order, request.payment_method))
    tx.publish(ContactGiven.of(order, customer))
    return order


def read_order(tx: Transaction, order_id: UUID, reader: Principal) -> Order:
    """The order with its timeline. Raises OrderNotFound."""
    return repository.get(tx, order_id, reader)


def list_orders(tx: Transaction, reader: Principal, page: Page) -> Sequence[Order]:
    """A page of the reader's orders, newest first, and one order more if there is a further page."""
    return repository.page(tx, reader, page)


def cancel_order(tx: Transaction, order_id: UUID, reader: Principal, now: datetime) -> Order:
    """Cancel what is not confirmed yet, ask shipping for the rest. Raises OrderNotFound, TooLateToCancel."""
    order = repository.get(tx, order_id, reader)
    correlate(order.correlation_id)  # the order's story, of which this request is a part
    return _move(tx, order, order.cancel(now))


def record(tx: Transaction, order_id: UUID, to: Status, now: datetime, reason: str | None = None) -> Order:
    """What another service reports: the order moves, if it is not past that and has not ended. Raises OrderNotFound."""
    order = repository.get_for_event(tx, order_id)
    return _move(tx, order, order.advance(to, now, reason))


def record_refund(tx: Transaction, order_id: UUID, amount: int) -> None:
    """Money went back, of an order that ended or by decision of staff. Raises OrderNotFound."""
    repository.add_refund(tx, order_id, amount)


def record_product(tx: Transaction, event: ProductAdded) -> None:
    """What catalog says of a product, from any of its events: each carries the whole."""
    product = Product(event.name, event.price.amount)
    repository.put_product(tx, event.product_id, product, event.retired, event.revision)


def move_due(now: datetime) -> None:
    """Expire what is not settled by its deadline; ask shipping again about what it has not answered for a minute. Says
    what is left past its deadline, above all when this fails."""
    until = time.monotonic() + DUE_FOR_SECONDS
    try:
        while retrying(partial(_move_some_due, now)) and time.monotonic() < until:
            pass
    finally:
        with transaction() as tx:
            count("OrdersOverdue", repository.overdue(tx, OVERDUE_AFTER_SECONDS))


def _move_some_due(now: datetime) -> int:
    with transaction() as tx:
        orders = repository.take_due(tx, DUE_AT_ONCE)
        for order in orders:
            correlate(order.correlation_id)
            if order.status in UNSETTLED:
                _move(tx, order, order.advance(Status.EXPIRED, now, "not settled in time"))
            else:
                tx.publish(CancellationRequested.of(order))
    asked = [order for order in orders if order.status not in UNSETTLED]
    unanswered = [order for order in asked if now - order.updated_at > UNANSWERED_AFTER]
    for order in unanswered:
        correlate(order.correlation_id)
        logger.warning("shipping does not answer whether it can cancel", extra={"order_id": str(order.order_id)})
    count("CancellationsUnanswered", len(unanswered))
    return len(orders)


def _move(tx: Transaction, before: Order, after: Order) -> Order:
    if after.status != before.status:
        repository.advance(tx, before, after)
        if event := announcement(after):
            tx.publish(event)
    return after
