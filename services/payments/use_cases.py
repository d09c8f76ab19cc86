"""The use cases of payments, one function each.

Functions that take a Provider open transactions of their own, because the provider is asked between them: what is to be
done is committed before, the outcome after. Each can be repeated, finishes what a crash left, and takes effect once.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar
from uuid import UUID

from common.connection import at_least
from common.database import Transaction, retrying, transaction
from common.observability import correlate, describe, logger
from common.requests import Principal
from common.values import Money
from payments import repository
from payments.domain import Payment, Refund, State
from payments.models import OrderPlaced, PaymentCaptured, PaymentDeclined, PaymentRefunded
from payments.provider import Charge, Provider, persistently

DUE_AT_ONCE = 10
RECORD_SECONDS = 2.0  # for what the provider said, however late: else it would be asked again, and be as late again
DUE_FOR_SECONDS = 4.0  # for refunds, and for payments: of the function's 25, however long the provider takes

T = TypeVar("T")


def note_order(tx: Transaction, event: OrderPlaced) -> Payment:
    """What is to be paid, by whom and how. With the stock held already, the charge is attempted from here on."""
    repository.note_order(tx, event.order_id, event.customer_id, event.total.amount, event.payment_method)
    return repository.get_for_event(tx, event.order_id)


def note_stock(tx: Transaction, order_id: UUID) -> Payment:
    """The order's stock is held. With the order known already, the charge is attempted from here on."""
    repository.note_stock(tx, order_id)
    return repository.get_for_event(tx, order_id)


def note_end(tx: Transaction, order_id: UUID) -> Payment:
    """The order is rejected, cancelled or expired: no charge is attempted any more."""
    repository.note_end(tx, order_id)
    return repository.get_for_event(tx, order_id)


def read_noted(order_id: UUID) -> Payment:
    """The payment as events have made it, in a transaction of its own."""
    with transaction() as tx:
        return repository.get_for_event(tx, order_id)


def read_payment(tx: Transaction, order_id: UUID, reader: Principal) -> Payment:
    """Raises PaymentNotFound."""
    return repository.get(tx, order_id, reader)


def charge(provider: Provider, payment: Payment) -> None:
    """Resolve the attempt, if there is one. Raises ProviderUnavailable."""
    if payment.state is State.ATTEMPTED:
        attempt(provider, payment)


def attempt(provider: Provider, payment: Payment) -> Charge:
    """Have the provider charge what was attempted, or say again what came of it, and record that, if nobody has.

    Raises ProviderUnavailable.
    """
    answer = persistently(lambda: provider.charge(payment.order_id, payment.amount, payment.token))
    with at_least(RECORD_SECONDS):
        retrying(lambda: _record_charge(payment.order_id, answer))
    return answer


def refund_ended(provider: Provider, payment: Payment) -> None:
    """Give back all of an order that has ended, after an attempt is resolved. Raises ProviderUnavailable."""
    charge(provider, payment)
    if payment.state in (State.ATTEMPTED, State.CAPTURED):
        for refund in retrying(lambda: _begin_refund_of_rest(payment.order_id)):
            give_back(provider, refund)
            with at_least(RECORD_SECONDS):
                retrying(partial(_complete_refund, refund))


def begin_refund(tx: Transaction, order_id: UUID, refund_id: UUID, asked: bytes, amount: int | None) -> Refund:
    """Set money aside to be given back, all that is left without an `amount`; or find the refund begun before.

    Raises PaymentNotFound, NotEnoughLeft, AnotherRefund.
    """
    payment = repository.lock(tx, order_id)
    correlate(payment.correlation_id)  # the order's story, of which this request is a part
    begun = repository.refunds(tx, order_id)
    refund = payment.refund(begun, refund_id, asked, amount)
    if refund not in begun:
        repository.add_refund(tx, refund)
    return refund


def has_begun(tx: Transaction, order_id: UUID, refund_id: UUID) -> bool:
    """Whether there is such a refund, done or not, without waiting for anybody."""
    return any(refund.refund_id == refund_id for refund in repository.refunds(tx, order_id))


def give_back(provider: Provider, refund: Refund) -> None:
    """Have the provider do it, unless it is done. Raises ProviderUnavailable."""
    if not refund.done:
        persistently(lambda: provider.refund(refund.refund_id, refund.order_id, refund.amount))


def complete_refund(tx: Transaction, refund: Refund) -> None:
    """Record and announce that the money went back, if nobody has."""
    if repository.complete_refund(tx, refund):
        tx.publish(PaymentRefunded(order_id=refund.order_id, amount=Money(refund.amount)))


def finish_due(provider: Provider) -> None:
    """Finish what was begun a minute ago or more, by whoever crashed, gave up or was never told again: up to 10 refunds
    and 10 payments, 4 s long each, every one for itself. One that fails is logged, and due again in a minute.
    """
    for refund in _taken(repository.take_due_refund):
        with _for_itself(refund.order_id):
            give_back(provider, refund)
            retrying(partial(_complete_refund, refund))
    for due in _taken(repository.take_due_payment):
        with _for_itself(due.order_id):
            (refund_ended if due.ended else charge)(provider, read_noted(due.order_id))


def _taken(take: Callable[[Transaction], T | None]) -> Iterator[T]:
    """One by one, so that an end of the function keeps nobody waiting but the one that it was at."""

    def taken() -> T | None:
        with transaction() as tx:
            return take(tx)

    until = time.monotonic() + DUE_FOR_SECONDS
    for _ in range(DUE_AT_ONCE):
        if time.monotonic() > until or (one := retrying(taken)) is None:
            return
        yield one


@contextmanager
def _for_itself(order_id: UUID) -> Iterator[None]:
    try:
        correlate(read_noted(order_id).correlation_id)
        yield
    except Exception as error:
        logger.error("still not finished with the provider", extra={"order_id": str(order_id), **describe(error)})


def _record_charge(order_id: UUID, answer: Charge) -> None:
    with transaction() as tx:
        if answer.declined is None:
            if repository.resolve(tx, order_id, State.CAPTURED):
                tx.publish(PaymentCaptured(order_id=order_id))
        elif repository.resolve(tx, order_id, State.DECLINED):
            tx.publish(PaymentDeclined(order_id=order_id, reason=answer.declined))


def _begin_refund_of_rest(order_id: UUID) -> list[Refund]:
    """All refunds of the order that are not done: also those of which nobody has asked again since a crash."""
    with transaction() as tx:
        payment, begun = repository.lock(tx, order_id), repository.refunds(tx, order_id)
        rest = payment.refund_rest(begun)
        if rest:
            repository.add_refund(tx, rest)
        return [refund for refund in (*begun, rest) if refund and not refund.done]


def _complete_refund(refund: Refund) -> None:
    with transaction() as tx:
        complete_refund(tx, refund)
