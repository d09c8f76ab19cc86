"""Who is told what: once, at a proven address, in the order's language, whatever comes first, twice or at once."""

import random
from functools import partial
from io import StringIO
from itertools import permutations

import pytest

from common.observability import logger
from common.values import uuid7
from notifications import api
from tests.integration.database import Database
from tests.integration.environments import Elsewhere
from tests.integration.fake_bus import FakeBus
from tests.integration.fake_post import FakePost
from tests.integration.gateway import ask
from tests.integration.notifications.happening import (
    EMAIL,
    ENGLISH,
    HOME,
    contact,
    fails,
    happens,
    logged,
    news,
    states,
    sweep,
)


@pytest.fixture
def order() -> str:
    return str(uuid7())


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    log = StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    return log


@pytest.mark.parametrize("contact_first", [True, False])
@pytest.mark.parametrize("what", ENGLISH)
def test_each_thing_that_happens_is_told_once_whichever_event_comes_first_or_twice(
    post: FakePost, bus: FakeBus, order: str, what: str, contact_first: bool
) -> None:
    happened, known = news(order, what, correlation_id="the-story"), contact(order)
    events = [known, happened] if contact_first else [happened, known]
    happens(events[0])
    assert not post.sent
    happens(events[1], *events, *events)
    sweep()
    [mail] = post.sent
    assert (mail.email, mail.letter.subject, mail.correlation_id) == (EMAIL, ENGLISH[what], "the-story")
    assert order in mail.letter.text
    assert not bus.calls


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("OrderConfirmed", ["Hinoki tray × 2", "Total: ¥11,600", "Alice Aoki", "Chiyoda-ku, Tokyo 100-0005"]),
        ("OrderRejected", ["We are sorry: we could not accept your order because your card was declined."]),
        ("ShipmentDispatched", ["Tracking number: KMK-1234"]),
        ("PaymentRefunded", ["Amount refunded: ¥11,600"]),
    ],
)
def test_a_mail_tells_what_the_event_said(post: FakePost, order: str, what: str, told: list[str]) -> None:
    happens(contact(order), news(order, what))
    assert set(told) <= set(post.sent[0].letter.text.splitlines())


@pytest.mark.parametrize(("locale", "subject"), [("ja", "ご注文が確定しました"), ("en", "Your order is confirmed")])
def test_a_mail_is_in_the_orders_language(post: FakePost, order: str, locale: str, subject: str) -> None:
    happens(contact(order, locale=locale), news(order, "OrderConfirmed"))
    assert post.subjects == [subject]


@pytest.mark.parametrize("arrival", [*permutations(["OrderConfirmed", "ShipmentDispatched", "ShipmentDelivered"])])
def test_what_waits_for_the_address_is_told_in_the_order_in_which_it_makes_sense(
    post: FakePost, order: str, arrival: tuple[str, ...]
) -> None:
    happens(*(news(order, what) for what in arrival), contact(order))
    assert post.subjects == [ENGLISH[what] for what in ("OrderConfirmed", "ShipmentDispatched", "ShipmentDelivered")]


def test_two_refunds_of_an_order_are_two_mails(post: FakePost, order: str) -> None:
    happens(contact(order), news(order, "PaymentRefunded"), news(order, "PaymentRefunded"))
    assert post.subjects == [ENGLISH["PaymentRefunded"]] * 2


@pytest.mark.parametrize("what", ["ShipmentDispatched", "ShipmentDelivered"])
def test_what_shipping_says_again_to_whoever_asks_is_told_once(post: FakePost, order: str, what: str) -> None:
    happens(news(order, what), contact(order), news(order, what))
    assert post.subjects == [ENGLISH[what]]


def test_an_address_is_that_of_its_own_order_only(post: FakePost, order: str) -> None:
    other = str(uuid7())
    happens(contact(order), contact(other, "bob@example.com"), news(other, "OrderConfirmed"))
    [mail] = post.sent
    assert mail.email == "bob@example.com"
    assert order not in mail.letter.text


@pytest.mark.parametrize("contact_first", [True, False])
def test_nobody_is_told_without_an_address_and_nothing_is_kept_waiting(
    post: FakePost, database: Database, order: str, contact_first: bool
) -> None:
    nobody, happened = contact(order, None), [news(order, what) for what in ENGLISH]
    happens(*([nobody, *happened] if contact_first else [*happened, nobody]))
    happens(nobody, *happened, news(order, "PaymentRefunded"))
    sweep()
    assert (post.asked, database.count("mails")) == ([], 0)


def test_what_a_mail_told_is_not_kept_and_whoever_is_forgotten_takes_their_mails_along(
    database: Database, order: str
) -> None:
    happens(contact(order), news(order, "OrderConfirmed"), news(str(uuid7()), "OrderConfirmed"))
    [sent] = database.rows("SELECT * FROM mails WHERE status = 'sent'")
    assert sent["news"] == ""
    assert HOME["line1"] not in str(sent)
    assert database.execute("DELETE FROM recipients WHERE customer_id = 'alice-sub'") == 1
    assert states(database, order) == []
    assert database.count("mails") == 1


def test_an_order_is_forgotten_after_a_year(database: Database, order: str) -> None:
    happens(contact(order), news(order, "OrderConfirmed"))
    for days, kept in ((364, 1), (2, 0)):
        database.execute("UPDATE recipients SET created_at = created_at - INTERVAL %s DAY", (days,))
        sweep()
        assert (database.count("recipients"), database.count("mails")) == (kept, kept)


def test_events_at_the_same_time_are_told_once_each(database: Database, post: FakePost) -> None:
    """Address and news find each other whichever commits first: else one of these would wait for ever."""
    post.seconds = 0.05
    orders = [str(uuid7()) for _ in range(25)]
    first = [event for order in orders for event in (contact(order), news(order, "ShipmentDelivered"))]
    second = [event for order in orders for event in (news(order, "OrderConfirmed"), contact(order))]
    random.shuffle(second)
    for work in [Elsewhere(partial(happens, *events)) for events in (first, second, first, second)]:
        work.result(180)
    assert [states(database, order) for order in orders] == [[("sent", 1)] * 2] * len(orders)


def test_a_log_tells_of_a_mail_what_helps_to_find_it_and_nothing_of_a_person(
    post: FakePost, log: StringIO, order: str
) -> None:
    refused = str(uuid7())
    post.refuse(lambda mail: refused in mail.letter.text)
    happens(contact(order), news(order, "OrderConfirmed", correlation_id="the-story"))
    happens(contact(refused), news(refused, "OrderConfirmed"))
    post.fail(ZeroDivisionError(EMAIL))
    fails(news(order, "ShipmentDispatched"))

    [line] = [line for line in logged(log) if line["message"] == "mail"]
    assert (line["order_id"], line["topic"], line["message_id"]) == (order, "confirmed", "mail-1")
    assert (line["correlation_id"], line["level"]) == ("the-story", "INFO")
    [given_up] = [line for line in logged(log) if line["message"] == "mail given up"]
    assert (given_up["order_id"], given_up["error"]) == (refused, "MailRefused")
    for personal in (EMAIL, "alice", "Alice", "Marunouchi", "Hinoki", ENGLISH["OrderConfirmed"], "KMK-1234"):
        assert personal not in log.getvalue()


def test_the_service_tells_that_it_is_well() -> None:
    assert ask(api.handler, "GET", "/health/notifications", sub=None).status == 200
