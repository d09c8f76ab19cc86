"""An order whose 202 a customer has seen is there after the database process was killed, however busy it was.

The server's files are on the disk, not in memory as those of other tests: MariaDB takes a log in memory for one that
needs no flushing, and would then lose nothing with any setting.
"""

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from uuid import UUID

import pytest

from localcloud.home import free_port
from localcloud.mariadb import Server
from localcloud.throwaway import serving
from tests.e2e.waiting import eventually
from tests.faults import figures
from tests.faults.functions import Function, Functions, functions
from tests.faults.shop import order_of, sell
from tests.integration.database import Database
from tests.integration.gateway import Answer, ask

CUSTOMERS = 8
KILLS = 3


@pytest.fixture
def server(template: Server, tmp_path: Path) -> Server:
    """On a disk and not started."""
    server = replace(template, directory=tmp_path / "server", port=free_port())
    copytree(template.directory, server.directory)
    return server


@pytest.fixture
def running(server: Server, tmp_path: Path) -> Iterator[Functions]:
    with functions(server, tmp_path) as running:
        yield running


class Customers:
    """They order all the time, each with a new key, and remember what they were told."""

    def __init__(self, api: Function, product_id: str) -> None:
        self._api, self._product_id = api, product_id
        self.told: dict[str, Answer] = {}
        self._over = threading.Event()

    def acknowledged(self) -> dict[str, Answer]:
        return {key: answer for key, answer in self.told.copy().items() if answer.status == 202}

    def wait_for_hundred_more(self) -> None:
        enough = len(self.acknowledged()) + 100
        eventually(lambda: len(self.acknowledged()) >= enough, seconds=300)

    @contextmanager
    def ordering(self) -> Iterator[None]:
        """For the length of a block, and after it until each has noticed."""
        self._over.clear()
        with ThreadPoolExecutor(CUSTOMERS) as threads:
            orders = [threads.submit(self._order, f"{time.time_ns()} {number}") for number in range(CUSTOMERS)]
            try:
                yield
            finally:
                self._over.set()
        for order in orders:
            order.result()

    def ask(self, key: str) -> Answer:
        return ask(self._api, "POST", "/orders", order_of(self._product_id), key=key)

    def _order(self, name: str) -> None:
        number = 0
        while not self._over.is_set():
            key = f"{name} {(number := number + 1)}"
            self.told[key] = self.ask(key)
            if self.told[key].status != 202:
                self._over.wait(0.05)


def test_every_acknowledged_order_survives_three_kills_in_a_row(server: Server, running: Functions, long: bool) -> None:
    with serving(server):
        product_id = sell(running, on_hand=0)
    customers = Customers(running.start("orders.api", CUSTOMERS), product_id)
    kills = 10 * KILLS if long else KILLS
    for kill in range(1, kills + 1):
        with customers.ordering():
            with serving(server, ended_by=signal.SIGKILL):
                customers.wait_for_hundred_more()
            time.sleep(0.2)  # orders while nobody is there
        with serving(server):
            assert lost(server, customers) == [], f"after {kill} kills"

    with serving(server):
        refused = [key for key, answer in customers.told.items() if answer.status != 202]
        assert {customers.told[key].status for key in refused} == {503}
        with ThreadPoolExecutor(CUSTOMERS) as threads:
            again = dict(zip(customers.told, threads.map(customers.ask, customers.told), strict=True))
        assert {answer.status for answer in again.values()} == {202}
        for key, answer in customers.acknowledged().items():
            assert again[key].text == answer.text
        database = Database(server, "orders")
        assert database.count("orders") == len(again), "one for each key, also of those that were told nothing"
        left = {
            row["event_id"] for row in database.rows("SELECT event_id FROM outbox WHERE detail_type = 'OrderPlaced'")
        }
        assert len(announced(running) | left) == len(again), "and the event of each"
        database.close()
    figures.note(
        "durability",
        kills=kills,
        acknowledged_orders=len(customers.acknowledged()),
        lost=0,
        refused_meanwhile=len(refused),
    )


def test_control_a_server_that_flushes_once_a_second_loses_acknowledged_orders(
    server: Server, running: Functions
) -> None:
    with serving(server):
        product_id = sell(running, on_hand=0)
    customers = Customers(running.start("orders.api", CUSTOMERS), product_id)
    for _ in range(5):  # a kill may come right after a flush
        with customers.ordering(), serving(server, "--innodb-flush-log-at-trx-commit=0", ended_by=signal.SIGKILL):
            customers.wait_for_hundred_more()
        with serving(server):
            gone = lost(server, customers)
        if gone:
            break
    assert gone
    figures.note("durability", lost_where_the_log_is_flushed_once_a_second=len(gone))


def lost(server: Server, customers: Customers) -> list[str]:
    """Orders that were acknowledged and are not there."""
    database = Database(server, "orders")
    there = {str(UUID(bytes=row["order_id"])) for row in database.rows("SELECT order_id FROM orders")}
    database.close()
    return sorted({answer.json["order_id"] for answer in customers.acknowledged().values()} - there)


def announced(running: Functions) -> set[bytes]:
    """The identifiers of the events that reached the bus."""
    entries = [entry for entry in running.bus.since(0)[0] if entry["DetailType"] == "OrderPlaced"]
    return {UUID(json.loads(entry["Detail"])["id"]).bytes for entry in entries}
