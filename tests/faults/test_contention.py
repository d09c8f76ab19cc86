"""Money and stock hold when all want the same: 1,000 orders for the last 10 units, from 64 threads at once.

A thread is a caller, as a connection of API Gateway is. Functions answer one request at a time in each of their
execution environments, which are processes, so the callers queue for eight of them: as many as two cores can keep at
work. Then sixteen environments of inventory, and some of payments and orders, deal with the events in batches of up to
ten, until every order is settled.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from common.database import Transaction
from inventory import domain, repository, use_cases
from inventory.domain import Reservation, Status
from inventory.models import OrderPlaced, StockRejected, StockReserved
from localcloud.mariadb import Server
from tests.faults import figures
from tests.faults.functions import Function, Functions, Queues, functions
from tests.faults.shop import PRICE, order_of, sell
from tests.integration.database import Database, administrator
from tests.integration.gateway import ask

UNITS = 10
CALLERS = 64
SETTLED = ("confirmed", "rejected")
WAITING = "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"


@pytest.fixture
def running(server: Server, tmp_path: Path) -> Iterator[Functions]:
    with functions(server, tmp_path) as running:
        yield running


@pytest.fixture
def schemas(server: Server) -> Iterator[Callable[[str], Database]]:
    """Call it with a service's name."""
    opened = {name: Database(server, name) for name in ("orders", "inventory", "payments")}
    for database in opened.values():
        database.empty()
    yield opened.__getitem__
    for database in opened.values():
        database.close()


def test_of_a_thousand_orders_for_ten_units_ten_are_sold_and_the_rest_rejected(
    running: Functions, schemas: Callable[[str], Database], long: bool
) -> None:
    orders = 10_000 if long else 1_000
    product_id = sell(running, UNITS)
    left: set[int] = set()

    queues = place(running, product_id, orders, schemas("inventory"), left.add)

    assert Counter(statuses(schemas)) == {"confirmed": UNITS, "rejected": orders - UNITS}
    sold = holders(schemas)
    assert len(sold) == UNITS
    assert stock(schemas("inventory")) == (UNITS, UNITS)
    assert min(left) == 0, "never below zero, whenever anybody looked"
    ledger = schemas("payments").rows("SELECT charge_key, amount, outcome FROM sandbox_ledger")
    assert {row["charge_key"] for row in ledger} == sold, "nobody was charged for what was not sold"
    assert [(row["amount"], row["outcome"]) for row in ledger] == [(PRICE, "captured")] * UNITS
    assert schemas("payments").value("SELECT SUM(captured) FROM payments") == UNITS * PRICE
    assert queues.given_back == 0, "who waits for others gets through at the first delivery"
    assert [schemas(service).count("outbox") for service in ("orders", "inventory", "payments")] == [0, 0, 0]
    figures.note("contention", orders=orders, callers=CALLERS, units=UNITS, sold=len(sold), rejected=orders - UNITS)


def test_where_nobody_waits_for_the_other_the_tables_check_still_sells_no_unit_twice(
    running: Functions, schemas: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "lock", look)
    product_id = sell(running, UNITS)
    queues = place(running, product_id, 200, schemas("inventory"))
    assert Counter(statuses(schemas)) == {"confirmed": UNITS, "rejected": 200 - UNITS}
    assert stock(schemas("inventory")) == (UNITS, UNITS)
    assert queues.given_back > 0, "some read that there was enough, and were refused"


def test_control_who_reads_and_then_writes_sells_units_that_are_not_there(
    running: Functions, schemas: Callable[[str], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_cases, "reserve", read_then_write)
    product_id = sell(running, UNITS)
    place(running, product_id, 200, schemas("inventory"))
    assert set(statuses(schemas)) <= set(SETTLED)
    assert len(holders(schemas)) > UNITS
    assert stock(schemas("inventory")) <= (UNITS, UNITS), "and the stock shows nothing of it"
    figures.note("contention", sold_of_10_units_without_the_lock=len(holders(schemas)))


def place(
    running: Functions, product_id: str, orders: int, inventory: Database, left: Callable[[int], object] = id
) -> Queues:
    """Have so many orders for a unit placed, and all that comes of them dealt with; `left` is told what is available.

    All environments of inventory are made to ask for the stock at the same time.
    """
    api = running.start("orders.api", 8)
    stock = running.start("inventory.consumer", 16)
    others = [running.start(f"{service}.consumer", 4) for service in ("payments", "orders")]
    queues = Queues(running.bus, [stock, *others])
    with ThreadPoolExecutor(CALLERS) as callers:
        placed = set(callers.map(lambda number: place_one(api, product_id, number), range(orders)))
    assert len(placed) == orders

    holding = administrator(running.server, "inventory")
    holding.cursor().execute("SELECT * FROM stock FOR UPDATE")

    looks = time.monotonic()

    def watch() -> None:
        nonlocal looks
        left(available(inventory))
        if holding.open and time.monotonic() > looks + 0.15:  # asked more often, InnoDB repeats what it said
            looks = time.monotonic()
            if inventory.value(WAITING) == len(stock.environments):
                holding.close()

    queues.deliver(watch)
    return queues


def place_one(api: Function, product_id: str, number: int) -> str:
    answer = ask(api, "POST", "/orders", order_of(product_id), sub=f"customer-{number}", key="the only one")
    assert answer.status == 202, answer
    return str(answer.json["order_id"])


def look(tx: Transaction, product_ids: list[UUID]) -> dict[UUID, domain.Stock]:
    """As `repository.lock`, without the lock."""
    return {product_id: repository.get(tx, product_id) for product_id in product_ids}


def read_then_write(tx: Transaction, event: OrderPlaced) -> None:
    """As `use_cases.reserve` would be in most shops."""
    [line] = event.lines
    stock = repository.get(tx, line.product_id)
    reason = domain.refusal([line], {line.product_id: stock})
    repository.add(tx, Reservation(event.order_id, Status.REJECTED if reason else Status.RESERVED, (line,)))
    if reason:
        tx.publish(StockRejected(event.order_id, reason))
    else:
        held = stock.reserved + line.quantity
        tx.execute("UPDATE stock SET reserved = %s WHERE product_id = %s", (held, line.product_id.bytes))
        tx.publish(StockReserved(event.order_id))


def statuses(schemas: Callable[[str], Database]) -> list[str]:
    return [row["status"] for row in schemas("orders").rows("SELECT status FROM orders")]


def holders(schemas: Callable[[str], Database]) -> set[bytes]:
    """The orders that hold stock, which must be those that are confirmed."""
    confirmed = schemas("orders").rows("SELECT order_id FROM orders WHERE status = 'confirmed'")
    reserved = schemas("inventory").rows("SELECT order_id FROM reservations WHERE status = 'reserved'")
    assert {row["order_id"] for row in confirmed} == {row["order_id"] for row in reserved}
    return {row["order_id"] for row in reserved}


def stock(inventory: Database) -> tuple[int, int]:
    """On hand, reserved."""
    [row] = inventory.rows("SELECT on_hand, reserved FROM stock")
    return row["on_hand"], row["reserved"]


def available(inventory: Database) -> int:
    on_hand, reserved = stock(inventory)
    return on_hand - reserved
