"""Whatever is wrong with the database, who asks is told in time; and when it is well again, everything is done once.

A function has 25 seconds. In the last 4 of them it does not wait for the database any more, so that it can still say
that it could not, whatever it does after these 21: the longest are the pauses before a provider is asked again.

All troubles of a connection happen at the same time, because each is mostly waiting: an execution environment for each,
with a tap of its own to the same server.
"""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any, NamedTuple
from uuid import UUID

import pymysql
import pytest
from pymysql.constants import ER

from common import connection
from common.connection import Raw, connect_as
from common.values import uuid7
from localcloud import throwaway
from localcloud.home import free_port
from localcloud.mariadb import Server
from tests.e2e.waiting import eventually
from tests.faults import figures
from tests.faults.functions import TIME_OUT, Function, Functions, TimedOut, functions
from tests.faults.shop import order_of, sell
from tests.faults.tap import Tap
from tests.faults.trouble import Restarted, Silent, Slow, Trouble
from tests.integration.database import PASSWORD, Database
from tests.integration.gateway import STAFF, Answer, ask, deliver, event
from tests.integration.payments.happening import placed, reserved, yen

BATCH = 10
AT_ONCE_SECONDS = 15  # who waits, waits for 21; who does not may be on a machine that stands still

Handler = Callable[..., dict[str, Any]]
# Work: something that a `function` is asked to do. `ask` returns `done` or `refused`, and raises AssertionError when it
# was told neither as it should be. It can be asked again, and how many times it has been done is seen in `effects`.


@dataclass
class AnOrder:
    running: Functions
    function = "orders.api"
    customer: str = field(default_factory=lambda: f"customer-{uuid7()}")

    def __post_init__(self) -> None:
        self.product_id = sell(self.running, on_hand=1)

    def warm_up(self, handler: Handler) -> None:
        assert ask(handler, "GET", "/health/orders", sub=None).status == 200

    def ask(self, handler: Handler) -> str:
        return told(ask(handler, "POST", "/orders", order_of(self.product_id), sub=self.customer, key="key"), 202)

    def effects(self, server: Server) -> int:
        return counted(server, "orders", "SELECT COUNT(*) FROM orders WHERE customer_id = %s", self.customer)


@dataclass
class ARefund:
    running: Functions
    function = "payments.api"
    order_id: str = field(default_factory=lambda: str(uuid7()))

    def __post_init__(self) -> None:
        assert deliver(self.running.one("payments.consumer"), placed(self.order_id), reserved(self.order_id)) == []

    def warm_up(self, handler: Handler) -> None:
        assert ask(handler, "GET", "/health/payments", sub=None).status == 200

    def ask(self, handler: Handler) -> str:
        body, path = {"amount": yen(100)}, f"/payments/{self.order_id}/refund"
        return told(ask(handler, "POST", path, body, sub=STAFF, groups="staff", key="key"), 200)

    def effects(self, server: Server) -> int:
        refunds = "SELECT COUNT(*) FROM sandbox_ledger WHERE outcome = 'refunded' AND charge_key = %s"
        given_back = counted(server, "payments", refunds, UUID(self.order_id).bytes)
        recorded = "SELECT refunded FROM payments WHERE order_id = %s"
        assert counted(server, "payments", recorded, UUID(self.order_id).bytes) == given_back * 100
        return given_back


@dataclass
class ABatch:
    """Ten messages; those that are given back are delivered again."""

    running: Functions
    function = "inventory.consumer"

    def __post_init__(self) -> None:
        self.product_id = sell(self.running, on_hand=1_000)
        line = {"product_id": self.product_id, "quantity": 1}
        self.left = [event("OrderPlaced", {"order_id": str(uuid7()), "lines": [line]}) for _ in range(BATCH)]

    def warm_up(self, handler: Handler) -> None:
        known = event("ProductAdded", {"product_id": self.product_id, "revision": 1})
        assert deliver(handler, known) == []

    def ask(self, handler: Handler) -> str:
        given_back = deliver(handler, *self.left)
        done = len(self.left) - len(given_back)
        assert given_back == [f"m{position}" for position in range(done, len(self.left))], "not all the rest"
        self.left = self.left[done:]
        return "refused" if self.left else "done"

    def effects(self, server: Server) -> int:
        reserved = "SELECT reserved FROM stock WHERE product_id = %s"
        return counted(server, "inventory", reserved, UUID(self.product_id).bytes) // BATCH


