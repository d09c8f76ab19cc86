"""The SQL of notifications. A mail waits until its recipient is known; then it is due until it is sent or given up.
While somebody sends it, it is hidden from others for a minute. All of this goes by the database's clock.

Adding or claiming a mail locks its recipient first. So mail and recipient find each other whichever comes first, and no
mail is claimed twice.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from common.database import Row, Transaction
from notifications.domain import Locale, Mail, News, Topic

_IN_ORDER = ", ".join(f"'{topic}'" for topic in Topic)


class Due(NamedTuple):
    order_id: UUID
    correlation_id: str


def add(tx: Transaction, mail_id: UUID, news: News, correlation_id: str) -> None:
    """Keep the news until they are sent: not at all where it is known that nobody is to be told, or where the same was
    said before. Only refunds may be several; what shipping says of a parcel it says again to whoever asks."""
    tx.execute(
        "INSERT INTO recipients (order_id) VALUES (%s) ON DUPLICATE KEY UPDATE order_id = VALUES(order_id)",
        (news.order_id.bytes,),
    )
    tx.execute(
        """
        INSERT INTO mails (mail_id, order_id, topic, news, correlation_id, status, due_at)
        SELECT %s, order_id, %s, %s, %s, IF(locale IS NULL, 'waiting', 'due'), IF(locale IS NULL, NULL, NOW(6))
          FROM recipients
         WHERE order_id = %s AND (locale IS NULL OR email IS NOT NULL)
           AND (%s OR NOT EXISTS (SELECT 1 FROM mails WHERE order_id = recipients.order_id AND topic = %s))
        """,
        (
            mail_id.bytes,
            news.topic,
            msgspec.json.encode(news).decode(),
            correlation_id,
            news.order_id.bytes,
            news.topic is Topic.REFUNDED,
            news.topic,
        ),
    )


def address(tx: Transaction, order_id: UUID, customer_id: str, email: str | None, locale: Locale) -> None:
    """To whom the order's mails go: those that waited for it are due, or forgotten where nobody is to be told. What is
    known already stays, above all that the address was erased. MySQL assigns from left to right."""
    tx.execute(
        """
        INSERT INTO recipients (order_id, customer_id, email, locale)
        VALUES (%s, %s, %s, %s)
            ON DUPLICATE KEY UPDATE
               email       = IF(locale IS NULL, VALUES(email), email),
               customer_id = COALESCE(customer_id, VALUES(customer_id)),
               locale      = COALESCE(locale, VALUES(locale))
        """,
        (order_id.bytes, customer_id, email, locale),
    )
    if email is None:
        tx.execute("DELETE FROM mails WHERE order_id = %s AND status = 'waiting'", (order_id.bytes,))
    else:
        tx.execute(
            "UPDATE mails SET status = 'due', due_at = NOW(6) WHERE order_id = %s AND status = 'waiting'",
            (order_id.bytes,),
        )


def take(tx: Transaction, order_id: UUID) -> Mail | None:
    """The order's next mail that is due, in the order of topics; due again in a minute, should nobody settle it.

    Waits for others at the same order: to pass over what they hold could leave a mail that nobody takes.
    """
    recipient = tx.one("SELECT email, locale FROM recipients WHERE order_id = %s FOR UPDATE", (order_id.bytes,))
    row = tx.one(
        f"""
        SELECT mail_id, topic, news, correlation_id, attempts + 1 AS attempts
          FROM mails
         WHERE order_id = %s AND due_at <= NOW(6)
         ORDER BY FIELD(topic, {_IN_ORDER}), mail_id
         LIMIT 1
        """,
        (order_id.bytes,),
    )
    if recipient is None or row is None:
        return None
    tx.execute(
        "UPDATE mails SET attempts = attempts + 1, due_at = NOW(6) + INTERVAL 60 SECOND WHERE mail_id = %s",
        (row["mail_id"],),
    )
    return Mail(
        mail_id=UUID(bytes=row["mail_id"]),
        order_id=order_id,
        topic=row["topic"],
        news=row["news"],
        email=recipient["email"],
        locale=Locale(recipient["locale"]),
        correlation_id=row["correlation_id"],
        attempts=row["attempts"],
    )


def postpone(tx: Transaction, mail: Mail) -> None:
    tx.execute(
        "UPDATE mails SET due_at = NOW(6) + INTERVAL %s SECOND WHERE mail_id = %s AND status = 'due'",
        (mail.pause_seconds, mail.mail_id.bytes),
    )


def settle(tx: Transaction, mail: Mail, status: str) -> None:
    """It is `sent` or `given_up`, and what it told is not kept any longer."""
    tx.execute(
        "UPDATE mails SET status = %s, due_at = NULL, news = '' WHERE mail_id = %s", (status, mail.mail_id.bytes)
    )


def longest_due(tx: Transaction) -> Due | None:
    """The order that has waited longest for a mail which is due."""
    row = tx.one("SELECT order_id, correlation_id FROM mails WHERE due_at <= NOW(6) ORDER BY due_at LIMIT 1")
    return Due(UUID(bytes=row["order_id"]), row["correlation_id"]) if row else None


def forget(tx: Transaction, at_once: int) -> None:
    """Recipients and their mails after a year, in which there may be something to tell them."""
    tx.execute(
        "DELETE FROM recipients WHERE created_at < NOW(6) - INTERVAL 365 DAY ORDER BY created_at LIMIT %s", (at_once,)
    )


def erase(tx: Transaction, customer_id: str) -> Sequence[Row]:
    """Forget the customer's addresses, and their mails, also what is still to be sent. The orders stay known as those
    of somebody who is told nothing: what is still said of them would else be kept here, to wait for an address."""
    erased = tx.execute(
        "UPDATE recipients SET email = NULL WHERE customer_id = %s AND email IS NOT NULL", (customer_id,)
    )
    tx.execute(
        "DELETE mails FROM mails JOIN recipients ON recipients.order_id = mails.order_id WHERE customer_id = %s",
        (customer_id,),
    )
    return [{"erased": erased, "underway": 0}]
