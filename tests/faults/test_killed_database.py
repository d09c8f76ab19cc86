"""Nothing is lost and nothing happens twice when the database is killed under load, and comes back with its data."""

import json
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from localcloud import throwaway
from localcloud.home import free_port, memory
from localcloud.mariadb import Server
from tests.faults import figures
from tests.faults.crashing import IN_STOCK, QUANTITY, ROUNDS, watching
from tests.faults.load import load

ORDERS_BETWEEN_KILLS = 15
KILLS, MANY_KILLS = 4, 20
PATHS = (
    ["placed", "reserved", "confirmed"],
    ["placed", "reserved", "rejected"],
    ["placed", "rejected"],  # where the news of the payment came before that of the stock
)


@pytest.fixture
def stopped(template: Server) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="kumiki-mariadb-", dir=memory()) as folder:
        server = Server(Path(folder) / "server", free_port(), template.password)
        shutil.copytree(template.directory, server.directory)
        yield server


def test_orders_under_way_when_the_database_is_killed_are_neither_lost_nor_done_twice(
    stopped: Server, become: Callable[..., None], monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    kills = MANY_KILLS if long else KILLS
    killed_at_the_end = partial(throwaway.serving, stopped, ended_by=signal.SIGKILL)
    with ExitStack() as stack:
        with killed_at_the_end():
            shop = stack.enter_context(watching(stopped, become, monkeypatch)).shop
            mug = shop.open()
            going_on = stack.enter_context(load(shop, become, mug))
            going_on.wait(lambda: len(going_on.placed) >= ORDERS_BETWEEN_KILLS)
            going_on.database_leaves()
        for _ in range(kills - 1):
            with killed_at_the_end():
                going_on.database_is_back()
                enough = len(going_on.placed) + ORDERS_BETWEEN_KILLS
                going_on.wait(lambda enough=enough: len(going_on.placed) >= enough and going_on.recovered())
                going_on.database_leaves()
        with killed_at_the_end():
            going_on.database_is_back()
            shop.connect()
            going_on.close()
            going_on.wait(going_on.idle)
            swept = 0
            for _ in range(ROUNDS):
                swept += shop.sweep_all()
                going_on.wait(going_on.idle)
            going_on.end()

            assert going_on.dead_letters == []
            orders = list(going_on.placed.values())
            assert len(set(orders)) == len(orders) == shop.databases["orders"].count("orders")
            fates: Counter[str] = Counter()
            for order in orders:
                outcome = shop.outcome(order)
                [(status, timeline, _)] = outcome["order"]
                assert timeline in PATHS, f"order {order}"
                fates[json.dumps({**outcome, "order": status}, sort_keys=True)] += 1
            told = {fate["order"]: fate for fate in map(json.loads, fates)}
            assert (len(fates), sorted(told)) == (2, ["confirmed", "rejected"]), "all of a kind fared alike"
            assert [entry["outcome"] for entry in told["confirmed"]["ledger"]] == ["captured"]
            assert set(told["confirmed"]["events"].values()) == set(told["rejected"]["events"].values()) == {1}
            confirmed = next(number for fate, number in fates.items() if json.loads(fate)["order"] == "confirmed")
            assert shop.stock(mug) == (IN_STOCK, QUANTITY * confirmed)
            assert (shop.unsent(), shop.unreceived()) == (0, [])
    assert going_on.refusals + going_on.redelivered > 0, "some met a database that was away"
    sent = [detail["id"] for detail in shop.bus.details()]
    figures.note(
        "killed_database",
        database_kills=kills,
        orders=len(orders),
        events_committed=len(set(sent)),
        events_sent_twice=len(sent) - len(set(sent)),
        messages_redelivered=going_on.redelivered,
        requests_refused_and_repeated=going_on.refusals,
        left_for_the_sweep=swept,
        dead_letters=len(going_on.dead_letters),
    )
