"""The SQL of payments. Reading a payment takes the reader into the query; those for events and staff are named so.

Each event is noted by one statement, in any order of arrival: the order, its stock, its end. A charge is attempted as
soon as order and stock are both known, unless the order has ended before.

Work begun with the provider falls due again a minute later, by the database's clock, for whoever finds it unfinished.
MySQL assigns from left to right, so columns on which other assignments depend come last.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from common.database import Row, Transaction
from common.observability import correlation
from common.requests import Principal
from payments.domain import Payment, PaymentNotFound, Refund, State

_PAYMENT = "SELECT order_id, correlation_id, state, amount, token, captured, refunded FROM payments"
_IN_A_MINUTE = "NOW(6) + INTERVAL 60 SECOND"


class Due(NamedTuple):
    """A payment that nobody has finished with the provider: its attempt or, once `ended`, its refund."""

    order_id: UUID
    ended: bool


def get(tx: Transaction, order_id: UUID, reader: Principal) -> Payment:
    """The payment as `reader` may see it. Another customer's raises PaymentNotFound, as one that is not there."""
    # Where only other events than OrderPlaced have come, customer_id is NULL, and nobody can see that.
    row = tx.one(
        f"{_PAYMENT} WHERE order_id = %s AND (customer_id = %s OR (%s AND customer_id IS NOT NULL))",
        (order_id.bytes, reader.sub, reader.is_staff),
    )
    return _payment(order_id, row)


def get_for_event(tx: Transaction, order_id: UUID) -> Payment:
    """The payment, whoever it belongs to, after something has been noted of it."""
    return _payment(order_id, tx.one(f"{_PAYMENT} WHERE order_id = %s", (order_id.bytes,)))


def lock(tx: Transaction, order_id: UUID) -> Payment:
    """The payment, whoever it belongs to; no refund but ours can begin until we commit. Raises PaymentNotFound."""
    row = tx.one(f"{_PAYMENT} WHERE order_id = %s AND customer_id IS NOT NULL FOR UPDATE", (order_id.bytes,))
    return _payment(order_id, row)


def note_order(tx: Transaction, order_id: UUID, customer_id: str, amount: int, token: str) -> None:
    tx.execute(
        f"""
        INSERT INTO payments (order_id, correlation_id, customer_id, amount, token)
        VALUES (%s, %s, %s, %s, %s)
            ON DUPLICATE KEY UPDATE
               state       = IF(state = 'noted' AND reserved AND NOT ended, 'attempted', state),
               due_at      = IF(state = 'attempted', COALESCE(due_at, {_IN_A_MINUTE}), due_at),
               amount      = IF(customer_id IS NULL, VALUES(amount), amount),
               token       = IF(customer_id IS NULL, VALUES(token), token),
               customer_id = COALESCE(customer_id, VALUES(customer_id))
        """,
        (order_id.bytes, correlation().correlation_id, customer_id, amount, token),
    )


def note_stock(tx: Transaction, order_id: UUID) -> None:
    tx.execute(
        f"""
        INSERT INTO payments (order_id, correlation_id, reserved)
        VALUES (%s, %s, TRUE)
            ON DUPLICATE KEY UPDATE
               state    = IF(state = 'noted' AND customer_id IS NOT NULL AND NOT ended, 'attempted', state),
               due_at   = IF(state = 'attempted', COALESCE(due_at, {_IN_A_MINUTE}), due_at),
               reserved = TRUE
        """,
        (order_id.bytes, correlation().correlation_id),
    )


def note_end(tx: Transaction, order_id: UUID) -> None:
    """The tombstone: what comes late finds it, and charges nothing."""
    tx.execute(
        f"""
        INSERT INTO payments (order_id, correlation_id, ended)
        VALUES (%s, %s, TRUE)
            ON DUPLICATE KEY UPDATE
               ended  = TRUE,
               due_at = IF(state = 'attempted' OR refunded < captured, COALESCE(due_at, {_IN_A_MINUTE}), NULL)
        """,
        (order_id.bytes, correlation().correlation_id),
    )


