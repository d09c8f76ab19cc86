"""The SQL of inventory. Stock is always locked in the order of its key, so that there are no deadlocks."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import msgspec

from common.database import Row, Transaction
from inventory.domain import Line, Reservation, Status, Stock, StockNotFound


def get(tx: Transaction, product_id: UUID) -> Stock:
    """The stock of a product. Raises StockNotFound."""
    row = tx.one("SELECT product_id, on_hand, reserved FROM stock WHERE product_id = %s", (product_id.bytes,))
    if row is None:
        raise StockNotFound(product_id)
    return _stock(row)


def lock(tx: Transaction, product_ids: Collection[UUID]) -> Mapping[UUID, Stock]:
    """The stock of those products that are known, which nobody else can change until the transaction ends."""
    rows = tx.all(
        """
        SELECT product_id, on_hand, reserved
          FROM stock
         WHERE product_id IN %s
         ORDER BY product_id
           FOR UPDATE
        """,
        ([product_id.bytes for product_id in product_ids],),
    )
    return {stock.product_id: stock for stock in map(_stock, rows)}


def save(tx: Transaction, stock: Stock) -> None:
    """Keep how much there is of a product, whose stock came from `lock`."""
    tx.execute("UPDATE stock SET on_hand = %s WHERE product_id = %s", (stock.on_hand, stock.product_id.bytes))


def put_product(tx: Transaction, product_id: UUID, revision: int) -> None:
    """Have a row for the product, with nothing in stock when it is new."""
    tx.execute(
        """
        INSERT INTO stock (product_id, on_hand, reserved, revision)
        VALUES (%s, 0, 0, %s)
            ON DUPLICATE KEY UPDATE
               revision = IF(VALUES(revision) > revision, VALUES(revision), revision)
        """,
        (product_id.bytes, revision),
    )


def reserve(tx: Transaction, lines: Sequence[Line]) -> None:
    """Hold the units of the lines, one a product."""
    _change(tx, lines, "reserved = reserved + {units}")


def release(tx: Transaction, lines: Sequence[Line]) -> None:
    """Give back the units of the lines, one a product."""
    _change(tx, lines, "reserved = reserved - {units}")


def dispatch(tx: Transaction, lines: Sequence[Line]) -> None:
    """The units of the lines, one a product, have left."""
    _change(tx, lines, "on_hand = on_hand - {units}", "reserved = reserved - {units}")


def add(tx: Transaction, reservation: Reservation) -> bool:
    """Record what became of an order's wish; False when something is recorded already, and that stays.

    A transaction that is about to record something for the same order is waited for.
    """
    return (
        tx.execute(
            "INSERT IGNORE INTO reservations (order_id, status, order_lines, reason) VALUES (%s, %s, %s, %s)",
            (
                reservation.order_id.bytes,
                reservation.status,
                msgspec.json.encode(reservation.lines).decode(),
                reservation.reason,
            ),
        )
        == 1
    )


def reservation(tx: Transaction, order_id: UUID) -> Reservation | None:
    """What is recorded for the order, locked until the transaction ends; None when nothing is."""
    row = tx.one(
        "SELECT status, order_lines, reason FROM reservations WHERE order_id = %s FOR UPDATE", (order_id.bytes,)
    )
    if row is None:
        return None
    lines = msgspec.json.decode(row["order_lines"], type=tuple[Line, ...])
    return Reservation(order_id, Status(row["status"]), lines, row["reason"])


def set_status(tx: Transaction, order_id: UUID, status: Status) -> None:
    tx.execute("UPDATE reservations SET status = %s WHERE order_id = %s", (status, order_id.bytes))


def books(tx: Transaction, after: UUID, limit: int) -> Sequence[Row]:
    """What became of each order's wish, to be held against other services' books."""
    return tx.all(
        "SELECT order_id, status FROM reservations WHERE order_id > %s ORDER BY order_id LIMIT %s",
        (after.bytes, limit),
    )


def miscounted(tx: Transaction, after: UUID, limit: int) -> Sequence[Row]:
    """Products of which not as many units are reserved as orders hold: by one statement, so as of one moment."""
    return tx.all(
        """
        SELECT stock.product_id, stock.reserved, COALESCE(held.units, 0) AS held
          FROM stock
               LEFT JOIN (
                   SELECT UNHEX(REPLACE(line.product_id, '-', '')) AS product_id,
                          CAST(SUM(line.quantity) AS SIGNED) AS units
                     FROM reservations,
                          JSON_TABLE(order_lines, '$[*]' COLUMNS (
                              product_id CHAR(36) PATH '$.product_id', quantity INT PATH '$.quantity'
                          )) AS line
                    WHERE status = 'reserved'
                    GROUP BY line.product_id
               ) AS held ON held.product_id = stock.product_id
         WHERE stock.product_id > %s AND stock.reserved <> COALESCE(held.units, 0)
         ORDER BY stock.product_id
         LIMIT %s
        """,
        (after.bytes, limit),
    )


def _change(tx: Transaction, lines: Sequence[Line], *assignments: str) -> None:
    """One statement for all products; a table's CHECK refuses what would go below zero or above what is on hand."""
    units = f"CASE product_id {'WHEN %s THEN %s ' * len(lines)}END"
    quantities = [value for line in lines for value in (line.product_id.bytes, line.quantity)]
    tx.execute(
        f"UPDATE stock SET {', '.join(assignments).format(units=units)} WHERE product_id IN %s",
        (*quantities * len(assignments), [line.product_id.bytes for line in lines]),
    )


def _stock(row: Row) -> Stock:
    return Stock(UUID(bytes=row["product_id"]), row["on_hand"], row["reserved"])
