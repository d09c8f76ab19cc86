"""Round trips to the database, counted in the server's own log: what is sent until a commit, and what comes after it.

With every function's connection up, as it is but for its first request. After the commit an event is sent, and then its
row is cleared away, once a batch: DELETE and COMMIT, which nobody waits for but the function itself. A COMMIT after
reading alone is sent as well, but nobody waits for its answer: it is no round trip.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from common.database import transaction
from common.events import Event
from common.observability import correlate
from common.values import uuid7
from localcloud.mariadb import Server
from orders import consumer
from tests.faults.calls import Calls, Moment
from tests.faults.tap import Tap
from tests.integration.conftest import forget
from tests.integration.database import Database
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import deliver, event
from tests.integration.general_log import GeneralLog, listening
from tests.integration.orders import shop

Sent = Callable[[Callable[[], Any]], list[str]]
CLEARED = ["DELETE", "COMMIT"]


@pytest.fixture(scope="module")
def server(template: Server) -> Iterator[Server]:
    with listening(template) as server:
        yield server


@pytest.fixture
def service() -> str:
    return "orders"


@pytest.fixture
def sent(database: Database, server: Server, bus: FakeBus) -> Sent:
    """Call it with something to do: it returns the statements' first words."""
    shop.sell(shop.MUG, shop.POT)
    log = GeneralLog(server)

    def during(work: Callable[[], Any]) -> list[str]:
        log.clear()
        work()
        return [statement.verb for statement in log.statements() if statement.kind == "Query"]

    return during


def test_placing_an_order_takes_five_round_trips(sent: Sent) -> None:
    def place() -> None:
        assert shop.post(shop.order_of((shop.MUG, 1), (shop.POT, 1))).status == 202

    assert sent(place) == ["SELECT", "INSERT", "INSERT", "INSERT", "COMMIT", *CLEARED]


def test_the_largest_order_takes_no_more(sent: Sent) -> None:
    products = [shop.product_id(number) for number in range(20)]
    shop.sell(*products[:10], name="😀" * 100)
    shop.sell(*products[10:], name="😀" * 100)

    def place() -> None:
        assert shop.post(shop.order_of(*[(product, 999) for product in products])).status == 202

    assert len(sent(place)) == 5 + len(CLEARED)


@pytest.fixture
def tapped(sent: Sent, server: Server, become: Callable[..., None]) -> Iterator[Calls]:
    """What passes on a connection that is up."""
    calls = Calls()
    tap = Tap(server, calls)
    become("orders", replace(server, port=tap.port))
    assert shop.get("/orders").status == 200
    while calls.made[-1] != "COMMIT":
        time.sleep(0.001)
    yield calls
    forget()
    tap.close()


def test_reading_takes_a_statement_and_the_end_of_its_transaction(sent: Sent) -> None:
    order_id = shop.placed()
    assert sent(lambda: shop.get(f"/orders/{order_id}")) == ["SELECT", "COMMIT"]
    assert sent(lambda: shop.get("/orders")) == ["SELECT", "COMMIT"]


def test_and_nobody_waits_for_that_end_so_it_is_one_round_trip(tapped: Calls) -> None:
    order_id = shop.placed()
    tapped.listen(1, Moment.UNANSWERED)
    assert shop.get(f"/orders/{order_id}").status == 200
    assert tapped.reach(lambda: True) == "COMMIT", "which the server has dealt with, but not answered"
    tapped.resolve(cut=True)
    assert shop.get(f"/orders/{order_id}").status == 200, "by a new connection"


def test_what_was_written_is_not_answered_before_its_commit_is(tapped: Calls) -> None:
    tapped.listen(4, Moment.UNANSWERED)
    with ThreadPoolExecutor() as thread:
        answer = thread.submit(lambda: shop.post(shop.order_of((shop.MUG, 1))))
        assert tapped.reach(lambda: True) == "COMMIT"
        tapped.resolve(cut=True)
    assert answer.result().status == 503


@pytest.mark.parametrize(
    ("reported", "until_commit"),
    [
        ("StockReserved", ["INSERT", "SELECT", "UPDATE", "COMMIT"]),
        ("PaymentCaptured", ["INSERT", "SELECT", "UPDATE", "INSERT", "COMMIT"]),
        ("StockRejected", ["INSERT", "SELECT", "UPDATE", "INSERT", "COMMIT"]),
    ],
)
def test_a_reaction_takes_at_most_five_round_trips(sent: Sent, reported: str, until_commit: list[str]) -> None:
    order_id = shop.placed()
    announced = CLEARED if until_commit.count("INSERT") > 1 else []
    assert sent(lambda: shop.report(reported, order_id, reason="r")) == until_commit + announced
    assert len(until_commit) <= 5


def test_a_repeated_event_takes_two_round_trips(sent: Sent) -> None:
    message = event("StockReserved", {"order_id": shop.placed()})
    deliver(consumer.handler, message)
    assert sent(lambda: deliver(consumer.handler, message)) == ["INSERT", "COMMIT"]


def test_a_copy_of_a_product_takes_three_round_trips(sent: Sent) -> None:
    assert sent(lambda: shop.sell(shop.product_id(7))) == ["INSERT", "INSERT", "COMMIT"]


def test_a_batch_is_cleared_away_in_one_go(sent: Sent) -> None:
    reports = [event("PaymentCaptured", {"order_id": shop.placed()}) for _ in range(10)]
    trips = sent(lambda: deliver(consumer.handler, *reports))
    assert len(trips) == 10 * 5 + len(CLEARED)


def test_the_events_of_a_transaction_take_one_round_trip(sent: Sent) -> None:
    def announce() -> None:
        correlate("story")
        with transaction() as tx:
            for _ in range(5):
                tx.publish(Event())

    assert sent(announce) == ["INSERT", "COMMIT", *CLEARED]


def test_a_repeated_request_takes_one_attempt_and_one_look(sent: Sent) -> None:
    request, key = shop.order_of((shop.MUG, 1)), str(uuid7())
    first = shop.post(request, key=key)
    answers: list[Any] = []
    trips = sent(lambda: answers.append(shop.post(request, key=key)))
    assert trips == ["SELECT", "INSERT", "INSERT", "ROLLBACK", "SELECT", "COMMIT"]
    assert answers[0].text == first.text
