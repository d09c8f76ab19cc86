"""How orders reacts to events of other services, and to none arriving for too long."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from common.consumer import PAGE, Consumer
from common.database import Row, Transaction
from orders import repository, use_cases
from orders.domain import Status
from orders.models import (
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    ProductAdded,
    ProductChanged,
    ProductRetired,
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    StockRejected,
    StockReserved,
)

consumer = Consumer()
handler = consumer.handler


@consumer.on(ProductAdded)
@consumer.on(ProductChanged)
@consumer.on(ProductRetired)
def product(tx: Transaction, event: ProductAdded) -> None:
    use_cases.record_product(tx, event)


@consumer.on(StockReserved)
def reserved(tx: Transaction, event: StockReserved) -> None:
    use_cases.record(tx, event.order_id, Status.RESERVED, datetime.now(UTC))


@consumer.on(PaymentCaptured)
def captured(tx: Transaction, event: PaymentCaptured) -> None:
    """A charge is only tried once the stock is held: the order is confirmed."""
    use_cases.record(tx, event.order_id, Status.CONFIRMED, datetime.now(UTC))


@consumer.on(StockRejected)
@consumer.on(PaymentDeclined)
def refused(tx: Transaction, event: StockRejected | PaymentDeclined) -> None:
    use_cases.record(tx, event.order_id, Status.REJECTED, datetime.now(UTC), event.reason)


@consumer.on(PaymentRefunded)
def refunded(tx: Transaction, event: PaymentRefunded) -> None:
    use_cases.record_refund(tx, event.order_id, event.amount.amount)


@consumer.on(ShipmentCancelled)
def stopped(tx: Transaction, event: ShipmentCancelled) -> None:
    use_cases.record(tx, event.order_id, Status.CANCELLED, datetime.now(UTC))


@consumer.on(ShipmentDispatched)
def dispatched(tx: Transaction, event: ShipmentDispatched) -> None:
    use_cases.record(tx, event.order_id, Status.SHIPPED, datetime.now(UTC))


@consumer.on(ShipmentDelivered)
def delivered(tx: Transaction, event: ShipmentDelivered) -> None:
    use_cases.record(tx, event.order_id, Status.DELIVERED, datetime.now(UTC))


@consumer.task
def move_due() -> None:
    use_cases.move_due(datetime.now(UTC))


@consumer.question
def books(tx: Transaction, after: str) -> Sequence[Row]:
    return repository.books(tx, UUID(after), PAGE)


@consumer.question
def erase(tx: Transaction, customer_id: str) -> Sequence[Row]:
    return repository.erase(tx, customer_id)
