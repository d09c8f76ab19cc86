"""What notifications is told by orders."""

from typing import Annotated, get_args
from uuid import UUID

from msgspec import Meta, Struct
from pybreaker import CircuitBreaker

from common.consumer import first_time
from common.database import transaction
from common.http import JSON, Problem, Response
from common.observability import describe, logger
from common.requests import body, idempotency_key, identifier
from ecs.runtime.internal import InternalResolver
from notifications import consumer as reactions
from notifications import use_cases
from notifications.consumer import consumer
from notifications.domain import Locale
from notifications.models import ContactGiven, Happening

__all__ = ["app", "consumer", "journal", "overrides"]

PAUSE_SECONDS = 30.0

app = InternalResolver("notifications", {})
overrides = journal = None
topics = {event_type.__name__: event_type for event_type in get_args(Happening)}
# A provider that hangs is not waited for in each request, but left to the sweep for a while.
provider = CircuitBreaker(fail_max=1, reset_timeout=PAUSE_SECONDS, throw_new_error_on_trip=False)


class Contact(Struct):
    customer_id: str
    email: Annotated[str, Meta(max_length=320)] | None
    locale: Locale


@app.put("/internal/contacts/<order_id>")
def contact(order_id: str) -> Response:
    """To whom the order's mails go, if it is not known."""
    order, given = identifier(order_id), body(app, Contact)
    with transaction() as tx:
        use_cases.note_contact(tx, ContactGiven(order, given.customer_id, given.email, given.locale))
    _send(order)
    return Response(204, JSON, "")


@app.post("/internal/news/<topic>")
def news(topic: str) -> Response:
    """An event of that name, with its fields, is told to the customer; once an event, whose identifier is the key."""
    if topic not in topics:
        raise Problem(404, "nobody is told of that")
    event_id, event = identifier(idempotency_key(app)), body(app, topics[topic])
    with transaction() as tx:
        if first_time(tx, event_id):
            use_cases.note(tx, event.news())
    _send(event.order_id)
    return Response(202, JSON, "")


def _send(order_id: UUID) -> None:
    """Send what is due at once. Never raises: what cannot be sent now is the sweep's."""
    try:
        provider.call(use_cases.send, reactions.mailer, order_id)
    except Exception as error:
        logger.warning("mails wait for the sweep", extra=describe(error))
