"""Placing and reading an order of five lines through orders' own handler, with the database at 0 and at 1 ms; and at
0.3, as far as it is where a function and its database are in one zone.

Against the same handler with loops of single statements, one for each product, line and event, and with one CALL of a
stored procedure that does the whole transaction. All send their events to a bus that answers at once, and then delete
their rows.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from bench.far import far
from bench.function import become
from bench.in_turn import in_turn
from bench.measuring import Comparison, Variants
from bench.peers import PROCEDURES, loops, one_call
from bench.shop import database
from localcloud.mariadb import Server
from tests.integration.database import Database
from tests.integration.orders import shop

ROUNDS, TIMES = 9, 11
PAUSE_SECONDS = 0.004  # between two invocations of a function, which has to ask Lambda for the next
LOOPS, CALL = "loops of single statements", "one CALL"
GOALS = {(0, LOOPS): 0.5, (0, CALL): 3, (0.3, LOOPS): None, (0.3, CALL): None, (1, LOOPS): 0.5, (1, CALL): 3}
COMPARISONS = [
    Comparison(f"{method} at {ms} ms / with {peer}", f"{method} at {ms} ms", f"{method} at {ms} ms, {peer}", goal)
    for method in ("POST", "GET")
    for (ms, peer), goal in GOALS.items()
] + [Comparison(f"{method} at 1 ms, ms", f"{method} at 1 ms") for method in ("POST", "GET")]
Way = Callable[[], AbstractContextManager[None]]
LINES = [shop.product_id(number) for number in range(5)]


@contextmanager
def variants() -> Iterator[Variants]:
    with database() as server, far(server, 0.3) as nearer, far(server, 1) as farther:
        administrator = Database(server, "orders")
        for statement in PROCEDURES:
            administrator.execute(statement)
        administrator.close()
        with become("orders", server):
            shop.sell(*LINES)
            order_id = _place()
        work: Mapping[str, Callable[[], object]] = {"POST": _place, "GET": partial(_read, order_id)}
        ways: Mapping[str, Way] = {"": nullcontext, f", {LOOPS}": loops, f", {CALL}": one_call}
        for_each = [
            {f"{method} at {ms} ms{way}": partial(_once, work[method], ways[way], where) for way in ways}
            for method in work
            for ms, where in ((0, server), (0.3, nearer), (1, farther))
        ]
        yield {name: ask for group in for_each for name, ask in in_turn(group, TIMES).items()}


def _once(work: Callable[[], object], way: Way, where: Server) -> float:
    """Milliseconds, after a first time that brings the connection up."""
    with become("orders", where), way():
        work()
        time.sleep(PAUSE_SECONDS)
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) * 1000


def _place() -> str:
    answer = shop.post(shop.order_of(*((product_id, 2) for product_id in LINES)))
    assert answer.status == 202, answer
    return str(answer.json["order_id"])


def _read(order_id: str) -> None:
    assert shop.get(f"/orders/{order_id}").status == 200
