"""What could not be sent is sent later, by the event's redelivery or on the schedule; what never can be is given up."""

import json
import time
from functools import partial
from types import SimpleNamespace
from uuid import UUID

import pytest

from common.values import uuid7
from notifications import consumer, use_cases
from notifications.domain import HOPELESS_ATTEMPTS, Letter
from notifications.mailer import MailerUnavailable
from tests.integration.database import Database, administrator
from tests.integration.environments import Elsewhere
from tests.integration.fake_post import FakePost
from tests.integration.gateway import deliver
from tests.integration.notifications.happening import (
    ENGLISH,
    contact,
    crashing,
    fails,
    happens,
    news,
    passes,
    states,
    sweep,
)


@pytest.fixture
def order() -> str:
    """Of which it is known who is to be told."""
    order = str(uuid7())
    happens(contact(order))
    return order


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """By name, what was counted since the last look."""
    totals: dict[str, float] = {}
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("{") and "_aws" in line:
            values = json.loads(line)
            for name in ("MailsSent", "MailsGivenUp"):
                totals[name] = totals.get(name, 0) + sum(values.get(name, []))
    return totals


@pytest.mark.usefixtures("still")
def test_a_provider_that_is_away_is_asked_again_at_the_next_delivery(
    post: FakePost, database: Database, order: str, capsys: pytest.CaptureFixture[str]
) -> None:
    confirmed = news(order, "OrderConfirmed")
    post.fail(MailerUnavailable())
    fails(confirmed)
    assert states(database, order) == [("due", 1)]
    post.recover()
    happens(confirmed)
    assert not post.sent, "it is only seconds ago"
    passes(database, 5)
    happens(confirmed, confirmed)
    assert (post.subjects, states(database, order)) == ([ENGLISH["OrderConfirmed"]], [("sent", 2)])
    assert metrics(capsys) == {"MailsSent": 1, "MailsGivenUp": 0}


def test_what_no_delivery_sent_is_sent_on_the_schedule(post: FakePost, database: Database, order: str) -> None:
    post.fail(MailerUnavailable())
    fails(news(order, "OrderConfirmed"))
    passes(database, 5)
    sweep()
    assert states(database, order) == [("due", 2)]
    post.recover()
    sweep()
    assert not post.sent, "the pause is longer now"
    passes(database, 20)
    sweep()
    sweep()
    assert (post.subjects, states(database, order)) == ([ENGLISH["OrderConfirmed"]], [("sent", 3)])


def test_all_that_waited_for_a_provider_is_sent_when_it_is_back_and_each_orders_in_its_order(
    post: FakePost, database: Database
) -> None:
    post.fail(MailerUnavailable())
    orders = [str(uuid7()) for _ in range(3)]
    for order in orders:
        happens(contact(order))
        fails(news(order, "ShipmentDelivered"), news(order, "OrderConfirmed"))
    asked = len(post.asked)
    passes(database, 5)
    sweep()
    assert len(post.asked) == asked + 1, "one is enough to see that it is away"
    post.recover()
    passes(database, 20)
    sweep()
    told = {order: [mail.letter.subject for mail in post.sent if order in mail.letter.text] for order in orders}
    assert list(told.values()) == [[ENGLISH["OrderConfirmed"], ENGLISH["ShipmentDelivered"]]] * 3


def test_an_outage_makes_no_dead_letters(post: FakePost, database: Database, order: str) -> None:
    post.fail(MailerUnavailable())
    confirmed, in_vain = news(order, "OrderConfirmed"), 0
    for _ in range(5):
        in_vain += len(deliver(consumer.handler, confirmed))
        passes(database, 90)
    assert in_vain < 5, "the queue would call the event dead, though its mail is safe"
    post.recover()
    passes(database, 3600)
    sweep()
    assert len(post.sent) == 1


def test_a_refused_mail_is_given_up_and_counted_and_holds_up_no_other(
    post: FakePost, database: Database, order: str, capsys: pytest.CaptureFixture[str]
) -> None:
    post.refuse(lambda mail: mail.letter.subject == ENGLISH["OrderConfirmed"])
    confirmed = news(order, "OrderConfirmed")
    happens(confirmed, news(order, "ShipmentDispatched"), confirmed)
    passes(database, 100_000)
    sweep()
    assert states(database, order) == [("given_up", 1), ("sent", 1)]
    assert len(post.asked) == 2
    assert metrics(capsys) == {"MailsSent": 1, "MailsGivenUp": 1}
    assert database.value("SELECT COUNT(*) FROM mails WHERE news <> ''") == 0


@pytest.mark.parametrize("error", [MailerUnavailable(), ZeroDivisionError()])
def test_a_mail_that_fails_holds_up_none_of_its_order_and_none_of_others(
    post: FakePost, database: Database, order: str, error: Exception
) -> None:
    other = str(uuid7())
    happens(contact(other))
    post.fail(error)
    dispatched = news(order, "ShipmentDispatched")
    fails(news(order, "OrderConfirmed"), news(other, "OrderConfirmed"), dispatched)
    post.fail(error, lambda mail: order in mail.letter.text and mail.letter.subject == ENGLISH["OrderConfirmed"])
    passes(database, 5)
    sweep()
    sweep()
    assert (states(database, order), states(database, other)) == ([("due", 2), ("sent", 2)], [("sent", 2)])


