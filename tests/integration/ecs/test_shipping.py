"""Orders has parcels prepared and stopped, again at any time; orders and inventory are told when one moves."""

import time
from itertools import permutations
from typing import Any

import pytest

from common.values import uuid7
from tests.integration.ecs.called import AT_ONCE, STORY, Called
from tests.integration.ecs.serving import Answer
from tests.integration.shipping.happening import ADDRESS, LINES


@pytest.fixture
def order() -> str:
    return str(uuid7())


def parcel(order: str) -> tuple[Any, ...]:
    return ("PUT", f"/shipments/{order}", {"customer_id": "alice", "lines": LINES, "shipping_address": ADDRESS})


def cancellation(order: str) -> tuple[Any, ...]:
    return ("POST", f"/shipments/{order}/cancel", {"customer_id": "alice"})


def status(called: Called, request: tuple[Any, ...]) -> str:
    answer = called.internal(*request)
    assert answer.status == 200, answer.text
    return str(answer.json["status"])


def move(called: Called, order: str, how: str) -> Answer:
    return called.staff("POST", f"/shipments/{order}/{how}")


def dispatched(called: Called, order: str) -> str:
    """A parcel on its way: its tracking number."""
    status(called, parcel(order))
    answer = move(called, order, "dispatch")
    assert answer.status == 200, answer.text
    return str(answer.json["tracking_number"])


def test_a_parcel_is_prepared_once_however_often_it_is_asked_for(called: Called, order: str) -> None:
    assert [status(called, parcel(order)) for _ in range(2)] == ["preparing", "preparing"]
    answers = called.at_once(*[parcel(str(uuid7()))] * AT_ONCE)
    assert [(answer.status, answer.json) for answer in answers] == [(200, {"status": "preparing"})] * AT_ONCE
    assert called.database.count("shipments") == 2


@pytest.mark.parametrize("arrivals", sorted(set(permutations(["prepare", "prepare", "cancel", "cancel"]))))
def test_an_order_that_is_over_is_not_sent_in_whatever_order_it_is_said(
    called: Called, order: str, arrivals: tuple[str, ...]
) -> None:
    over = False
    for arrival in arrivals:
        over = over or arrival == "cancel"
        asked = cancellation(order) if arrival == "cancel" else parcel(order)
        assert status(called, asked) == ("cancelled" if over else "preparing")
    assert move(called, order, "dispatch").status == 409


def test_an_order_that_is_prepared_and_over_at_the_same_time_is_not_sent(called: Called, order: str) -> None:
    answers = called.at_once(*[parcel(order), cancellation(order)] * (AT_ONCE // 2))
    assert {answer.status for answer in answers} == {200}
    assert {answer.json["status"] for answer in answers[1::2]} == {"cancelled"}
    assert move(called, order, "dispatch").status == 409


def test_who_cancels_too_late_is_told_so_by_the_answer_and_by_nothing_else(called: Called, order: str) -> None:
    dispatched(called, order)
    called.around.clear()
    assert [status(called, cancellation(order)), status(called, parcel(order))] == ["dispatched", "dispatched"]
    move(called, order, "deliver")
    called.around.clear()
    assert [status(called, cancellation(order)), status(called, parcel(order))] == ["delivered", "delivered"]
    assert (called.around.asked, called.journal(), called.database.count("outbox")) == ([], [], 0)


def test_orders_and_inventory_are_told_that_a_parcel_left_and_orders_that_it_arrived(
    called: Called, order: str
) -> None:
    number = dispatched(called, order)
    taken, sent = sorted(called.around.asked, key=lambda asked: asked.scope)
    assert (taken.scope, taken.path) == ("shop.internal/inventory", f"/internal/reservations/{order}/dispatch")
    assert (sent.scope, sent.path) == ("shop.internal/orders", f"/internal/orders/{order}/dispatched")
    assert (sent.body, sent.story) == ({"tracking_number": number}, STORY)
    called.around.clear()
    assert move(called, order, "deliver").status == 200
    assert called.around.paths() == [f"/internal/orders/{order}/delivered"]
    assert called.journal() == []


def test_a_parcel_that_is_dispatched_again_is_told_of_once(called: Called, order: str) -> None:
    number = dispatched(called, order)
    called.around.clear()
    assert move(called, order, "dispatch").json["tracking_number"] == number
    assert called.around.asked == []


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("away", ["inventory", "orders"])
@pytest.mark.parametrize("answer", [503, 500])
def test_who_is_away_keeps_nobody_else_from_being_told_and_is_told_later(
    called: Called, order: str, away: str, answer: int
) -> None:
    paths = {
        "inventory": f"/internal/reservations/{order}/dispatch",
        "orders": f"/internal/orders/{order}/dispatched",
    }
    called.around.answers[paths[away]] = (answer, {"status": answer})
    began = time.monotonic()
    dispatched(called, order)
    assert time.monotonic() - began < 15  # else it would be asked for 20
    [there] = paths.keys() - {away}
    assert paths[there] in called.around.paths()
    assert called.journal() == ["ShipmentDispatched"]
    called.around.clear()
    called.swept(until=lambda: called.journal() == [])
    assert paths[away] in called.around.paths()
