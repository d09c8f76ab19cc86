"""What payments answers orders, and what it reports to orders."""

from typing import Literal

from msgspec import Struct

from common.database import transaction
from common.observability import correlation
from common.requests import body, identifier
from common.values import Money
from ecs.runtime.calls import Neighbour
from ecs.runtime.internal import InternalResolver
from ecs.runtime.journal import Journal
from payments import use_cases
from payments.consumer import consumer, provider
from payments.domain import State
from payments.models import OrderPlaced, PaymentRefunded
from payments.provider import ProviderUnavailable

__all__ = ["app", "consumer", "journal", "overrides"]

app = InternalResolver("payments", {ProviderUnavailable: 503})
overrides = None
journal = Journal()
consumer.task(journal.sweep)
orders = Neighbour("orders")


class Charge(Struct):
    customer_id: str
    amount: Money
    payment_method: str


class Ended(Struct):
    customer_id: str
    amount: Money


class Outcome(Struct):
    """`ended`: the order had ended before, and nothing is charged. The reason is why the provider declined."""

    status: Literal["captured", "declined", "ended"]
    reason: str | None = None


class Settled(Struct):
    captured: Money
    refunded: Money


@app.post("/internal/payments/<order_id>/charge")
def charge(order_id: str) -> Outcome:
    """Of an order whose stock is held. In two steps, as everywhere: a repeat finishes what a crash left in between."""
    order, request = identifier(order_id), body(app, Charge)
    with transaction() as tx:
        use_cases.note_order(tx, OrderPlaced(order, request.customer_id, request.amount, request.payment_method))
        payment = use_cases.note_stock(tx, order)
    if payment.state is State.NOTED:
        return Outcome("ended")
    if payment.state is State.CAPTURED:
        return Outcome("captured")
    answer = use_cases.attempt(provider, payment)  # also when it was declined before: only the provider knows why
    return Outcome("declined", answer.declined) if answer.declined else Outcome("captured")


@app.post("/internal/payments/<order_id>/end")
def end(order_id: str) -> Settled:
    """The order is over: what was captured goes back, and what comes late charges nothing. Its customer can read so,
    also where it never came to a charge."""
    order, request = identifier(order_id), body(app, Ended)
    with transaction() as tx:
        use_cases.note_order(tx, OrderPlaced(order, request.customer_id, request.amount, payment_method=""))
        payment = use_cases.note_end(tx, order)
    with journal.deferred():  # orders waits for this answer, and is told of the refund later
        use_cases.refund_ended(provider, payment)
    payment = use_cases.read_noted(order)
    return Settled(Money(payment.captured), Money(payment.refunded))


@journal.on(PaymentRefunded)
def refunded(event: PaymentRefunded) -> None:
    path = f"/internal/orders/{event.order_id}/refunded"
    orders.call("POST", path, {"amount": event.amount}, key=correlation().causation_id)
