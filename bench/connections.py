"""Execution environments, each a process with a connection of its own, twice as many as the database has connections.

Directly, and through a multiplexer with 8 connections that does as RDS Proxy does (`bench/multiplexer.py`). Each places
an order, and then has something else to do for a second and a half.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from bench.function import become
from bench.measuring import Comparison, Variants
from bench.multiplexer import multiplexed
from bench.shop import database
from localcloud.mariadb import Server
from tests.integration.environments import Elsewhere
from tests.integration.orders import shop

ROUNDS = 3
CONNECTIONS = 85  # of the smallest class of RDS
ENVIRONMENTS, LENT = 2 * CONNECTIONS, 8
WARM_SECONDS, SECONDS, ELSEWHERE_SECONDS = 4, 4.5, 1.5
COMPARISONS = [
    Comparison("multiplexed: requests refused", "multiplexed: refused", at_most=0),
    Comparison("direct: requests refused, of a hundred", "direct: refused"),
    Comparison("multiplexed / direct, orders a second", "multiplexed: orders", "direct: orders", at_least=1),
    Comparison("multiplexed: sessions pinned", "multiplexed: pinned", at_most=0),
    Comparison("direct, orders a second", "direct: orders"),
]


class Served(NamedTuple):
    orders: int
    refused: int


@contextmanager
def variants() -> Iterator[Variants]:
    with (
        database(f"--max-connections={CONNECTIONS}") as server,
        multiplexed(server, "orders", LENT) as (proxy, pinned),
    ):
        with become("orders", server):
            shop.sell(shop.MUG)
        yield {
            **{f"direct: {name}": ask for name, ask in _once(server).items()},
            **{f"multiplexed: {name}": ask for name, ask in _once(proxy).items()},
            "multiplexed: pinned": lambda: float(pinned()),
        }


def _once(server: Server) -> dict[str, Callable[[], float]]:
    """Both figures of one run, whichever is asked for first."""
    last: list[Served] = []

    def asked(figure: Callable[[Served], float]) -> float:
        if last:
            return figure(last.pop())
        last.append(_all_at_once(server))
        return figure(last[0])

    return {
        "orders": partial(asked, lambda served: served.orders / SECONDS),
        "refused": partial(asked, lambda served: 100 * served.refused / (served.orders + served.refused)),
    }


def _all_at_once(server: Server) -> Served:
    start = time.monotonic() + WARM_SECONDS
    environments = [Elsewhere(partial(_environment, server, number, start)) for number in range(ENVIRONMENTS)]
    served = [environment.result(60) for environment in environments]
    return Served(sum(one.orders for one in served), sum(one.refused for one in served))


def _environment(server: Server, number: int, start: float) -> Served:
    """Its first request, which connects, does not count."""
    answers = []
    with become("orders", server):
        time.sleep(number / ENVIRONMENTS * WARM_SECONDS / 2)
        while (began := time.monotonic()) < start + SECONDS:
            status = shop.post(shop.order_of((shop.MUG, 1))).status
            if began >= start:
                answers.append(status)
            time.sleep(ELSEWHERE_SECONDS)
    return Served(answers.count(202), len(answers) - answers.count(202))
