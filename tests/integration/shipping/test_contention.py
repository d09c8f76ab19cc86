"""Dispatch, cancellation and confirmation at the same time: one wins, and what others are told is what the row says."""

import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from common.connection import Raw
from common.database import Transaction
from common.values import uuid7
from shipping import repository
from shipping.domain import Shipment
from tests.integration.database import Database, administrator
from tests.integration.environments import Elsewhere, wait_for_locks
from tests.integration.fake_bus import FakeBus
from tests.integration.shipping.happening import (
    confirmed,
    dispatch,
    hand_over,
    happens,
    prepared,
    requested,
    row,
    shown,
    told,
)

ROUNDS = 100
DISPATCHED = "UPDATE shipments SET status = 'dispatched', tracking_number = 'KM0' WHERE order_id = %s"
CANCELLED = "UPDATE shipments SET status = 'cancelled' WHERE order_id = %s"
PREPARING = """
    INSERT INTO shipments (order_id, correlation_id, customer_id, status, order_lines, shipping_address)
    VALUES (%s, 'story', 'alice-sub', 'preparing', '[]', '{}')
"""
TOMBSTONE = """
    INSERT INTO shipments (order_id, correlation_id, customer_id, status)
    VALUES (%s, 'story', 'alice-sub', 'cancelled')
"""


@pytest.fixture
def other(database: Database) -> Iterator[Raw]:
    """A transaction that is open for as long as a test wants."""
    connection = administrator(database.server, database.schema)
    yield connection
    connection.close()


def at_once(orders: list[str], *works: Callable[[str], Any]) -> list[list[Any]]:
    """Each work in an environment of its own, all of them on the same order at the same time. What each returned."""
    together = multiprocessing.get_context("fork").Barrier(len(works))

    def through(work: Callable[[str], Any]) -> list[Any]:
        answers = []
        for order in orders:
            together.wait(60)
            answers.append(work(order))
        return answers

    return [environment.result(180) for environment in [Elsewhere(partial(through, work)) for work in works]]


def announced(database: Database) -> dict[str, list[str]]:
    """By order, what was committed to be announced, where no bus takes it."""
    rows = database.rows("SELECT detail_type, detail FROM outbox ORDER BY event_id")
    by_order: dict[str, list[str]] = {}
    for one in rows:
        by_order.setdefault(json.loads(one["detail"])["data"]["order_id"], []).append(one["detail_type"])
    return by_order


def test_of_dispatch_and_cancellation_exactly_one_wins_and_events_and_answer_say_which(
    database: Database, bus: FakeBus
) -> None:
    orders = [prepared() for _ in range(ROUNDS)]
    bus.fail(ConnectionError())
    answers, _ = at_once(orders, lambda order: dispatch(order).status, lambda order: happens(requested(order)))
    events = announced(database)
    story = {
        ("dispatched", 200): ["ShipmentDispatched", "ShipmentDispatched"],  # by staff, and in answer to the request
        ("cancelled", 409): ["ShipmentCancelled"],
    }
    for order, status in zip(orders, answers, strict=True):
        assert events[order] == story[row(database, order)["status"], status]


