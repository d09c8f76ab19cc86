"""Many at once: no unit is sold twice or lost, and nobody is stuck."""

from collections.abc import Iterator
from functools import partial
from uuid import UUID

import pytest

from common.connection import Raw
from common.database import Transaction
from common.values import uuid7
from inventory import consumer, repository
from inventory.domain import Reservation
from tests.integration.database import Database, administrator
from tests.integration.environments import Elsewhere, wait_for_locks
from tests.integration.gateway import deliver, event
from tests.integration.inventory.happening import over, placed, status, stock, stocked

TOMBSTONE = "INSERT INTO reservations (order_id, status, order_lines) VALUES (%s, 'released', '[]')"


@pytest.fixture
def other(database: Database) -> Iterator[Raw]:
    """A transaction that is open for as long as a test wants."""
    connection = administrator(database.server, database.schema)
    yield connection
    connection.close()


def test_orders_that_are_placed_and_over_at_the_same_time_lose_no_unit(database: Database) -> None:
    products = [stocked(1_000) for _ in range(4)]

    def story(turn: int) -> None:
        for number in range(8):
            order = str(UUID(int=1 + (turn % 3) + 10 * number))  # three environments tell of the same order
            wanted = products if turn % 2 else products[::-1]
            lines = [{"product_id": product_id, "quantity": 3} for product_id in wanted]
            events = [
                event("OrderPlaced", {"order_id": order, "lines": lines}),
                event("OrderExpired", {"order_id": order}),
                event("OrderCancelled", {"order_id": order}),
            ]
            shift = (turn + number) % 3
            assert deliver(consumer.handler, *events[shift:], *events[:shift]) == []

    for environment in [Elsewhere(partial(story, turn)) for turn in range(9)]:
        environment.result(180)
    assert database.value("SELECT COUNT(*) FROM reservations WHERE status <> 'released'") == 0
    assert [stock(product_id) for product_id in products] == [(1_000, 0, 1_000)] * 4


def test_an_order_that_is_being_ended_is_not_given_stock(database: Database, other: Raw) -> None:
    mug, order = stocked(10), str(uuid7())
    other.cursor().execute(TOMBSTONE, (UUID(order).bytes,))
    placing = Elsewhere(partial(placed, {mug: 3}, order))
    wait_for_locks(database, placing)
    other.commit()
    placing.result()
    assert stock(mug) == (10, 0, 10)


def test_an_order_whose_end_was_undone_is_given_stock(database: Database, other: Raw) -> None:
    mug, order = stocked(10), str(uuid7())
    other.cursor().execute(TOMBSTONE, (UUID(order).bytes,))
    placing = Elsewhere(partial(placed, {mug: 3}, order))
    wait_for_locks(database, placing)
    other.rollback()
    placing.result()
    assert stock(mug) == (10, 3, 7)


def test_an_order_that_ends_while_it_is_given_stock_gives_it_back(database: Database, other: Raw) -> None:
    mug, order = stocked(10), str(uuid7())
    with other.cursor() as cursor:
        cursor.execute("SELECT * FROM stock FOR UPDATE")
        cursor.execute(
            "INSERT INTO reservations (order_id, status, order_lines) VALUES (%s, 'reserved', %s)",
            (UUID(order).bytes, f'[{{"product_id": "{mug}", "quantity": 3}}]'),
        )
        ending = Elsewhere(partial(over, order))
        wait_for_locks(database, ending)
        cursor.execute("UPDATE stock SET reserved = reserved + 3")
    other.commit()
    ending.result()
    assert stock(mug) == (10, 0, 10)
    assert status(database, order) == "released"


def test_an_order_that_is_over_twice_at_the_same_time_gives_back_once(database: Database, other: Raw) -> None:
    mug = stocked(10)
    placed({mug: 5})
    order = placed({mug: 3})
    other.cursor().execute("SELECT * FROM stock FOR UPDATE")
    ends = [Elsewhere(partial(over, order, end)) for end in ("OrderCancelled", "OrderExpired")]
    wait_for_locks(database, *ends)
    other.rollback()
    for end in ends:
        end.result()
    assert stock(mug) == (10, 5, 5)


def test_an_order_that_is_decided_just_before_its_end_is_remembered_gives_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    mug, order = stocked(10), str(uuid7())
    look = repository.reservation
    found: list[Reservation | None] = []

    def look_too_early(tx: Transaction, order_id: UUID) -> Reservation | None:
        found.append(look(tx, order_id))
        if len(found) == 1:
            Elsewhere(partial(placed, {mug: 3}, order)).result()
        return found[-1]

    monkeypatch.setattr(repository, "reservation", look_too_early)
    over(order)
    assert found[0] is None
    assert found[1] is not None
    assert stock(mug) == (10, 0, 10)
    assert status(database, order) == "released"
