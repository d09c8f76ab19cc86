"""With one service's consumer off, orders are taken as ever; those that wait for it are settled when it is on again."""

import json
import time

import pytest

from localcloud import sam, servers
from localcloud.api import Api
from localcloud.home import Home
from localcloud.stack import Stack
from tests.e2e.database import without_deadline
from tests.e2e.shop import Shop, new_key, place, request, send, settled
from tests.e2e.test_operations import operate
from tests.faults import figures

CONSUMERS = ("inventory", "notifications", "payments", "shipping")


@pytest.mark.long
@pytest.mark.parametrize("service", CONSUMERS)
def test_orders_are_taken_with_one_consumer_off_and_settled_when_it_is_on(
    home: Home, stack: Stack, alice: Api, shop: Shop, service: str
) -> None:
    product_id = shop.sell(on_hand=10)
    settled(alice, place(alice, {product_id: 1}))
    assert operate(home, "consumer", service, "off")[0] == 0
    try:
        began = time.monotonic()
        answer = send(alice, "POST", "/orders", json.dumps(request({product_id: 1})), Idempotency_Key=new_key())
        took = time.monotonic() - began
        assert answer.status == 202
        without_deadline(stack, answer.json["order_id"])
    finally:
        assert operate(home, "consumer", service, "on")[0] == 0
    assert settled(alice, answer.json["order_id"])["status"] == "confirmed"
    figures.note("designs.lambda", **{f"{service} down": [answer.status, took]})


@pytest.mark.long
def test_an_update_of_one_service_takes_orders_as_before(home: Home, stack: Stack, alice: Api, shop: Shop) -> None:
    product_id, build = shop.sell(on_hand=10), home.root / "sam" / "build"
    began = time.monotonic()
    sam.build(home, home.root / "sam")
    changed = [path for path in build.glob("Orders*/**/domain.py") if path.parent.name == "orders"]
    assert changed
    for path in changed:  # as if a line of the sources had been another
        path.write_text(path.read_text() + "# changed\n")
    sam.deploy(home, home.root / "sam", servers.database_of(home))
    took = time.monotonic() - began
    assert settled(alice, place(alice, {product_id: 1}))["status"] == "confirmed"
    figures.note("designs.lambda", **{"update of orders": took})