def told(answer: Answer, success: int) -> str:
    if answer.status == success:
        return "done"
    assert answer.status == 503, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json["request_id"]
    return "refused"


def counted(server: Server, schema: str, sql: str, parameter: object) -> int:
    database = Database(server, schema)
    try:
        return int(database.value(sql, (parameter,)))
    finally:
        database.close()


Work = AnOrder | ARefund | ABatch
WORKS = (AnOrder, ARefund, ABatch)


@dataclass(frozen=True)
class Case:
    work: type[Work]
    trouble: Callable[[], Trouble]
    first: tuple[str, ...] = ("done", "refused")
    """What may be said while there is trouble."""
    prepared: Callable[[], object] = lambda: None


class Outcome(NamedTuple):
    first: str
    seconds: float
    then: str
    effects: int


def silent_or_cut(work: type[Work], calls: Sequence[int]) -> dict[str, Case]:
    return {
        f"{work.__name__}, {kind.__name__} after {number} answers": Case(work, partial(kind, number))
        for kind in (Silent, Restarted)
        for number in calls
    }


def wait_for_ever() -> None:
    """Without any time-out but that of the function."""

    def connect(self: Any, read_timeout: float, **options: Any) -> None:
        self._unread = False
        pymysql.Connection.__init__(self, **options)

    connection._Connection.__init__ = connect  # type: ignore[method-assign]
    connection._Connection._read_packet = pymysql.Connection._read_packet  # type: ignore[assignment,method-assign]


CASES: dict[str, Case] = {
    **{f"{work.__name__}, answers 0.1 s late": Case(work, lambda: Slow(0.1), ("done",)) for work in WORKS},
    **{f"{work.__name__}, answers 5 s late": Case(work, lambda: Slow(5), ("refused",)) for work in WORKS},
    **{f"{work.__name__}, no answers": Case(work, Silent, ("refused",)) for work in WORKS},
    **{f"{work.__name__}, restarted": Case(work, Restarted, ("done",)) for work in WORKS},
    **silent_or_cut(AnOrder, [2, 4, 5]),
    **silent_or_cut(ARefund, [4, 10, 15]),
    **silent_or_cut(ABatch, [3, 20]),
}
LONGER = {
    name: case
    for work, calls in ((AnOrder, range(1, 8)), (ARefund, range(1, 19)), (ABatch, range(1, 14)))
    for name, case in silent_or_cut(work, calls).items()
    if name not in CASES
}
CONTROL = Case(AnOrder, Silent, prepared=wait_for_ever)


@pytest.fixture(scope="module")
def outcomes(server: Server, tmp_path_factory: pytest.TempPathFactory, long: bool) -> dict[str, Outcome]:
    """By case: what was said in the trouble, how soon, what after it, and how many effects there are."""
    cases = {**CASES, **(LONGER if long else {}), "control": CONTROL}
    folder = tmp_path_factory.mktemp("bus")
    with ExitStack() as taps, functions(server, folder) as running, ThreadPoolExecutor(len(cases)) as threads:
        prepared = {}
        for name, case in cases.items():
            trouble, work = case.trouble(), case.work(running)
            tap = Tap(server, trouble)
            taps.callback(tap.close)
            behind = replace(server, port=tap.port)
            prepared[name] = (work, trouble, running.start(work.function, server=behind, prepared=case.prepared))
        for work, _, function in prepared.values():  # once all are forked: none has another's connection
            work.warm_up(function)
        running_cases = {name: threads.submit(suffer, server, *parts) for name, parts in prepared.items()}
        return {name: case.result() for name, case in running_cases.items()}


