"""How long an order takes, and how many connections orders of four customers leave: docs/designs.md shows it."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from localcloud.api import Api
from localcloud.played import SETTLED
from localcloud.stack import SERVICES, Stack
from tests.e2e.database import connected
from tests.e2e.shop import Shop, new_key, place, request, send, settled
from tests.faults import figures

ORDERS, CUSTOMERS = 20, 4


def test_orders_one_by_one_and_four_at_a_time_are_confirmed_and_what_they_took_is_noted(
    design: str, stack: Stack, alice: Api, shop: Shop, accepted: int
) -> None:
    product_id = shop.sell(on_hand=3 * ORDERS)
    for _ in range(ORDERS // 2):
        assert settled(alice, place(alice, {product_id: 1}))["status"] == "confirmed"
    body, answered, done = json.dumps(request({product_id: 1})), [], []
    for _ in range(ORDERS):
        began = time.monotonic()
        answer = send(alice, "POST", "/orders", body, Idempotency_Key=new_key())
        answered.append(time.monotonic() - began)
        assert answer.status == accepted
        order = answer.json
        while order["status"] not in SETTLED:
            time.sleep(0.01)
            order = alice.get(f"/orders/{order['order_id']}")
        done.append(time.monotonic() - began)
        assert order["status"] == "confirmed"

    with ThreadPoolExecutor(CUSTOMERS) as threads:
        orders = list(threads.map(lambda _: place(alice, {product_id: 1}), range(ORDERS)))
    assert {settled(alice, order_id)["status"] for order_id in orders} == {"confirmed"}
    with connected(stack, "information_schema") as cursor:
        cursor.execute("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE user IN %s", (SERVICES,))
        [(connections,)] = cursor.fetchall()
    figures.note(f"designs.{design}", answered=median(answered), settled=median(done), connections=connections)
