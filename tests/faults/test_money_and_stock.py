"""Promises 2 to 4 after every step of stories that nobody would think of: see shop_machine.py for what can happen."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from common import consumer
from common.database import Transaction
from inventory import repository as inventory_repository
from localcloud import throwaway
from localcloud.mariadb import Server
from payments import repository as payments_repository
from shipping import repository as shipping_repository
from tests.faults.books import ENDED, STAND, Books
from tests.faults.figures import note
from tests.faults.rough_shop import RoughShop
from tests.faults.shop_machine import QuietShop, TroubledShop

Machine = Callable[[type[QuietShop]], Callable[[], QuietShop]]


@pytest.fixture(scope="session")
def impatient_server(template: Server) -> Iterator[Server]:
    """Where a single thread at work has nobody to wait for."""
    with throwaway.throw_away(template, "--innodb-lock-wait-timeout=1") as server:
        yield server


@pytest.fixture
def count() -> Counter[str]:
    return Counter()


@pytest.fixture
def machine(impatient_server: Server, monkeypatch: pytest.MonkeyPatch, count: Counter[str]) -> Iterator[Machine]:
    shop = RoughShop(impatient_server, monkeypatch, lambda what: count.update([what]))
    books = Books(impatient_server)
    yield lambda kind: partial(kind, shop, books, count)
    shop.end()
    books.close()


def stories(examples: int, steps: int, random: bool = False, shrunk: bool = True) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=not random,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink) if shrunk else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )


def test_whatever_happens_money_and_stock_are_right_and_every_order_is_settled(
    machine: Machine, count: Counter[str], long: bool
) -> None:
    run_state_machine_as_test(machine(TroubledShop), settings=stories(5_000 if long else 500, steps=20, random=long))
    settled = sum(count[status] for status in ENDED | STAND)
    told = ("steps", "deliveries", "duplicates", "crashes", "mishaps")
    note("money_and_stock", stories=count["examples"], orders_settled=settled, **{what: count[what] for what in told})
    assert all(count[status] for status in ENDED | STAND), f"no story leads there: {count}"


# Controls: with one mechanism less, each by itself, the same stories come to harm.


def inbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "first_time", lambda tx, event_id: True)


def tombstone_of_stock(monkeypatch: pytest.MonkeyPatch) -> None:
    add = inventory_repository.add
    monkeypatch.setattr(
        inventory_repository, "add", lambda tx, reservation: not reservation.lines or add(tx, reservation)
    )


def tombstone_of_shipment(monkeypatch: pytest.MonkeyPatch) -> None:
    add = shipping_repository.add
    monkeypatch.setattr(
        shipping_repository,
        "add",
        lambda tx, shipment, customer_id, parcel=None: parcel is None or add(tx, shipment, customer_id, parcel),
    )


def end_of_payment(monkeypatch: pytest.MonkeyPatch) -> None:
    def note_nothing(tx: Transaction, order_id: UUID) -> None:
        tx.execute("INSERT IGNORE INTO payments (order_id) VALUES (%s)", (order_id.bytes,))

    monkeypatch.setattr(payments_repository, "note_end", note_nothing)


def status_in(table: str) -> Callable[[pytest.MonkeyPatch], None]:
    def update_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
        execute = Transaction.execute

        def anyway(tx: Transaction, sql: str, parameters: Sequence[Any] = ()) -> int:
            if f"UPDATE {table}" in sql and "AND status = %s" in sql:
                return execute(tx, sql.replace("AND status = %s", ""), parameters[:-1])
            return execute(tx, sql, parameters)

        monkeypatch.setattr(Transaction, "execute", anyway)

    return update_anyway


def beginning(opening: str) -> type[QuietShop]:
    """So that what is looked for is found among few stories."""
    return type("Beginning", (QuietShop,), {"OPENINGS": [opening]})


@pytest.mark.parametrize(
    ("without", "opening", "harm"),
    [
        (inbox, "confirmed", "orders recorded"),
        (tombstone_of_stock, "placed", "and its stock reserved"),
        (tombstone_of_shipment, "confirmed", "is cancelled, and its shipment preparing"),
        (end_of_payment, "reserved", "captured, 0 refunded"),
        (status_in("orders"), "reserved", "goes back or repeats"),
        (status_in("shipments"), "being cancelled", "."),
    ],
    ids=[
        "inbox",
        "tombstone of stock",
        "tombstone of shipment",
        "end of payment",
        "order's status",
        "shipment's status",
    ],
)
def test_with_one_mechanism_less_the_same_stories_come_to_harm(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    count: Counter[str],
    without: Callable[[pytest.MonkeyPatch], None],
    opening: str,
    harm: str,
) -> None:
    without(monkeypatch)
    with pytest.raises(AssertionError, match=harm) as seen:
        run_state_machine_as_test(machine(beginning(opening)), settings=stories(1000, steps=12, shrunk=False))
    print(f"{count['examples']} stories: {seen.value}")