def test_a_mail_that_always_fails_is_given_up_in_the_end(
    post: FakePost, database: Database, order: str, capsys: pytest.CaptureFixture[str]
) -> None:
    post.fail(MailerUnavailable())
    fails(news(order, "OrderConfirmed"))
    for _ in range(HOPELESS_ATTEMPTS + 5):
        passes(database, 3600)
        sweep()
    assert states(database, order) == [("given_up", HOPELESS_ATTEMPTS)]
    assert metrics(capsys) == {"MailsSent": 0, "MailsGivenUp": 1}


def test_a_mail_that_cannot_be_read_holds_up_no_other_and_is_given_up_in_the_end(
    post: FakePost, database: Database, order: str
) -> None:
    other = str(uuid7())
    happens(contact(other))
    post.fail(MailerUnavailable())
    fails(news(order, "OrderConfirmed"), news(order, "ShipmentDispatched"), news(other, "OrderConfirmed"))
    later_version = json.dumps({"order_id": order, "topic": "recalled"})
    database.execute(
        "UPDATE mails SET topic = 'recalled', news = %s WHERE order_id = %s AND topic = 'confirmed'",
        (later_version, UUID(order).bytes),
    )
    passes(database, 60)
    post.recover()
    sweep()
    assert (states(database, order), states(database, other)) == ([("due", 2), ("sent", 2)], [("sent", 2)])
    for _ in range(HOPELESS_ATTEMPTS):
        passes(database, 3600)
        sweep()
    assert states(database, order) == [("given_up", HOPELESS_ATTEMPTS), ("sent", 2)]


def test_a_crash_between_sending_and_recording_repeats_the_mail_at_most_once(
    post: FakePost, database: Database, order: str
) -> None:
    confirmed = news(order, "OrderConfirmed")
    with crashing(database):
        fails(confirmed)
    happens(confirmed)
    sweep()
    assert len(post.sent) == 1, "for a minute somebody may be at it"
    passes(database, 60)
    happens(confirmed, confirmed)
    sweep()
    assert (len(post.sent), states(database, order)) == (2, [("sent", 2)])


def test_sweeps_and_deliveries_at_the_same_time_send_a_mail_once(
    post: FakePost, database: Database, order: str
) -> None:
    post.fail(MailerUnavailable())
    events = [news(order, what) for what in ("OrderConfirmed", "ShipmentDispatched")]
    fails(*events)
    post.recover()
    post.seconds = 0.2
    passes(database, 20)
    for work in [Elsewhere(partial(happens, *events)), *(Elsewhere(sweep) for _ in range(3))]:
        work.result()
    assert states(database, order) == [("sent", 2)] * 2


@pytest.mark.parametrize("whose", ["its own", "another's"])
def test_a_mail_that_somebody_holds_for_a_moment_is_waited_for_and_not_passed_over(
    post: FakePost, database: Database, order: str, whose: str
) -> None:
    other, confirmed = str(uuid7()), news(order, "OrderConfirmed")
    happens(contact(other))
    post.fail(MailerUnavailable())
    fails(confirmed, news(other, "OrderConfirmed"))
    post.recover()
    passes(database, 5)
    held = order if whose == "its own" else other
    with administrator(database.server, database.schema) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM mails WHERE order_id = %s FOR UPDATE", (UUID(held).bytes,))
        work = Elsewhere(partial(happens, confirmed))
        if whose == "its own":
            time.sleep(0.3)
            assert work.running()
            connection.rollback()
        work.result()
    assert states(database, order) == [("sent", 2)]


def a_mail_takes(seconds: float, post: FakePost, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock that runs go by, on which no other time passes."""
    now, send = [0.0], post.send

    def slowly(email: str, letter: Letter, correlation_id: str) -> str:
        now[0] += seconds
        return send(email, letter, correlation_id)

    monkeypatch.setattr(post, "send", slowly)
    monkeypatch.setattr(use_cases, "time", SimpleNamespace(monotonic=lambda: now[0]))


def test_a_run_ends_in_time_however_slow_the_provider(
    post: FakePost, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.fail(MailerUnavailable())
    orders = [str(uuid7()) for _ in range(2)]
    for order in orders:
        happens(contact(order))
        fails(news(order, "OrderCancelled"))
    post.recover()
    passes(database, 5)
    a_mail_takes(use_cases.DUE_FOR_SECONDS + 1, post, monkeypatch)
    sweep()
    assert [states(database, order) for order in orders] == [[("sent", 2)], [("due", 1)]]


def test_an_order_of_many_mails_ends_in_time_however_slow_the_provider(
    post: FakePost, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = str(uuid7())
    happens(*(news(order, what) for what in ("OrderConfirmed", "ShipmentDispatched", "ShipmentDelivered")))
    a_mail_takes(use_cases.ORDER_FOR_SECONDS + 1, post, monkeypatch)
    happens(contact(order))
    assert states(database, order) == [("sent", 1), ("due", 0), ("due", 0)]
    sweep()
    assert states(database, order) == [("sent", 1)] * 3
    assert len(post.sent) == 3


def test_a_run_sends_so_many_the_longest_due_first(
    post: FakePost, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_cases, "DUE_AT_ONCE", 2)
    post.fail(MailerUnavailable())
    orders = [str(uuid7()) for _ in range(3)]
    for order in orders:
        happens(contact(order))
        fails(news(order, "OrderCancelled"))
    post.recover()
    passes(database, 5)
    sweep()
    assert [states(database, order) for order in orders] == [[("sent", 2)], [("sent", 2)], [("due", 1)]]
    sweep()
    assert states(database, orders[2]) == [("sent", 2)]
