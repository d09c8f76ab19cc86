"""What the cost of an order is worked out from is what an order does: cost/traffic.toml."""

import io
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from common.observability import logger
from cost.bill import traffic
from localcloud.mariadb import Server
from localcloud.played import ADDRESS
from tests.integration.fake_bus import FakeBus
from tests.integration.fake_post import FakePost
from tests.integration.whole_shop import NAMES, Shop

PROVED = {"email": "alice@example.com", "email_verified": "true", "locale": "en"}


@pytest.fixture
def service() -> str:
    return "none of them"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the services write: lines of their log, and metrics, which are lines as well."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    for handler in logger.handlers:
        monkeypatch.setattr(handler, "stream", written)
    return written


REPORTED = 300
"""Bytes that Lambda writes of each invocation: that it begins, ends, and what it took."""


def test_an_order_leads_to_so_many_events_messages_and_mails(
    server: Server, bus: FakeBus, post: FakePost, become: Callable[..., None], log: io.StringIO
) -> None:
    shop = Shop(server, bus, become)
    shop.empty()
    fields = {"name": "Mug", "price": {"amount": 1_000, "currency": "JPY"}}
    product_id = str(shop.staff("catalog", "POST", "/products", fields).json["product_id"])
    shop.settle()
    assert shop.staff("inventory", "PUT", f"/stock/{product_id}", {"on_hand": 1}).status == 200
    assert not post.sent
    before = len(bus.accepted)
    log.truncate(0)

    order = {
        "lines": [{"product_id": product_id, "quantity": 1}],
        "payment_method": "tok_visa",
        "shipping_address": ADDRESS,
    }
    answer = shop.ask("orders", "POST", "/orders", order, key="k", claims=PROVED)
    shop.settle()
    for step in ("dispatch", "deliver"):
        assert shop.staff("shipping", "POST", f"/shipments/{answer.json['order_id']}/{step}").status == 200
        shop.settle()

    events = bus.types[before:]
    assert events[-1] == "ShipmentDelivered"
    messages = Counter(service for event in events for service in shop.listeners(event))
    counted = traffic("lambda").counted
    assert counted["events"] == len(events), events
    assert counted["messages"] == {service: messages[service] for service in NAMES}
    assert counted["mails"] == traffic("ecs").counted["mails"] == len(post.sent)

    # What is assumed of sizes is of the size that they have here.
    assumed, invocations = traffic("lambda").assumed, 3 + sum(messages.values())
    order_read = shop.ask("orders", "GET", f"/orders/{answer.json['order_id']}")
    written = len(log.getvalue()) / (invocations + 1) + REPORTED
    entries = [sum(map(len, entry.values())) for entry in bus.accepted[before:]]
    for what, measured in {
        "log_of_an_invocation": written,
        "answer": len(order_read.text),
        "event": sum(entries) / len(entries),
    }.items():
        assert measured / 2 < assumed[what] < measured * 2, (what, measured)
