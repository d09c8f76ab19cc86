"""The use cases of notifications, one function each.

Functions that take a Mailer open transactions of their own, because the mailer is asked between them: a mail is claimed
before, the outcome is recorded after. Only a crash in between can make a mail go out twice.
"""

import time
from uuid import UUID

import msgspec

from common.database import Transaction, retrying, transaction
from common.observability import correlate, correlation, count, describe, logger
from common.values import uuid7
from notifications import repository, texts
from notifications.domain import Mail, News
from notifications.mailer import Mailer, MailerUnavailable, MailRefused
from notifications.models import ContactGiven

DUE_AT_ONCE = 50
# Of the function's 25, for all and for one order: a mail that is sent when they end would be sent again.
DUE_FOR_SECONDS, ORDER_FOR_SECONDS = 8.0, 3.0
FORGOTTEN_AT_ONCE = 1000


def note(tx: Transaction, news: News) -> None:
    """There is a mail to be sent, as soon as it is known to whom."""
    repository.add(tx, uuid7(), news, correlation().correlation_id)


def note_contact(tx: Transaction, event: ContactGiven) -> None:
    """To whom the mails of an order go. What waited for that is due now, or forgotten."""
    repository.address(tx, event.order_id, event.customer_id, event.email, event.locale)


def send(mailer: Mailer, order_id: UUID) -> None:
    """Send the order's mails that are due, one by one; what is left after 3 s, the schedule sends. Raises what kept one
    from being sent, MailerUnavailable mostly; that one is then due later, and so keeps none from being sent the next
    time."""
    until = time.monotonic() + ORDER_FOR_SECONDS
    while time.monotonic() < until and (mail := retrying(lambda: _take(order_id))):
        _send(mailer, mail)


def send_due(mailer: Mailer) -> None:
    """Send what is still to be sent, of up to 50 orders and for 8 s: what the provider would not take then, or a crash
    left."""
    until = time.monotonic() + DUE_FOR_SECONDS
    for _ in range(DUE_AT_ONCE):
        if time.monotonic() > until or (due := retrying(_longest_due)) is None:
            return
        correlate(due.correlation_id)
        try:
            send(mailer, due.order_id)
        except MailerUnavailable as error:
            logger.warning("mails wait for the provider", extra=describe(error))
            return
        except Exception as error:
            logger.error("mail not sent", extra={"order_id": str(due.order_id), **describe(error)})


def forget() -> None:
    """Nobody is told anything any more about an order of a year ago."""
    with transaction() as tx:
        repository.forget(tx, FORGOTTEN_AT_ONCE)


def _send(mailer: Mailer, mail: Mail) -> None:
    told: dict[str, object] = {"order_id": str(mail.order_id), "topic": mail.topic, "attempts": mail.attempts}
    try:
        news = msgspec.json.decode(mail.news, type=News)
        name = mailer.send(mail.email, texts.compose(news, mail.locale), mail.correlation_id)
    except Exception as error:
        if not mail.hopeless and not isinstance(error, MailRefused):
            retrying(lambda: _postpone(mail))
            raise
        retrying(lambda: _settle(mail, "given_up"))
        count("MailsGivenUp")
        logger.error("mail given up", extra={**told, **describe(error)})
    else:
        retrying(lambda: _settle(mail, "sent"))
        count("MailsSent")
        logger.info("mail", extra={**told, "message_id": name})


def _take(order_id: UUID) -> Mail | None:
    with transaction() as tx:
        return repository.take(tx, order_id)


def _postpone(mail: Mail) -> None:
    with transaction() as tx:
        repository.postpone(tx, mail)


def _settle(mail: Mail, status: str) -> None:
    with transaction() as tx:
        repository.settle(tx, mail, status)


def _longest_due() -> repository.Due | None:
    with transaction() as tx:
        return repository.longest_due(tx)
