"""How payments reacts to events of other services."""

from collections.abc import Sequence
from uuid import UUID

from common.consumer import PAGE, Consumer
from common.database import Row, Transaction
from payments import repository, use_cases
from payments.domain import Payment
from payments.models import OrderCancelled, OrderExpired, OrderPlaced, OrderRejected, StockReserved
from payments.sandbox import Sandbox

consumer = Consumer()
handler = consumer.handler
provider = Sandbox()


def charge(event: OrderPlaced | StockReserved, noted: Payment | None) -> None:
    use_cases.charge(provider, noted or use_cases.read_noted(event.order_id))


def refund(event: OrderRejected | OrderCancelled | OrderExpired, noted: Payment | None) -> None:
    use_cases.refund_ended(provider, noted or use_cases.read_noted(event.order_id))


@consumer.on(OrderPlaced, then=charge)
def placed(tx: Transaction, event: OrderPlaced) -> Payment:
    return use_cases.note_order(tx, event)


@consumer.on(StockReserved, then=charge)
def reserved(tx: Transaction, event: StockReserved) -> Payment:
    return use_cases.note_stock(tx, event.order_id)


@consumer.on(OrderRejected, then=refund)
@consumer.on(OrderCancelled, then=refund)
@consumer.on(OrderExpired, then=refund)
def ended(tx: Transaction, event: OrderRejected | OrderCancelled | OrderExpired) -> Payment:
    return use_cases.note_end(tx, event.order_id)


@consumer.task
def finish_due() -> None:
    use_cases.finish_due(provider)


@consumer.question
def books(tx: Transaction, after: str) -> Sequence[Row]:
    return repository.books(tx, UUID(after), PAGE)


@consumer.question
def ledger(_: Transaction, after: str) -> Sequence[Row]:
    return provider.books(UUID(after), PAGE)


@consumer.question
def erase(tx: Transaction, customer_id: str) -> Sequence[Row]:
    return repository.erase(tx, customer_id)