def resolve(tx: Transaction, order_id: UUID, to: State) -> bool:
    """Record what became of the attempt. False when that has been recorded before."""
    moved = tx.execute(
        """
        UPDATE payments
           SET state = %s, captured = IF(%s, amount, 0), due_at = IF(ended AND captured > 0, due_at, NULL)
         WHERE order_id = %s AND state = 'attempted'
        """,
        (to, to is State.CAPTURED, order_id.bytes),
    )
    return moved == 1


def refunds(tx: Transaction, order_id: UUID) -> Sequence[Refund]:
    rows = tx.all("SELECT refund_id, amount, asked, status FROM refunds WHERE order_id = %s", (order_id.bytes,))
    return [
        Refund(UUID(bytes=row["refund_id"]), order_id, row["amount"], row["asked"], row["status"] == "done")
        for row in rows
    ]


def add_refund(tx: Transaction, refund: Refund) -> None:
    tx.execute(
        f"INSERT INTO refunds (refund_id, order_id, amount, asked, due_at) VALUES (%s, %s, %s, %s, {_IN_A_MINUTE})",
        (refund.refund_id.bytes, refund.order_id.bytes, refund.amount, refund.asked),
    )


def complete_refund(tx: Transaction, refund: Refund) -> bool:
    """The provider has given the money back. False when that has been recorded before."""
    refund_id, order_id = refund.refund_id.bytes, refund.order_id.bytes
    if not tx.execute(
        "UPDATE refunds SET status = 'done', due_at = NULL WHERE refund_id = %s AND status = 'pending'", (refund_id,)
    ):
        return False
    tx.execute(
        """
        UPDATE payments
           SET refunded = refunded + %s, due_at = IF(ended AND refunded < captured, due_at, NULL)
         WHERE order_id = %s
        """,
        (refund.amount, order_id),
    )
    return True


def books(tx: Transaction, after: UUID, limit: int) -> Sequence[Row]:
    """What payments has on record of each order, to be held against other services' books."""
    return tx.all(
        "SELECT order_id, state, captured, refunded FROM payments WHERE order_id > %s ORDER BY order_id LIMIT %s",
        (after.bytes, limit),
    )


def erase(tx: Transaction, customer_id: str) -> Sequence[Row]:
    """Forget the customer's cards, once they are charged or never will be: a refund goes by the charge. What was paid
    is bookkeeping."""
    over = "customer_id = %s AND (state IN ('captured', 'declined') OR (state = 'noted' AND ended))"
    erased = tx.execute(f"UPDATE payments SET token = '' WHERE {over}", (customer_id,))
    [left] = tx.all(
        f"SELECT COUNT(*) AS underway FROM payments WHERE customer_id = %s AND NOT ({over})", (customer_id,) * 2
    )
    return [{"erased": erased, **left}]


def take_due_refund(tx: Transaction) -> Refund | None:
    """The refund that is due longest, ours for a minute: others pass it over meanwhile, and what fails queues again."""
    row = tx.one(
        """
        SELECT refund_id, order_id, amount, asked
          FROM refunds
         WHERE due_at <= NOW(6)
         ORDER BY due_at
         LIMIT 1
           FOR UPDATE SKIP LOCKED
        """
    )
    if row is None:
        return None
    tx.execute(f"UPDATE refunds SET due_at = {_IN_A_MINUTE} WHERE refund_id = %s", (row["refund_id"],))
    return Refund(UUID(bytes=row["refund_id"]), UUID(bytes=row["order_id"]), row["amount"], row["asked"])


def take_due_payment(tx: Transaction) -> Due | None:
    """As `take_due_refund`."""
    row = tx.one(
        """
        SELECT order_id, ended
          FROM payments
         WHERE due_at <= NOW(6)
         ORDER BY due_at
         LIMIT 1
           FOR UPDATE SKIP LOCKED
        """
    )
    if row is None:
        return None
    tx.execute(f"UPDATE payments SET due_at = {_IN_A_MINUTE} WHERE order_id = %s", (row["order_id"],))
    return Due(UUID(bytes=row["order_id"]), bool(row["ended"]))


def _payment(order_id: UUID, row: Row | None) -> Payment:
    if row is None:
        raise PaymentNotFound(order_id)
    return Payment(**{**row, "order_id": order_id, "state": State(row["state"])})