def test_of_many_dispatches_one_wins_and_all_tell_its_number(database: Database, bus: FakeBus) -> None:
    orders = [prepared() for _ in range(ROUNDS // 4)]
    bus.fail(ConnectionError())
    answers = at_once(orders, *[lambda order: dispatch(order).json["tracking_number"]] * 4)
    for order, *numbers in zip(orders, *answers, strict=True):
        assert set(numbers) == {shown(order)[1]}
    assert announced(database) == {order: ["ShipmentDispatched"] for order in orders}


def test_of_dispatch_delivery_and_cancellation_nothing_is_both_sent_and_cancelled(
    database: Database, bus: FakeBus
) -> None:
    orders = [prepared() for _ in range(ROUNDS // 2)]
    bus.fail(ConnectionError())
    at_once(
        orders,
        lambda order: dispatch(order).status,
        lambda order: hand_over(order).status,
        lambda order: happens(requested(order)),
    )
    events = announced(database)
    for order in orders:
        (status, number), told = shown(order), set(events[order])
        if status == "cancelled":
            assert (told, number) == ({"ShipmentCancelled"}, None)
        elif status == "dispatched":
            assert told == {"ShipmentDispatched"}
        else:
            assert (status, told) == ("delivered", {"ShipmentDispatched", "ShipmentDelivered"})


def test_a_confirmation_and_a_request_to_cancel_end_in_one_cancellation(database: Database, bus: FakeBus) -> None:
    orders = [str(uuid7()) for _ in range(ROUNDS)]
    bus.fail(ConnectionError())
    at_once(orders, lambda order: happens(confirmed(order)), lambda order: happens(requested(order)))
    assert announced(database) == {order: ["ShipmentCancelled"] for order in orders}
    assert Counter(shown(order) for order in orders) == {("cancelled", None): ROUNDS}


@pytest.mark.parametrize("stands", [True, False])
def test_a_request_waits_for_the_dispatch_that_is_under_way_and_answers_what_became_of_it(
    database: Database, bus: FakeBus, other: Raw, stands: bool
) -> None:
    order = prepared()
    other.cursor().execute(DISPATCHED, (UUID(order).bytes,))
    request = Elsewhere(lambda: (happens(requested(order)), told(bus, order))[1])
    wait_for_locks(database, request)
    other.commit() if stands else other.rollback()
    assert request.result() == (["ShipmentDispatched"] if stands else ["ShipmentCancelled"])
    assert shown(order) == (("dispatched", "KM0") if stands else ("cancelled", None))


@pytest.mark.parametrize("stands", [True, False])
def test_a_dispatch_waits_for_the_cancellation_that_is_under_way(database: Database, other: Raw, stands: bool) -> None:
    order = prepared()
    other.cursor().execute(CANCELLED, (UUID(order).bytes,))
    dispatching = Elsewhere(lambda: dispatch(order).status)
    wait_for_locks(database, dispatching)
    other.commit() if stands else other.rollback()
    assert dispatching.result() == (409 if stands else 200)
    assert shown(order)[0] == ("cancelled" if stands else "dispatched")


@pytest.mark.parametrize("stands", [True, False])
def test_a_request_waits_for_the_confirmation_that_is_under_way(
    database: Database, bus: FakeBus, other: Raw, stands: bool
) -> None:
    order = str(uuid7())
    other.cursor().execute(PREPARING, (UUID(order).bytes,))
    request = Elsewhere(lambda: (happens(requested(order)), told(bus, order))[1])
    wait_for_locks(database, request)
    other.commit() if stands else other.rollback()
    assert request.result() == ["ShipmentCancelled"]
    assert shown(order) == ("cancelled", None)
    assert (row(database, order)["order_lines"] is None) != stands


@pytest.mark.parametrize("stands", [True, False])
def test_a_confirmation_waits_for_the_tombstone_that_is_being_set(database: Database, other: Raw, stands: bool) -> None:
    order = str(uuid7())
    other.cursor().execute(TOMBSTONE, (UUID(order).bytes,))
    confirmation = Elsewhere(partial(happens, confirmed(order)))
    wait_for_locks(database, confirmation)
    other.commit() if stands else other.rollback()
    confirmation.result()
    assert shown(order)[0] == ("cancelled" if stands else "preparing")


def test_a_request_that_looked_just_before_the_confirmation_looks_again(
    bus: FakeBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, look = str(uuid7()), repository.get_for_event
    found: list[Shipment | None] = []

    def look_too_early(tx: Transaction, order_id: UUID) -> Shipment | None:
        found.append(look(tx, order_id))
        if len(found) == 1:
            Elsewhere(partial(happens, confirmed(order))).result()
        return found[-1]

    monkeypatch.setattr(repository, "get_for_event", look_too_early)
    happens(requested(order))
    assert found[0] is None
    assert found[1] is not None
    assert (shown(order), told(bus, order)) == (("cancelled", None), ["ShipmentCancelled"])
