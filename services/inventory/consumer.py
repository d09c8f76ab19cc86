"""How inventory reacts to events of other services."""

from collections.abc import Sequence
from uuid import UUID

from common.consumer import PAGE, Consumer
from common.database import Row, Transaction
from inventory import repository, use_cases
from inventory.models import (
    OrderCancelled,
    OrderExpired,
    OrderPlaced,
    OrderRejected,
    ProductAdded,
    ProductChanged,
    ProductRetired,
    ShipmentDispatched,
)

consumer = Consumer()
handler = consumer.handler


@consumer.on(ProductAdded)
@consumer.on(ProductChanged)
@consumer.on(ProductRetired)
def product(tx: Transaction, event: ProductAdded) -> None:
    use_cases.record_product(tx, event)


@consumer.on(OrderPlaced)
def placed(tx: Transaction, event: OrderPlaced) -> None:
    use_cases.reserve(tx, event)


@consumer.on(ShipmentDispatched)
def dispatched(tx: Transaction, event: ShipmentDispatched) -> None:
    use_cases.dispatch(tx, event.order_id)


@consumer.on(OrderRejected)
@consumer.on(OrderCancelled)
@consumer.on(OrderExpired)
def ended(tx: Transaction, event: OrderRejected | OrderCancelled | OrderExpired) -> None:
    use_cases.release(tx, event.order_id)


@consumer.question
def books(tx: Transaction, after: str) -> Sequence[Row]:
    return repository.books(tx, UUID(after), PAGE)


@consumer.question
def miscounted(tx: Transaction, after: str) -> Sequence[Row]:
    return repository.miscounted(tx, UUID(after), PAGE)
