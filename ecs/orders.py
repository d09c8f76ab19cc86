"""What orders answers other services in the ECS design, which report what became of an order. Begin reading with
ecs/checkout.py.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct

from common.consumer import first_time
from common.database import Row, Transaction, transaction
from common.http import JSON, Response
from common.requests import body, idempotency_key, identifier
from common.values import Money
from ecs.checkout import ShipmentDispatched, journal
from ecs.placing import overrides
from ecs.runtime import journal_rows
from ecs.runtime.internal import InternalResolver
from orders import repository, use_cases
from orders.consumer import consumer
from orders.domain import OrderNotFound, Status
from orders.models import PaymentRefunded, ShipmentDelivered

__all__ = ["app", "consumer", "journal", "overrides"]

app = InternalResolver("orders", {OrderNotFound: 404})
consumer.task(journal.sweep)


class Dispatch(Struct):
    tracking_number: str


class Refund(Struct):
    amount: Money


@app.post("/internal/orders/<order_id>/dispatched")
def dispatched(order_id: str) -> Response:
    order, request = identifier(order_id), body(app, Dispatch)
    with transaction() as tx:
        use_cases.record(tx, order, Status.SHIPPED, datetime.now(UTC))
        tx.publish(ShipmentDispatched(order, request.tracking_number))  # also when repeated: it is told once
    return Response(204, JSON, "")


@app.post("/internal/orders/<order_id>/delivered")
def delivered(order_id: str) -> Response:
    order = identifier(order_id)
    with transaction() as tx:
        use_cases.record(tx, order, Status.DELIVERED, datetime.now(UTC))
        tx.publish(ShipmentDelivered(order))
    return Response(204, JSON, "")


@app.post("/internal/orders/<order_id>/refunded")
def refunded(order_id: str) -> Response:
    """The key is the identifier of the event: an order may have several refunds, alike to the yen."""
    order, event_id, request = identifier(order_id), identifier(idempotency_key(app)), body(app, Refund)
    with transaction() as tx:
        if first_time(tx, event_id):
            use_cases.record_refund(tx, order, request.amount.amount)
            tx.publish(PaymentRefunded(order, request.amount))
    return Response(204, JSON, "")


@consumer.question
def erase(tx: Transaction, customer_id: str) -> Sequence[Row]:
    """As ever; and what the journal has still to tell of the customer is underway."""
    [row] = repository.erase(tx, customer_id)
    return [{**row, "underway": row["underway"] + journal_rows.about(tx, "customer_id", customer_id)}]
