"""The SQL of shipping. Reading a shipment takes the reader into the query; functions for events alone are named so."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from common.database import Contention, Row, Transaction
from common.requests import Principal
from shipping.domain import Parcel, Shipment, ShipmentNotFound, Status

_SHIPMENT = "SELECT order_id, correlation_id, status, tracking_number FROM shipments"


def get(tx: Transaction, order_id: UUID, reader: Principal) -> Shipment:
    """The shipment as `reader` may see it. Another customer's raises ShipmentNotFound, as one that is not there."""
    row = tx.one(
        f"{_SHIPMENT} WHERE order_id = %s AND (customer_id = %s OR %s)", (order_id.bytes, reader.sub, reader.is_staff)
    )
    if row is None:
        raise ShipmentNotFound(order_id)
    return _shipment(row)


def get_for_event(tx: Transaction, order_id: UUID) -> Shipment | None:
    """The shipment, whoever it belongs to; None when nothing is known of the order."""
    row = tx.one(f"{_SHIPMENT} WHERE order_id = %s", (order_id.bytes,))
    return None if row is None else _shipment(row)


def add(tx: Transaction, shipment: Shipment, customer_id: str, parcel: Parcel | None = None) -> bool:
    """Record a shipment; False when something is recorded for the order already, and that stays.

    A transaction that is about to record something for the same order is waited for.
    """
    return (
        tx.execute(
            """
            INSERT INTO shipments (order_id, correlation_id, customer_id, status, order_lines, shipping_address)
            VALUES (%s, %s, %s, %s, %s, %s)
                ON DUPLICATE KEY UPDATE order_id = VALUES(order_id)
            """,
            (
                shipment.order_id.bytes,
                shipment.correlation_id,
                customer_id,
                shipment.status,
                parcel and _json(parcel.lines),
                parcel and _json(parcel.address),
            ),
        )
        == 1
    )


def advance(tx: Transaction, before: Shipment, after: Shipment) -> None:
    """Make `before` `after`. Raises Contention when the shipment has moved meanwhile."""
    moved = tx.execute(
        "UPDATE shipments SET status = %s, tracking_number = %s WHERE order_id = %s AND status = %s",
        (after.status, after.tracking_number, before.order_id.bytes, before.status),
    )
    if not moved:
        raise Contention(f"the shipment of order {before.order_id} is no longer {before.status}")


def books(tx: Transaction, after: UUID, limit: int) -> Sequence[Row]:
    """What became of each order's parcel, to be held against other services' books."""
    return tx.all(
        "SELECT order_id, status FROM shipments WHERE order_id > %s ORDER BY order_id LIMIT %s", (after.bytes, limit)
    )


def erase(tx: Transaction, customer_id: str) -> Sequence[Row]:
    """Forget where the customer's parcels went to, once they are there or will never be."""
    over = "customer_id = %s AND status IN ('delivered', 'cancelled')"
    erased = tx.execute(
        f"""
        UPDATE shipments
           SET shipping_address = JSON_OBJECT('name', 'erased', 'line1', 'erased', 'city', 'erased', 'postal_code', '0',
                                              'country', JSON_UNQUOTE(JSON_EXTRACT(shipping_address, '$.country')))
         WHERE {over} AND shipping_address IS NOT NULL
        """,
        (customer_id,),
    )
    [left] = tx.all(
        f"SELECT COUNT(*) AS underway FROM shipments WHERE customer_id = %s AND NOT ({over})", (customer_id,) * 2
    )
    return [{"erased": erased, **left}]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _shipment(row: Row) -> Shipment:
    return Shipment(UUID(bytes=row["order_id"]), row["correlation_id"], Status(row["status"]), row["tracking_number"])
