"""A repeated request has no second effect and gets the answer of the first: fifty at once, after a crash or a failure.

Fifty threads call a function with fifty execution environments, so that all of them are at the database together.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from typing import Any
from uuid import UUID

import pytest

from common import idempotency, outbox
from common.connection import Connection
from common.events import Sealed
from common.idempotency import Fingerprint
from common.values import uuid7
from localcloud import throwaway
from localcloud.mariadb import Server
from payments import api as payments_api
from tests.e2e.waiting import eventually
from tests.faults import figures
from tests.faults.functions import Died, Function, Functions, SharedBus, functions
from tests.faults.shop import order_of, sell
from tests.integration.database import Database
from tests.integration.gateway import ALICE, BOB, STAFF, Answer, ask, deliver, on_schedule
from tests.integration.payments.happening import placed, reserved, yen

AT_ONCE = 50


@dataclass
class Route:
    """One that takes a key. Of the two `bodies` and of the two callers each may use it."""

    service: str
    path: str
    bodies: tuple[Any, Any]
    groups: str
    success: int
    event: str
    effects: Callable[[], int]
    """How many there have been, wherever that is seen best."""
    running: Functions
    database: Database
    peeking: Database
    """Sees what is not committed."""
    function: Function

    def ask(self, function: Function | None = None, *, sub: str = STAFF, body: int = 0, key: str = "the key") -> Answer:
        function, groups = function or self.function, self.groups
        return ask(function, "POST", self.path, self.bodies[body], sub=sub, groups=groups, key=key)

    def at_once(self, *requests: dict[str, Any], function: Function | None = None) -> list[Answer]:
        with ThreadPoolExecutor(AT_ONCE) as callers:
            return list(callers.map(lambda request: self.ask(function, **request), requests))

    def announced(self) -> int:
        """How many events of it reached the bus."""
        return sum(entry["DetailType"] == self.event for entry in self.running.bus.since(0)[0])

    def left(self) -> int:
        """How many events of it are in the outbox."""
        return int(self.database.value("SELECT COUNT(*) FROM outbox WHERE detail_type = %s", (self.event,)))

    def begun(self) -> bool:
        """Whether somebody has come to the end of the transaction, and has the row of the key."""
        return self.peeking.count("idempotency_keys") == 1


@pytest.fixture(scope="module")
def server(template: Server) -> Iterator[Server]:
    """With a connection for each environment, and another for each of payments, in which the provider keeps books."""
    with throwaway.throw_away(template, "--max-connections=500") as server:
        yield server


@pytest.fixture(scope="module")
def running(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Functions]:
    with functions(server, tmp_path_factory.mktemp("bus")) as running:
        yield running


@pytest.fixture(scope="module")
def environments(running: Functions) -> Callable[[str], Function]:
    """Fifty of a service's API, which all tests use."""
    return cache(lambda service: running.start(f"{service}.api", AT_ONCE))


@pytest.fixture
def routes(server: Server, running: Functions, environments: Callable[[str], Function]) -> Iterator[dict[str, Route]]:
    """By service, with empty schemas."""
    orders, payments = Database(server, "orders"), Database(server, "payments")
    opened = [orders, payments]

    def route(database: Database, *what: Any) -> Route:
        peeking = Database(server, database.schema)
        peeking.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
        opened.append(peeking)
        database.empty()
        return Route(database.schema, *what, running, database, peeking, environments(database.schema))

    refunds = "SELECT COUNT(*) FROM sandbox_ledger WHERE outcome = 'refunded'"
    order_id, amounts = str(uuid7()), ({"amount": yen(100)}, {"amount": yen(200)})
    ordering = route(orders, "/orders", (), "", 202, "OrderPlaced", lambda: orders.count("orders"))
    refunding = route(
        payments,
        f"/payments/{order_id}/refund",
        amounts,
        "staff",
        200,
        "PaymentRefunded",
        lambda: payments.value(refunds),
    )
    product_id = sell(running, on_hand=1_000)
    ordering.bodies = (order_of(product_id), order_of(product_id, 2))
    assert deliver(running.one("payments.consumer"), placed(order_id), reserved(order_id)) == []
    yield {"orders": ordering, "payments": refunding}
    for database in opened:
        database.close()


@pytest.fixture(params=["orders", "payments"])
def route(request: pytest.FixtureRequest, routes: dict[str, Route]) -> Route:
    return routes[request.param]


def test_fifty_requests_with_one_key_have_one_effect_and_identical_answers(route: Route) -> None:
    before = route.announced()
    answers = route.at_once(*[{}] * AT_ONCE)
    assert Counter(answer.status for answer in answers) == {route.success: AT_ONCE}
    assert len({answer.text for answer in answers}) == 1
    assert (route.effects(), route.announced() - before) == (1, 1)
    figures.note("idempotency", requests_at_once=AT_ONCE, effects_of_a_key=1)


