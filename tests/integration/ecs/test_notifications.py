"""Orders tells whom to write to, and what there is to tell: each once, whatever comes first."""

from typing import Any
from uuid import UUID

import pytest

from common.values import uuid7
from tests.integration.ecs.called import STORY, Called
from tests.integration.notifications.happening import EMAIL, ENGLISH
from tests.integration.notifications.happening import news as event


@pytest.fixture
def order() -> str:
    return str(uuid7())


def contact(called: Called, order: str, email: str | None = EMAIL) -> int:
    body = {"customer_id": "alice-sub", "email": email, "locale": "en"}
    return called.internal("PUT", f"/contacts/{order}", body).status


def tell(called: Called, order: str, topic: str, key: str | None = None) -> int:
    body: Any = event(order, topic)["detail"]["data"]
    return called.internal("POST", f"/news/{topic}", body, key or str(uuid7())).status


@pytest.mark.parametrize("topic", ENGLISH)
def test_the_customer_is_told_of_all_that_happens(called: Called, order: str, topic: str) -> None:
    assert (contact(called, order), tell(called, order, topic)) == (204, 202)
    assert called.around.subjects() == [ENGLISH[topic]]
    [mail] = called.around.mails
    assert (mail["To"], mail["X-Correlation-Id"]) == (EMAIL, STORY)


def test_news_that_come_before_anybody_knows_whom_to_tell_wait_for_that(called: Called, order: str) -> None:
    tell(called, order, "OrderConfirmed")
    assert called.around.mails == []
    contact(called, order)
    assert called.around.subjects() == [ENGLISH["OrderConfirmed"]]


@pytest.mark.parametrize("topic", ENGLISH)
def test_news_are_told_once_however_often_they_come(called: Called, order: str, topic: str) -> None:
    key = str(uuid7())
    for _ in range(2):
        assert (tell(called, order, topic, key), contact(called, order)) == (202, 204)
    assert {answer.status for answer in called.at_once(*[news(order, topic, key)] * 8)} == {202}
    assert called.around.subjects() == [ENGLISH[topic]]


def news(order: str, topic: str, key: str) -> tuple[Any, ...]:
    return ("POST", f"/news/{topic}", event(order, topic)["detail"]["data"], key)


def test_each_refund_is_told(called: Called, order: str) -> None:
    contact(called, order)
    tell(called, order, "PaymentRefunded")
    tell(called, order, "PaymentRefunded")
    assert called.around.subjects() == [ENGLISH["PaymentRefunded"]] * 2


def test_a_customer_without_an_address_is_told_nothing(called: Called, order: str) -> None:
    assert (contact(called, order, email=None), tell(called, order, "OrderConfirmed")) == (204, 202)
    assert (called.around.mails, called.database.count("mails")) == ([], 0)


def test_a_contact_that_comes_late_does_not_bring_back_what_was_erased(called: Called, order: str) -> None:
    contact(called, order)
    called.database.execute("UPDATE recipients SET email = NULL WHERE order_id = %s", (UUID(order).bytes,))
    contact(called, order)
    tell(called, order, "OrderConfirmed")
    assert called.database.rows("SELECT email FROM recipients") == [{"email": None}]
    assert called.around.mails == []


@pytest.mark.usefixtures("fresh")
def test_while_no_mail_is_taken_news_are_and_the_sweep_sends_them(called: Called, order: str) -> None:
    called.around.takes_mails = False
    assert (contact(called, order), tell(called, order, "OrderConfirmed")) == (204, 202)
    assert called.around.mails == []
    called.around.takes_mails = True
    called.database.execute("UPDATE mails SET due_at = NOW(6)")
    called.swept(until=lambda: called.around.subjects() == [ENGLISH["OrderConfirmed"]])


def test_what_is_no_news_is_refused(called: Called, order: str) -> None:
    data = {"order_id": order}
    assert called.internal("POST", "/news/OrderPlaced", data, str(uuid7())).status == 404
    assert called.internal("POST", "/news/OrderExpired", data).status == 400
    assert called.internal("POST", "/news/OrderExpired", {}, str(uuid7())).status == 422
    assert called.database.count("inbox") == called.database.count("mails") == 0
