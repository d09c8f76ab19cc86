"""The use cases of inventory, one function each: load, decide in the domain, save, publish."""

from uuid import UUID

from common.database import Contention, Transaction
from inventory import domain, repository
from inventory.domain import NothingReserved, Reservation, Status, Stock, StockNotFound
from inventory.models import OrderPlaced, ProductAdded, StockRejected, StockReserved


def read_stock(tx: Transaction, product_id: UUID) -> Stock:
    """The stock of a product. Raises StockNotFound."""
    return repository.get(tx, product_id)


def set_stock(tx: Transaction, product_id: UUID, on_hand: int) -> Stock:
    """Record how much there is. Raises StockNotFound, BelowReserved."""
    known = repository.lock(tx, [product_id])
    if product_id not in known:
        raise StockNotFound(product_id)
    stock = known[product_id].count(on_hand)
    repository.save(tx, stock)
    return stock


def record_product(tx: Transaction, event: ProductAdded) -> None:
    """There is such a product: it has a stock from now on."""
    repository.put_product(tx, event.product_id, event.revision)


def reserve(tx: Transaction, event: OrderPlaced) -> Reservation | None:
    """Hold all lines of the order or none, and say which; None when that was decided before or the order is over."""
    lines = domain.by_product(event.lines)
    stock = repository.lock(tx, [line.product_id for line in lines])
    reason = domain.refusal(lines, stock)
    reservation = Reservation(event.order_id, Status.REJECTED if reason else Status.RESERVED, lines, reason)
    if not repository.add(tx, reservation):
        return None
    if reason:
        tx.publish(StockRejected(event.order_id, reason))
    else:
        repository.reserve(tx, lines)
        tx.publish(StockReserved(event.order_id))
    return reservation


def read_reservation(tx: Transaction, order_id: UUID) -> Reservation:
    """What was decided for the order, and became of it. Raises NothingReserved when nothing was decided."""
    reservation = repository.reservation(tx, order_id)
    if reservation is None:
        raise NothingReserved(order_id)
    return reservation


def release(tx: Transaction, order_id: UUID) -> None:
    """The order is over: give back what it holds, once; and if nothing was decided yet, see that nothing ever is.

    Raises Contention when its reservation is being made at this very moment.
    """
    reservation = repository.reservation(tx, order_id)
    if reservation is None:
        if not repository.add(tx, Reservation(order_id, Status.RELEASED)):
            raise Contention(f"order {order_id} has just been decided")
    elif reservation.status == Status.RESERVED:
        repository.set_status(tx, order_id, Status.RELEASED)
        repository.release(tx, reservation.lines)


def dispatch(tx: Transaction, order_id: UUID) -> None:
    """The order's parcel has left, and its units with it. Raises NothingReserved."""
    reservation = repository.reservation(tx, order_id)
    if reservation is None or reservation.status not in (Status.RESERVED, Status.DISPATCHED):
        raise NothingReserved(order_id)
    if reservation.status == Status.RESERVED:
        repository.set_status(tx, order_id, Status.DISPATCHED)
        repository.dispatch(tx, reservation.lines)
