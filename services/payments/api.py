"""Payments' HTTP routes."""

from uuid import UUID

from msgspec import UNSET

from common.database import Contention, transaction
from common.http import RequestInProgress, Resolver, Response
from common.idempotency import fingerprint, idempotent
from common.operation import operation
from common.requests import body, identifier, principal, staff
from payments import use_cases
from payments.domain import AnotherRefund, NotEnoughLeft, PaymentNotFound
from payments.models import PaymentView, RefundPayment
from payments.provider import ProviderUnavailable
from payments.sandbox import Sandbox

app = Resolver("payments", {PaymentNotFound: 404, NotEnoughLeft: 409, AnotherRefund: 422, ProviderUnavailable: 503})
handler = app.handler
provider = Sandbox()


@app.get("/payments/<order_id>")
@operation("customer")
def read_payment(order_id: str) -> PaymentView:
    """What was captured for an order, and what of it went back. It is there within seconds of the order."""
    reader = principal(app)
    with transaction() as tx:
        return PaymentView.of(use_cases.read_payment(tx, identifier(order_id), reader))


@app.post("/payments/<order_id>/refund")
@operation("staff", takes=RefundPayment, gives=PaymentView, keyed=True, refuses=(NotEnoughLeft,))
def refund_payment(order_id: str) -> Response:
    """Give back `amount`, or all that is left. The order stays what it is."""
    # In two steps, as a charge: a repeat finds the refund that its key began, and finishes it.
    caller, request, payment_id = staff(app), body(app, RefundPayment), identifier(order_id)
    key, asked = fingerprint(app)
    amount = None if request.amount is UNSET else request.amount.amount
    refund_id = UUID(bytes=key[:16])
    try:
        with transaction() as tx:
            refund = use_cases.begin_refund(tx, payment_id, refund_id, asked, amount)
    except Contention as error:  # somebody has the payment and does not let go of it: is it this refund that goes on?
        with transaction() as tx:
            if use_cases.has_begun(tx, payment_id, refund_id):
                raise RequestInProgress from error
        raise
    use_cases.give_back(provider, refund)

    def complete() -> tuple[PaymentView, int]:
        use_cases.complete_refund(tx, refund)
        return PaymentView.of(use_cases.read_payment(tx, payment_id, caller)), 200

    with transaction() as tx:
        return idempotent(app, tx, complete)
