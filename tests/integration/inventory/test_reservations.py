"""What orders hold: all of it or nothing, given back once, in whatever order the events come."""

import pytest

from common.values import uuid7
from inventory import consumer
from tests.integration.database import Database
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import deliver, event
from tests.integration.inventory.happening import happens, over, placed, status, stock, stocked

ENDS = ("OrderRejected", "OrderCancelled", "OrderExpired")


def test_all_lines_are_held(database: Database, bus: FakeBus) -> None:
    mug, tray = stocked(10), stocked(5)
    order = placed({mug: 10, tray: 2})
    assert (stock(mug), stock(tray)) == ((10, 10, 0), (5, 2, 3))
    assert status(database, order) == "reserved"
    assert [(detail["data"], detail["correlation_id"]) for detail in bus.details("StockReserved")] == [
        ({"order_id": order}, "the-first-request")
    ]


def test_none_are_when_one_is_short_and_the_reason_says_which(database: Database, bus: FakeBus) -> None:
    mug, lamp, unknown = stocked(10), stocked(1), str(uuid7())
    order = placed({mug: 10, lamp: 3, unknown: 1})
    assert (stock(mug), stock(lamp)) == ((10, 0, 10), (1, 0, 1))
    assert status(database, order) == "rejected"
    reason = f"out of stock: {lamp} (asked 3, available 1), {unknown} (asked 1, available 0)"
    assert [detail["data"] for detail in bus.details()] == [{"order_id": order, "reason": reason}]
    assert bus.types == ["StockRejected"]


def test_what_one_order_holds_another_cannot_have(bus: FakeBus) -> None:
    mug = stocked(10)
    placed({mug: 7})
    placed({mug: 4})
    placed({mug: 3})
    assert bus.types == ["StockReserved", "StockRejected", "StockReserved"]
    assert stock(mug) == (10, 10, 0)


def test_an_order_is_decided_once_whoever_says_again_that_it_was_placed(bus: FakeBus) -> None:
    mug, lamp = stocked(10), stocked(0)
    order, refused = placed({mug: 3}), placed({lamp: 1})
    again = event("OrderPlaced", {"order_id": order, "lines": [{"product_id": mug, "quantity": 3}]})
    assert deliver(consumer.handler, again, again) == []
    placed({mug: 1}, refused)
    assert stock(mug) == (10, 3, 7)
    assert bus.types == ["StockReserved", "StockRejected"]


@pytest.mark.parametrize("end", ENDS)
def test_an_order_that_is_over_gives_back_what_it_held(database: Database, end: str) -> None:
    mug, tray = stocked(10), stocked(5)
    placed({tray: 1})
    order = placed({mug: 3, tray: 2})
    over(order, end)
    assert (stock(mug), stock(tray)) == ((10, 0, 10), (5, 1, 4))
    assert status(database, order) == "released"


def test_an_order_gives_back_once_however_often_it_is_over(database: Database) -> None:
    mug = stocked(10)
    placed({mug: 5})
    order = placed({mug: 3})
    for end in ENDS:
        over(order, end)
    again = event("OrderCancelled", {"order_id": order})
    assert deliver(consumer.handler, again, again) == []
    assert stock(mug) == (10, 5, 5)


@pytest.mark.parametrize("end", ENDS)
def test_an_order_that_was_over_before_it_was_placed_gets_nothing(database: Database, bus: FakeBus, end: str) -> None:
    mug = stocked(10)
    order = str(uuid7())
    over(order, end)
    assert status(database, order) == "released"
    placed({mug: 3}, order)
    over(order)
    assert stock(mug) == (10, 0, 10)
    assert status(database, order) == "released"
    assert bus.types == []


def test_an_order_that_could_not_have_anything_has_nothing_to_give_back(database: Database) -> None:
    mug = stocked(10)
    placed({mug: 9})
    order = placed({mug: 2})
    over(order, "OrderRejected")
    assert stock(mug) == (10, 9, 1)
    assert status(database, order) == "rejected"


def test_a_product_in_two_lines_is_held_with_the_units_of_both() -> None:
    mug, order = stocked(10), str(uuid7())
    lines = [{"product_id": mug, "quantity": 3}, {"product_id": mug, "quantity": 4}]
    assert deliver(consumer.handler, event("OrderPlaced", {"order_id": order, "lines": lines})) == []
    assert stock(mug) == (10, 7, 3)
    over(order)
    assert stock(mug) == (10, 0, 10)


def test_what_is_dispatched_is_out_of_stock_once(database: Database) -> None:
    mug, tray = stocked(10), stocked(5)
    placed({tray: 1})
    order = placed({mug: 3, tray: 2})
    for _ in range(2):
        happens("ShipmentDispatched", order_id=order)
    assert (stock(mug), stock(tray)) == ((7, 0, 7), (3, 1, 2))
    assert status(database, order) == "dispatched"
    over(order)
    assert stock(mug) == (7, 0, 7)


@pytest.mark.parametrize("before", ["nothing", "rejected", "released"])
def test_a_parcel_of_an_order_that_holds_nothing_is_somebodys_mistake_and_given_back(before: str) -> None:
    mug = stocked(10)
    order = str(uuid7())
    if before != "nothing":
        placed({mug: 3 if before == "released" else 11}, order)
    if before == "released":
        over(order)
    assert deliver(consumer.handler, event("ShipmentDispatched", {"order_id": order})) == ["m0"]
    assert stock(mug) == (10, 0, 10)
