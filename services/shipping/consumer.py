"""How shipping reacts to events of other services."""

from collections.abc import Sequence
from uuid import UUID

from common.consumer import PAGE, Consumer
from common.database import Row, Transaction
from shipping import repository, use_cases
from shipping.models import CancellationRequested, OrderConfirmed

consumer = Consumer()
handler = consumer.handler


@consumer.on(OrderConfirmed)
def confirmed(tx: Transaction, event: OrderConfirmed) -> None:
    use_cases.prepare(tx, event)


@consumer.on(CancellationRequested)
def cancellation_requested(tx: Transaction, event: CancellationRequested) -> None:
    use_cases.cancel(tx, event)


@consumer.question
def books(tx: Transaction, after: str) -> Sequence[Row]:
    return repository.books(tx, UUID(after), PAGE)


@consumer.question
def erase(tx: Transaction, customer_id: str) -> Sequence[Row]:
    return repository.erase(tx, customer_id)
