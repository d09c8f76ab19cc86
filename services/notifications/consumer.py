"""How notifications reacts to events of other services."""

from collections.abc import Sequence

from common.consumer import Consumer
from common.database import Row, Transaction
from notifications import repository, use_cases
from notifications.models import (
    ContactGiven,
    Happening,
    OrderCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderRejected,
    PaymentRefunded,
    ShipmentDelivered,
    ShipmentDispatched,
)
from notifications.ses import Ses

consumer = Consumer()
handler = consumer.handler
mailer = Ses()


def send(event: ContactGiven | Happening, noted: None) -> None:
    use_cases.send(mailer, event.order_id)


@consumer.on(ContactGiven, then=send)
def contact(tx: Transaction, event: ContactGiven) -> None:
    use_cases.note_contact(tx, event)


@consumer.on(OrderConfirmed, then=send)
@consumer.on(OrderRejected, then=send)
@consumer.on(OrderCancelled, then=send)
@consumer.on(OrderExpired, then=send)
@consumer.on(ShipmentDispatched, then=send)
@consumer.on(ShipmentDelivered, then=send)
@consumer.on(PaymentRefunded, then=send)
def happened(tx: Transaction, event: Happening) -> None:
    use_cases.note(tx, event.news())


@consumer.task
def send_due() -> None:
    use_cases.send_due(mailer)


@consumer.task
def forget() -> None:
    use_cases.forget()


@consumer.question
def erase(tx: Transaction, customer_id: str) -> Sequence[Row]:
    return repository.erase(tx, customer_id)
