"""What customers are told by mail of their orders."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from localcloud import aws
from localcloud.api import Api
from localcloud.home import Home
from localcloud.stack import Stack
from tests.e2e.mailbox import Mail, Mailbox
from tests.e2e.queues import Queues
from tests.e2e.shop import Shop, place, settled
from tests.e2e.waiting import eventually


@pytest.fixture
def mailbox(stack: Stack) -> Mailbox:
    return Mailbox(stack)


@pytest.fixture
def carol(home: Home, stack: Stack) -> Iterator[Api]:
    """A customer who has never proved that the address is theirs."""
    cognito, pool, password = aws.client(home, "cognito-idp"), stack.user_pool_id, f"Aa1-{secrets.token_hex(12)}"
    known = {"email": "carol@example.com", "email_verified": "false", "locale": "en-GB"}
    attributes = [{"Name": name, "Value": value} for name, value in known.items()]
    cognito.admin_create_user(UserPoolId=pool, Username="carol", UserAttributes=attributes, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username="carol", Password=password, Permanent=True)
    answer = cognito.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=stack.client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "carol", "PASSWORD": password},
    )
    yield Api(stack.api_url, answer["AuthenticationResult"]["IdToken"])
    cognito.admin_delete_user(UserPoolId=pool, Username="carol")


def only(mailbox: Mailbox, order_id: str) -> Mail:
    """The one mail about the order, once it is there."""
    [mail] = eventually(lambda: mailbox.about(order_id))
    return mail


def test_alice_reads_in_japanese_what_she_ordered_and_bob_in_english(
    alice: Api, bob: Api, shop: Shop, mailbox: Mailbox, queues: Queues
) -> None:
    product_id = shop.sell(on_hand=10, price=5_800, name="<script>Hinoki</script> tray")
    hers, his = place(alice, {product_id: 2}), place(bob, {product_id: 1})
    assert settled(alice, hers)["status"] == settled(bob, his)["status"] == "confirmed"
    queues.drained()

    japanese, english = only(mailbox, hers), only(mailbox, his)
    assert (japanese.to, english.to) == (("alice@example.com",), ("bob@example.com",))
    assert (japanese.subject, english.subject) == ("ご注文が確定しました", "Your order is confirmed")
    assert japanese.sender == "Kumiki <shop@example.com>"
    assert {"<script>Hinoki</script> tray × 2", "合計金額：11,600円", "Alice Aoki 様"} <= set(
        japanese.text.splitlines()
    )
    assert {"<script>Hinoki</script> tray × 1", "Total: ¥5,800"} <= set(english.text.splitlines())
    assert "&lt;script&gt;Hinoki&lt;/script&gt; tray × 2" in japanese.html
    assert "<script>" not in japanese.html


def test_a_rejected_order_and_a_refund_are_told(
    alice: Api, bob: Api, staff: Api, shop: Shop, mailbox: Mailbox, queues: Queues
) -> None:
    product_id = shop.sell(on_hand=5, price=1_000)
    declined, scarce = place(bob, {product_id: 1}, "tok_declined"), place(alice, {product_id: 6})
    refunded = place(bob, {product_id: 3})
    for customer, order_id in ((bob, declined), (alice, scarce), (bob, refunded)):
        settled(customer, order_id)
    amount = {"amount": {"amount": 1_200, "currency": "JPY"}}
    staff.expect(200, "POST", f"/payments/{refunded}/refund", amount, **{"Idempotency-Key": "a part"})
    queues.drained()

    assert "because your card was declined" in only(mailbox, declined).text
    assert "在庫が不足しているため" in only(mailbox, scarce).text
    told = {mail.subject: mail.text for mail in mailbox.about(refunded)}  # two events on their way at once
    assert set(told) == {"Your order is confirmed", "Your refund is complete"}
    assert "Amount refunded: ¥1,200" in told["Your refund is complete"]


def test_a_mail_belongs_to_the_story_that_began_with_the_request(
    home: Home, stack: Stack, alice: Api, shop: Shop, mailbox: Mailbox, queues: Queues
) -> None:
    product_id = shop.sell(on_hand=5)
    with queues.listening() as listener:
        order_id = place(alice, {product_id: 1})
        mail = only(mailbox, order_id)
        eventually(lambda: "OrderPlaced" in listener.about(order_id))
        story = json.loads(listener.about(order_id)["OrderPlaced"])["detail"]["correlation_id"]

    line = eventually(lambda: logged(home, stack, mail.message_id))
    assert (line["message"], line["topic"], line["order_id"]) == ("mail", "confirmed", order_id)
    assert line["correlation_id"] == story


def logged(home: Home, stack: Stack, message_id: str) -> Any:
    """The line of the consumer's log that tells of a mail."""
    pages = (
        aws.client(home, "logs").get_paginator("filter_log_events").paginate(logGroupName="/kumiki/local/notifications")
    )
    lines = (event["message"] for page in pages for event in page["events"] if message_id in event["message"])
    return next((json.loads(line[line.index("{") :]) for line in lines), None)


def test_an_address_that_nobody_has_proved_gets_no_mail(
    carol: Api, bob: Api, shop: Shop, mailbox: Mailbox, queues: Queues
) -> None:
    product_id = shop.sell(on_hand=5)
    hers, his = place(carol, {product_id: 1}), place(bob, {product_id: 1})
    assert settled(carol, hers)["status"] == "confirmed"
    only(mailbox, his)
    queues.drained()
    assert mailbox.about(hers) == []
