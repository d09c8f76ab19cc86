"""The SQL of orders. Reading an order takes the reader into the query; functions for events alone are named so."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import msgspec

from common.database import Contention, Row, Transaction
from common.observability import count, describe, logger
from common.requests import Page, Principal
from orders.domain import UNSETTLED, Address, Line, Order, OrderNotFound, Product, Status, Step

_IN_A_MINUTE = "NOW(6) + INTERVAL 60 SECOND"

_ORDER = "SELECT order_id, customer_id, order_lines, shipping_address, timeline, correlation_id FROM orders"


def add(tx: Transaction, order: Order, deadline_seconds: int) -> None:
    """Keep a new order, which is due `deadline_seconds` from now by the database's clock."""
    tx.execute(
        """
        INSERT INTO orders (order_id, customer_id, status, order_lines, total, shipping_address, timeline,
                            correlation_id, due_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, NOW(6) + INTERVAL %s SECOND)
        """,
        (
            order.order_id.bytes,
            order.customer_id,
            order.status,
            _json(order.lines),
            order.total,
            _json(order.shipping_address),
            _json(order.timeline),
            order.correlation_id,
            deadline_seconds,
        ),
    )


def get(tx: Transaction, order_id: UUID, reader: Principal) -> Order:
    """The order as `reader` may see it. Another customer's raises OrderNotFound, as one that is not there."""
    row = tx.one(
        f"{_ORDER} WHERE order_id = %s AND (customer_id = %s OR %s)", (order_id.bytes, reader.sub, reader.is_staff)
    )
    if row is None:
        raise OrderNotFound(order_id)
    return _order(row)


def page(tx: Transaction, reader: Principal, page: Page) -> Sequence[Order]:
    """Newest first: the reader's own, or everybody's for staff; and one more than asked, if there is one."""
    # An optimizer cannot use the index on customers through `customer_id = … OR is staff`: two statements.
    mine, parameters = ("", ()) if reader.is_staff else ("AND customer_id = %s", (reader.sub,))
    rows = tx.all(
        f"{_ORDER} WHERE order_id < %s {mine} ORDER BY order_id DESC LIMIT %s",
        (page.after.bytes, *parameters, page.limit + 1),
    )
    return [_order(row) for row in rows]


def get_for_event(tx: Transaction, order_id: UUID) -> Order:
    """The order, whoever it belongs to: for what other services report of it. Raises OrderNotFound."""
    row = tx.one(f"{_ORDER} WHERE order_id = %s", (order_id.bytes,))
    if row is None:
        raise OrderNotFound(order_id)
    return _order(row)


def advance(tx: Transaction, before: Order, after: Order) -> None:
    """Append the steps that `after` has and `before` had not. Raises Contention when the order has moved meanwhile."""
    due_at = "due_at" if after.status in UNSETTLED else _IN_A_MINUTE if after.status == Status.CANCELLING else "NULL"
    moved = tx.execute(
        f"""
        UPDATE orders
           SET status = %s, timeline = JSON_MERGE_PRESERVE(timeline, %s), due_at = {due_at}
         WHERE order_id = %s AND status = %s
        """,
        (after.status, _json(after.timeline[len(before.timeline) :]), before.order_id.bytes, before.status),
    )
    if not moved:
        raise Contention(f"order {before.order_id} is no longer {before.status}")


def take_due(tx: Transaction, limit: int) -> Sequence[Order]:
    """Orders that wait for an answer too long, locked, and due again in a minute. Passes over what others hold, and
    with a word in the log over what cannot be read: it is not to keep all others waiting."""
    rows = tx.all(
        f"{_ORDER} WHERE due_at <= NOW(6) ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED",
        (limit,),
    )
    if rows:
        tx.execute(
            f"UPDATE orders SET due_at = {_IN_A_MINUTE} WHERE order_id IN %s", ([row["order_id"] for row in rows],)
        )
    orders = []
    for row in rows:
        try:
            orders.append(_order(row))
        except msgspec.DecodeError as error:
            count("OrdersOverdue")
            unread = {"order_id": str(UUID(bytes=row["order_id"])), **describe(error)}
            logger.error("a due order cannot be read", extra=unread)
    return orders


def overdue(tx: Transaction, seconds: int) -> int:
    """How many orders are neither settled nor ended so long after their deadline. Reads these alone, by the index."""
    [row] = tx.all(
        "SELECT COUNT(*) AS overdue FROM orders WHERE due_at < NOW(6) - INTERVAL %s SECOND AND status IN %s",
        (seconds, sorted(UNSETTLED)),
    )
    return int(row["overdue"])


def add_refund(tx: Transaction, order_id: UUID, amount: int) -> None:
    """Raises OrderNotFound."""
    if not tx.execute("UPDATE orders SET refunded = refunded + %s WHERE order_id = %s", (amount, order_id.bytes)):
        raise OrderNotFound(order_id)


def books(tx: Transaction, after: UUID, limit: int) -> Sequence[Row]:
    """What orders has on record of each order, whoever's it is, to be held against other services' books."""
    return tx.all(
        "SELECT order_id, status, total, refunded FROM orders WHERE order_id > %s ORDER BY order_id LIMIT %s",
        (after.bytes, limit),
    )


def erase(tx: Transaction, customer_id: str) -> Sequence[Row]:
    """Forget where the customer's orders went to, once they are over. What was bought for how much is bookkeeping."""
    over = "customer_id = %s AND status IN ('rejected', 'cancelled', 'expired', 'delivered')"
    erased = tx.execute(
        f"""
        UPDATE orders
           SET shipping_address = JSON_OBJECT('name', 'erased', 'line1', 'erased', 'city', 'erased', 'postal_code', '0',
                                              'country', JSON_UNQUOTE(JSON_EXTRACT(shipping_address, '$.country')))
         WHERE {over}
        """,
        (customer_id,),
    )
    [left] = tx.all(
        f"SELECT COUNT(*) AS underway FROM orders WHERE customer_id = %s AND NOT ({over})", (customer_id,) * 2
    )
    return [{"erased": erased, **left}]


def products(tx: Transaction, product_ids: Collection[UUID]) -> Mapping[UUID, Product]:
    """Those of the products that are sold today."""
    rows = tx.all(
        "SELECT product_id, name, price FROM products WHERE product_id IN %s AND NOT retired",
        ([product_id.bytes for product_id in product_ids],),
    )
    return {UUID(bytes=row["product_id"]): Product(row["name"], row["price"]) for row in rows}


def put_product(tx: Transaction, product_id: UUID, product: Product, retired: bool, revision: int) -> None:
    """Keep a copy of the product, unless the one at hand is of the same or a later revision."""
    tx.execute(
        """
        INSERT INTO products (product_id, name, price, retired, revision)
        VALUES (%s, %s, %s, %s, %s)
            ON DUPLICATE KEY UPDATE
               name     = IF(VALUES(revision) > revision, VALUES(name), name),
               price    = IF(VALUES(revision) > revision, VALUES(price), price),
               retired  = IF(VALUES(revision) > revision, VALUES(retired), retired),
               revision = GREATEST(VALUES(revision), revision)
        """,
        (product_id.bytes, product.name, product.price, retired, revision),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _order(row: Row) -> Order:
    return Order(
        order_id=UUID(bytes=row["order_id"]),
        customer_id=row["customer_id"].decode(),
        lines=msgspec.json.decode(row["order_lines"], type=tuple[Line, ...]),
        shipping_address=msgspec.json.decode(row["shipping_address"], type=Address),
        timeline=msgspec.json.decode(row["timeline"], type=tuple[Step, ...]),
        correlation_id=row["correlation_id"],
    )
