"""A customer is forgotten."""

from common.values import uuid7
from notifications import consumer
from notifications.mailer import MailerUnavailable
from tests.integration.database import Database
from tests.integration.fake_post import FakePost
from tests.integration.gateway import question
from tests.integration.notifications.happening import contact, fails, happens, news, passes, sweep


def test_whoever_is_forgotten_is_told_nothing_more_and_nothing_more_is_kept_of_them(
    post: FakePost, database: Database
) -> None:
    order = str(uuid7())
    post.fail(MailerUnavailable())
    happens(contact(order))
    fails(news(order, "OrderConfirmed"))
    post.recover()
    assert question(consumer.handler, "erase", "alice-sub") == [{"erased": 1, "underway": 0}]
    assert (database.count("mails"), database.value("SELECT COUNT(email) FROM recipients")) == (0, 0)
    passes(database, 5)
    sweep()
    happens(news(order, "OrderConfirmed"), news(order, "ShipmentDispatched"))
    sweep()
    assert (post.sent, database.count("mails")) == ([], 0)
    assert question(consumer.handler, "erase", "alice-sub") == [{"erased": 0, "underway": 0}]


def test_nobody_else_is_forgotten(post: FakePost, database: Database) -> None:
    order = str(uuid7())
    post.fail(MailerUnavailable())
    happens(contact(order))
    fails(news(order, "OrderConfirmed"))
    assert question(consumer.handler, "erase", "bob-sub") == [{"erased": 0, "underway": 0}]
    post.recover()
    passes(database, 5)
    sweep()
    assert len(post.sent) == 1