def test_another_body_is_refused_and_another_caller_is_another_matter(route: Route) -> None:
    mixed: list[dict[str, Any]] = [{"sub": ALICE, "body": 0}, {"sub": ALICE, "body": 1}, {"sub": BOB, "body": 1}]
    requests = [mixed[number % 3] for number in range(48)]
    answers = list(zip(requests, route.at_once(*requests), strict=True))
    first, second, bobs = ([answer for request, answer in answers if request == one] for one in mixed)
    alices = sorted([first, second], key=lambda group: group[0].status)  # whichever body came first has the key
    for group, status in ((alices[0], route.success), (bobs, route.success), (alices[1], 422)):
        assert Counter(answer.status for answer in group) == {status: 16}
    assert {len({answer.text for answer in group}) for group in (alices[0], bobs)} == {1}
    assert alices[0][0].text != bobs[0].text
    assert all("Idempotency-Key" in answer.json["detail"] for answer in alices[1])
    assert route.effects() == 2


def test_after_a_crash_between_commit_and_answer_the_answer_is_still_the_same(route: Route) -> None:
    before, bus = route.announced(), route.running.bus
    dying = route.running.start(f"{route.service}.api", prepared=lambda: dies_on_sending(bus))
    with pytest.raises(Died):
        route.ask(dying)
    assert (route.effects(), route.left()) == (1, 1), "it was done, and nobody has been told"

    answers = route.at_once(*[{}] * AT_ONCE)
    assert {(answer.status, answer.text) for answer in answers} == {(route.success, answers[0].text)}
    assert route.effects() == 1
    if route.service == "orders":
        assert UUID(answers[0].json["order_id"]).bytes == route.database.value("SELECT order_id FROM orders")
    route.database.execute("UPDATE outbox SET available_at = NOW(6)")
    on_schedule(route.running.one(f"{route.service}.consumer"))
    assert (route.left(), route.announced() - before) == (0, 1)


def test_a_first_that_is_rolled_back_lets_the_next_in(route: Route) -> None:
    before = route.announced()
    first = route.running.start(f"{route.service}.api", prepared=lambda: linger(lambda: time.sleep(60)))
    with ThreadPoolExecutor(6) as callers:
        dying = callers.submit(route.ask, first)
        eventually(route.begun, seconds=20)
        repeats = [callers.submit(route.ask) for _ in range(5)]
        eventually(lambda: waiting(route.database) == 5, seconds=20)
        first.environments[0].kill()
        answers = [repeat.result() for repeat in repeats]
    assert isinstance(dying.exception(), Died)
    assert {(answer.status, answer.text) for answer in answers} == {(route.success, answers[0].text)}
    assert (route.effects(), route.announced() - before) == (1, 1)


def test_a_repeat_waits_for_the_first_up_to_ten_seconds(routes: dict[str, Route]) -> None:
    def wait(route: Route) -> tuple[Answer, Answer, float]:
        may_go_on = get_context("fork").Event()
        slow = route.running.start(f"{route.service}.api", prepared=lambda: linger(lambda: may_go_on.wait(60)))
        with ThreadPoolExecutor(1) as callers:
            first = callers.submit(route.ask, slow)
            eventually(route.begun, seconds=20)
            began = time.monotonic()
            repeat = route.ask()
            waited = time.monotonic() - began
            may_go_on.set()
            return first.result(), repeat, waited

    with ThreadPoolExecutor(2) as both:  # at the same time, because each takes so long
        outcomes = list(both.map(wait, routes.values()))
    for route, (first, repeat, _) in zip(routes.values(), outcomes, strict=True):
        assert (repeat.status, repeat.headers["Content-Type"]) == (409, "application/problem+json")
        assert int(repeat.headers["Retry-After"]) > 0
        assert first.status == route.success
        assert route.ask().text == first.text
        assert route.effects() == 1
    assert all(seconds > 9.5 for *_, seconds in outcomes)


def test_control_without_the_row_of_the_key_the_fifty_have_several_effects(route: Route) -> None:
    without = route.running.start(f"{route.service}.api", 16, prepared=forget_keys)
    answers = route.at_once(*[{}] * AT_ONCE, function=without)
    without.stop()
    assert route.effects() == sum(answer.status == route.success for answer in answers) > 1
    assert len({answer.text for answer in answers}) > 1
    figures.note("idempotency", **{f"without the stored answer, effects in {route.service}": route.effects()})


def forget_keys() -> None:
    idempotency._store = lambda *_: None  # type: ignore[assignment]
    idempotency._find = lambda *_: None  # type: ignore[assignment]
    # A refund has a row of its own, which its key leads to as well.
    payments_api.fingerprint = lambda _: Fingerprint(os.urandom(32), b"")  # type: ignore[attr-defined]


def dies_on_sending(bus: SharedBus) -> None:
    """As if the machine failed: after the commit, with the event in the outbox and the answer not given."""
    bus.fail(ConnectionError(), when=lambda entry: os.kill(os.getpid(), signal.SIGKILL) is None)


def linger(wait: Callable[[], object]) -> None:
    """Everything is written then but the events, and not committed."""
    store = outbox.store

    def slowly(connection: Connection, events: Sequence[Sealed]) -> None:
        if events:
            wait()
        store(connection, events)

    outbox.store = slowly


def waiting(database: Database) -> int:
    """How many wait for a row that somebody holds."""
    time.sleep(0.15)  # asked more often, InnoDB repeats what it said
    return int(database.value("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"))
