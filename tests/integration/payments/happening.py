"""What happens to payments, and what is to be seen of it then."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import UUID

from common.values import uuid7
from payments import api, consumer
from tests.integration.database import Database
from tests.integration.gateway import STAFF, ask, deliver, event

TOTAL = 3_000
ENDINGS = ("OrderRejected", "OrderCancelled", "OrderExpired")
CAPTURES = "NEW.state = 'captured' AND OLD.state = 'attempted'"
"""The change of a payment at which `crashing` may strike: the outcome of a charge is recorded."""

customer = partial(ask, api.handler)
staff = partial(ask, api.handler, sub=STAFF, groups="staff")


def yen(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "JPY"}


def placed(order: str, card: str = "tok_visa", customer_id: str = "alice-sub") -> dict[str, Any]:
    data = {"order_id": order, "customer_id": customer_id, "lines": [], "total": yen(TOTAL), "payment_method": card}
    return event("OrderPlaced", data)


def reserved(order: str) -> dict[str, Any]:
    return event("StockReserved", {"order_id": order})


def ended(order: str, how: str = "OrderCancelled") -> dict[str, Any]:
    return event(how, {"order_id": order, "customer_id": "alice-sub", "reason": None})


def happens(*events: dict[str, Any]) -> None:
    """The events arrive one by one and are dealt with."""
    for one in events:
        assert deliver(consumer.handler, one) == []


def fails(*events: dict[str, Any]) -> None:
    """The events arrive one by one, and each goes back to the queue."""
    for one in events:
        assert deliver(consumer.handler, one) == ["m0"]


def captured(card: str = "tok_visa") -> str:
    """An order that is paid."""
    order = str(uuid7())
    happens(placed(order, card), reserved(order))
    assert shown(order) == ("captured", TOTAL, 0)
    return order


def shown(order: str) -> tuple[str, int, int]:
    """Status, captured, refunded."""
    answer = staff("GET", f"/payments/{order}")
    assert answer.status == 200, answer.text
    return answer.json["status"], answer.json["captured"]["amount"], answer.json["refunded"]["amount"]


def ledger(database: Database, order: str) -> list[tuple[str, int]]:
    """What the provider has done for an order, in no order of time."""
    rows = database.rows(
        "SELECT outcome, amount FROM sandbox_ledger WHERE charge_key = %s ORDER BY outcome, amount",
        (UUID(order).bytes,),
    )
    return [(row["outcome"], row["amount"]) for row in rows]


@contextmanager
def crashing(database: Database, table: str, change: str) -> Iterator[None]:
    """Within, each transaction that changes a row of `table` so that `change` holds dies there."""
    database.execute(
        f"CREATE TRIGGER crash BEFORE UPDATE ON {table} FOR EACH ROW "
        f"IF {change} THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'crash'; END IF"
    )
    try:
        yield
    finally:
        database.execute("DROP TRIGGER crash")
