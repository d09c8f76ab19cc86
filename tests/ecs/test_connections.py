"""What an order costs, and what all of them together: calls between services, connections to the database."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from pymysql.cursors import Cursor

from localcloud.api import Api
from localcloud.stack import SERVICES, Stack
from tests.e2e.database import connected
from tests.e2e.shop import Answer, Shop, new_key, place, request, send
from tests.e2e.waiting import eventually

AT_ONCE = 200
MORE = 500
WORKERS = 2
BY_SERVICE = f"SELECT user, COUNT(*) FROM information_schema.PROCESSLIST WHERE user IN {tuple(SERVICES)} GROUP BY user"
CALLS = {
    "catalog GET /internal/products",
    "inventory POST /internal/reservations/{order_id}",
    "notifications POST /internal/news/{topic}",
    "notifications PUT /internal/contacts/{order_id}",
    "orders POST /orders",
    "payments POST /internal/payments/{order_id}/charge",
    "shipping PUT /internal/shipments/{order_id}",
}


def held(cursor: Cursor) -> Counter[str]:
    """Connections by service."""
    cursor.execute(BY_SERVICE)
    return Counter(dict(cursor.fetchall()))


def opened(cursor: Cursor) -> int:
    """How many connections there have ever been."""
    cursor.execute("SHOW GLOBAL STATUS LIKE 'Connections'")
    [(_, number)] = cursor.fetchall()
    return int(number)


def started(ecs: Any) -> Counter[str]:
    """How many tasks of each service there have ever been."""
    ecs.settle()
    return Counter({service: max(task.number for task in ecs.tasks(service)) for service in SERVICES})


@contextmanager
def watched(stack: Stack) -> Iterator[Counter[str]]:
    """The most connections that each service had at once, seen some hundred times a second."""
    most: Counter[str] = Counter()
    over = threading.Event()

    def watch() -> None:
        with connected(stack, "information_schema") as cursor:
            while not over.wait(0.003):
                most.update({service: max(0, now - most[service]) for service, now in held(cursor).items()})

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()


def test_two_hundred_requests_at_once_share_a_connection_a_worker_and_later_ones_open_no_other(
    ecs: Any, stack: Stack, alice: Api, shop: Shop, thorough: None
) -> None:
    """Of orders that are not charged: the payment provider is somebody else's, and so is what its ledger is kept in.

    On a machine that is busy with other things, tasks that do not answer in time may be replaced meanwhile.
    """
    sold_out, order_id = shop.sell(on_hand=0), place(alice, {shop.sell(on_hand=1): 1})
    body = json.dumps(request({sold_out: 1}))
    read = (f"/orders/{order_id}", f"/payments/{order_id}", f"/shipments/{order_id}", f"/stock/{sold_out}", "/products")

    def ask(number: int) -> Answer:
        if number % 8 == 0:
            return send(alice, "POST", "/orders", body, Idempotency_Key=new_key(), Connection="close")
        return send(alice, "GET", read[number % len(read)], Connection="close")

    first = started(ecs)
    there = Counter({service: len(ecs.tasks(service)) for service in SERVICES})
    with watched(stack) as most, ThreadPoolExecutor(AT_ONCE) as threads:
        answers = Counter(answer.status for answer in threads.map(ask, range(AT_ONCE)))
    replaced = started(ecs) - first
    assert answers.keys() <= {200, 201, 503, 504} or replaced, answers
    assert answers[200] > AT_ONCE / 2
    assert set(most) == set(SERVICES)
    assert all(most[service] <= WORKERS * (there + replaced)[service] for service in SERVICES), most

    with connected(stack, "information_schema") as cursor, ThreadPoolExecutor(8) as threads:
        first = started(ecs)
        missing, before = WORKERS * there.total() - held(cursor).total(), opened(cursor)  # of two, one may come between
        answers = Counter(answer.status for answer in threads.map(ask, range(MORE)))
        replaced = started(ecs) - first
        assert answers[200] + answers[201] == MORE or replaced, answers
        # A worker that had nothing to do before has its first one now.
        assert opened(cursor) - before <= max(missing, 0) + WORKERS * replaced.total()


def test_an_order_makes_six_calls_and_none_of_them_twice(ecs: Any, alice: Api, shop: Shop, thorough: None) -> None:
    """The least that one of several takes: calls that are not answered in time are repeated."""
    product_id = shop.sell(on_hand=10)
    orders = [place(alice, {product_id: 1}) for _ in range(5)]

    def lines() -> list[dict[str, Any]]:
        logs = [log.read_text().rpartition("\n")[0] for log in ecs.home.log("any").parent.glob("*-*.log")]  # whole ones
        return [json.loads(line) for log in logs for line in log.splitlines() if line.startswith('{"level"')]

    def stories() -> dict[str, Counter[str]]:
        """What was asked in each, when all that has to be was. A customer's mail says of which story it is."""
        found = lines()
        mails = [line for line in found if line["message"] == "mail"]
        told = {line["correlation_id"]: Counter[str]() for line in mails if any(it in str(line) for it in orders)}
        for line in found:
            if line["message"] == "request" and line.get("correlation_id") in told:
                told[line["correlation_id"]][f"{line['service']} {line['method']} {line['route']}"] += 1
        return told if len(told) == len(orders) and all(each.keys() >= CALLS for each in told.values()) else {}

    told = eventually(stories, 60)
    assert min(told.values(), key=Counter.total) == dict.fromkeys(CALLS, 1)
