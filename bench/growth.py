"""Orders' functions with a thousand orders and with a million: what takes longer as a shop grows older.

Each beside itself, in turn, on two servers set up alike, with the rows that are asked for in memory. A sweep finds a
hundred orders past their deadline, a purge five hundred old keys.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle
from uuid import UUID

from bench.filling import fill
from bench.function import become
from bench.in_turn import in_turn
from bench.measuring import Comparison, Variants
from bench.shop import database
from common.consumer import PURGED_AT_ONCE
from localcloud.mariadb import Server
from orders import consumer
from tests.integration.database import Database
from tests.integration.gateway import on_schedule
from tests.integration.orders import shop

ROUNDS, TIMES = 5, 11
SMALL, LARGE = 1_000, 1_000_000
DUE = 100
WORK = ("read", "list", "place", "sweep", "purge")
COMPARISONS = [
    Comparison(f"{work} with 10⁶ orders / with 10³", f"{work} {LARGE}", f"{work} {SMALL}", at_most=1.3) for work in WORK
]
# As much of it as a small class of RDS has, and no wait for the disk while it is filled.
OPTIONS = ("--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M")


@contextmanager
def variants() -> Iterator[Variants]:
    with ExitStack() as stack:
        shops = {}
        for size in (SMALL, LARGE):
            server = stack.enter_context(database(*OPTIONS))
            orders = Database(server, "orders")
            stack.callback(orders.close)
            orders.execute("SET unique_checks = 0, foreign_key_checks = 0")
            fill(orders, size)
            with become("orders", server):
                shop.sell(shop.MUG)
            shops[size] = Works(orders, server, size)
        pairs = [{f"{work} {size}": partial(shops[size].timed, work) for size in shops} for work in WORK]
        yield {name: ask for pair in pairs for name, ask in in_turn(pair, TIMES).items()}


class Works:
    """Each prepares what there is to do, does it, and returns how long that took, in seconds."""

    def __init__(self, orders: Database, server: Server, size: int) -> None:
        self._orders, self._server, self._size = orders, server, size
        self._numbers = {work: cycle(range(TIMES)) for work in WORK}

    def timed(self, work: str) -> float:
        with become("orders", self._server):
            shop.get("/orders", sub="nobody")  # brings the connection up
            return float(getattr(self, work)(next(self._numbers[work])))

    def read(self, number: int) -> float:
        nth = self._nth(number)
        return _took(lambda: shop.get(f"/orders/{_order_id(nth)}", sub=f"customer-{nth // 10:07}").status == 200)

    def list(self, number: int) -> float:
        customer = f"customer-{self._nth(number) // 10:07}"
        return _took(lambda: len(shop.get("/orders", sub=customer).json["items"]) > 5)

    def place(self, number: int) -> float:
        customer = f"customer-{self._nth(number) // 10:07}"
        return _took(lambda: shop.post(shop.order_of((shop.MUG, 1)), sub=customer).status == 202)

    def sweep(self, number: int) -> float:
        first = self._nth(number)
        late = [_order_id(nth).bytes for nth in range(first, first + DUE)]
        self._orders.execute("UPDATE orders SET status = 'placed', due_at = NOW(6) WHERE order_id IN %s", (late,))
        self._rest()
        return _took(lambda: on_schedule(consumer.handler, "move_due"))

    def purge(self, number: int) -> float:
        self._orders.execute(
            f"""
            INSERT INTO idempotency_keys (request_key, body_hash, status, answer, created_at)
            SELECT UNHEX(SHA2(UUID(), 256)), UNHEX(SHA2(seq, 256)), 202, '', NOW(6) - INTERVAL 2 DAY
              FROM mysql.seq_1_to_{PURGED_AT_ONCE // 2}
            """
        )
        self._rest()
        return _took(lambda: on_schedule(consumer.handler, "messages"))

    def _rest(self) -> None:
        """Until the server has taken away what was deleted before, which it does afterwards and by itself."""
        while int(self._orders.rows("SHOW GLOBAL STATUS LIKE 'Innodb_history_list_length'")[0]["Value"]) > 5:
            time.sleep(0.005)

    def _nth(self, number: int) -> int:
        """Spread over all of them, each a different one."""
        return (number * 7919 * (self._size // SMALL)) % (self._size - DUE) + 10


def _order_id(nth: int) -> UUID:
    """As in `bench.filling.ID`."""
    return UUID(f"{1_700_000_000_000 + nth:012x}70008000{nth:012x}")


def _took(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    assert work() is not False
    return time.perf_counter() - start
