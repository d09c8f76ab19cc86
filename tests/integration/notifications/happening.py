"""What happens to orders of which customers are told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any
from uuid import UUID

from notifications import consumer
from tests.integration.database import Database
from tests.integration.gateway import deliver, event, on_schedule

EMAIL = "alice@example.com"
TRAY = {"product_id": "019a0c5e-0a11-7b22-9c33-4d5566778899", "name": "Hinoki tray", "quantity": 2}
HOME = {
    "name": "Alice Aoki", "line1": "1-2-3 Marunouchi", "line2": None, "city": "Chiyoda-ku", "region": "Tokyo",
    "postal_code": "100-0005", "country": "JP",
}  # fmt: skip
ENGLISH = {
    "OrderConfirmed": "Your order is confirmed",
    "OrderRejected": "We could not accept your order",
    "OrderCancelled": "Your order is cancelled",
    "OrderExpired": "Your order was withdrawn",
    "ShipmentDispatched": "Your order is on its way",
    "ShipmentDelivered": "Your order was delivered",
    "PaymentRefunded": "Your refund is complete",
}
"""The subject of the mail on each event."""


def contact(order: str, email: str | None = EMAIL, locale: str = "en") -> dict[str, Any]:
    data = {"order_id": order, "customer_id": "alice-sub", "email": email, "locale": locale}
    return event("ContactGiven", data)


def news(order: str, what: str, **envelope: Any) -> dict[str, Any]:
    """An event of the order, with all that its sender puts into it."""
    yen = {"amount": 11_600, "currency": "JPY"}
    more: dict[str, dict[str, Any]] = {
        "OrderConfirmed": {"lines": [TRAY], "total": yen, "shipping_address": HOME},
        "OrderRejected": {"reason": "card declined"},
        "ShipmentDispatched": {"tracking_number": "KMK-1234"},
        "PaymentRefunded": {"amount": yen},
    }
    return event(what, {"order_id": order, "customer_id": "alice-sub", **more.get(what, {})}, **envelope)


def happens(*events: dict[str, Any]) -> None:
    """The events arrive one by one and are dealt with."""
    for one in events:
        assert deliver(consumer.handler, one) == []


def fails(*events: dict[str, Any]) -> None:
    """The events arrive one by one, and each goes back to the queue."""
    for one in events:
        assert deliver(consumer.handler, one) == ["m0"]


def sweep() -> None:
    on_schedule(consumer.handler)


def passes(database: Database, seconds: int) -> None:
    """So much time, by the database's clock."""
    database.execute("UPDATE mails SET due_at = due_at - INTERVAL %s SECOND WHERE due_at IS NOT NULL", (seconds,))


def states(database: Database, order: str) -> list[tuple[str, int]]:
    """Status and attempts of each mail of the order, in the order of their making."""
    rows = database.rows(
        "SELECT status, attempts FROM mails WHERE order_id = %s ORDER BY mail_id", (UUID(order).bytes,)
    )
    return [(row["status"], row["attempts"]) for row in rows]


def logged(log: StringIO) -> list[Any]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@contextmanager
def crashing(database: Database) -> Iterator[None]:
    """Within, whoever wants to record that a mail was sent dies there."""
    database.execute(
        "CREATE TRIGGER crash BEFORE UPDATE ON mails FOR EACH ROW "
        "IF NEW.status = 'sent' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'crash'; END IF"
    )
    try:
        yield
    finally:
        database.execute("DROP TRIGGER crash")