def suffer(server: Server, work: Work, trouble: Trouble, function: Function) -> Outcome:
    trouble.begin()
    began = time.monotonic()
    first = outcome(work, function)
    seconds = time.monotonic() - began
    trouble.end()
    return Outcome(first, seconds, outcome(work, function), work.effects(server))


def outcome(work: Work, function: Function) -> str:
    try:
        return work.ask(function)
    except TimedOut:
        return "killed when its time was over"
    except AssertionError as error:
        return str(error)


@pytest.mark.parametrize("name", [*CASES, *(pytest.param(name, marks=pytest.mark.long) for name in LONGER)])
def test_whoever_asks_is_told_in_time_and_it_is_done_once_afterwards(
    outcomes: dict[str, Outcome], name: str, long: bool
) -> None:
    case, outcome = {**LONGER, **CASES}[name], outcomes[name]
    assert outcome.first in case.first
    assert outcome.seconds < TIME_OUT
    assert (outcome.then, outcome.effects) == ("done", 1)
    figures.note("bad_database", kinds_of_trouble=len(outcomes) - 1, seconds_allowed=TIME_OUT)


def test_control_without_time_outs_who_asks_is_never_told(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["control"].first == "killed when its time was over"
    assert outcomes["control"].seconds >= TIME_OUT


@pytest.mark.parametrize("work_type", WORKS)
def test_a_database_that_is_killed_is_missed_at_once_and_used_again_after_its_return(
    template: Server, tmp_path: Path, work_type: type[Work]
) -> None:
    server = replace(template, directory=tmp_path / "server", port=free_port())
    copytree(template.directory, server.directory)
    with functions(server, tmp_path) as running:
        with throwaway.serving(server, ended_by=signal.SIGKILL):
            work = work_type(running)
            function = running.start(work.function)
            work.warm_up(function)
        for _ in range(3):
            began = time.monotonic()
            assert work.ask(function) == "refused"
            assert time.monotonic() - began < AT_ONCE_SECONDS
        with throwaway.serving(server):
            assert work.ask(function) == "done"
            assert work.effects(server) == 1


@pytest.mark.parametrize("limit", ["--max-connections=10", "--max-user-connections=2"])
def test_a_database_without_a_free_connection_is_not_waited_for(template: Server, tmp_path: Path, limit: str) -> None:
    with throwaway.throw_away(template, limit) as server, functions(server, tmp_path) as running:
        prepared = [(work, running.start(work.function)) for work in (work_type(running) for work_type in WORKS)]
        running.stop_ones()
        mine = Database(server, "orders")
        eventually(lambda: connected(mine) == 1, seconds=60)
        taken = [raw for service in ("orders", "payments", "inventory") for raw in all_connections(server, service)]
        for work, function in prepared:
            began = time.monotonic()
            assert work.ask(function) == "refused"
            assert time.monotonic() - began < AT_ONCE_SECONDS
        for raw in taken:
            raw.close()
        eventually(lambda: connected(mine) == 1, seconds=60)
        for work, function in prepared:
            assert work.ask(function) == "done"
            function.stop()
        mine.close()
        assert [work.effects(server) for work, _ in prepared] == [1, 1, 1]


def connected(database: Database) -> int:
    """How many connections the server counts, itself included: until it has noticed, those that were closed as well."""
    return int(database.rows("SHOW GLOBAL STATUS LIKE 'Threads_connected'")[0]["Value"])


def all_connections(server: Server, service: str) -> Iterator[Raw]:
    """As many as the server grants."""
    while True:
        try:
            yield connect_as(server.host, server.port, service, PASSWORD, str(server.ca_file), service)
        except pymysql.err.OperationalError as error:
            if error.args[0] not in (ER.CON_COUNT_ERROR, ER.TOO_MANY_USER_CONNECTIONS):
                raise
            return
