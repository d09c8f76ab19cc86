"""From where a shipment can go where."""

from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipping.domain import Shipment, Status, WrongState
from shipping.models import ShipmentCancelled, ShipmentDelivered, ShipmentDispatched, announcement

ORDER = UUID(int=1)
PREPARING = Shipment(ORDER, "story", Status.PREPARING)
DISPATCHED = Shipment(ORDER, "story", Status.DISPATCHED, "KM1")
DELIVERED = Shipment(ORDER, "story", Status.DELIVERED, "KM1")
CANCELLED = Shipment(ORDER, "story", Status.CANCELLED)


def test_what_is_prepared_can_be_dispatched_under_a_number_and_then_be_delivered_under_the_same() -> None:
    assert PREPARING.dispatch("KM1") == DISPATCHED
    assert DISPATCHED.deliver() == DELIVERED


def test_what_is_done_again_changes_nothing() -> None:
    assert DISPATCHED.dispatch("KM2") == DISPATCHED
    assert DELIVERED.deliver() == DELIVERED
    assert CANCELLED.cancel() == CANCELLED


@pytest.mark.parametrize("shipment", [DELIVERED, CANCELLED])
def test_what_is_over_is_not_dispatched(shipment: Shipment) -> None:
    with pytest.raises(WrongState, match=f"that is {shipment.status} cannot be dispatched"):
        shipment.dispatch("KM2")


@pytest.mark.parametrize("shipment", [PREPARING, CANCELLED])
def test_what_no_carrier_has_is_not_delivered(shipment: Shipment) -> None:
    with pytest.raises(WrongState, match=f"that is {shipment.status} cannot be delivered"):
        shipment.deliver()


def test_what_is_prepared_can_be_cancelled_and_what_is_on_its_way_stays_on_its_way() -> None:
    assert PREPARING.cancel() == CANCELLED
    assert (DISPATCHED.cancel(), DELIVERED.cancel()) == (DISPATCHED, DELIVERED)


def test_others_are_told_how_far_it_is() -> None:
    assert announcement(CANCELLED) == ShipmentCancelled(ORDER)
    assert announcement(DISPATCHED) == ShipmentDispatched(ORDER, "KM1")
    assert announcement(DELIVERED) == ShipmentDelivered(ORDER)


MOVES: list[Callable[[Shipment], Shipment]] = [
    lambda shipment: shipment.dispatch("KM1"),
    lambda shipment: shipment.deliver(),
    lambda shipment: shipment.cancel(),
]


@given(st.lists(st.sampled_from(MOVES)))
def test_whatever_is_tried_it_is_either_cancelled_or_sent_and_never_goes_back(
    moves: list[Callable[[Shipment], Shipment]],
) -> None:
    shipment, seen = PREPARING, [Status.PREPARING]
    for move in moves:
        try:
            shipment = move(shipment)
        except WrongState:
            continue
        if shipment.status != seen[-1]:
            seen.append(shipment.status)
    sent = [Status.PREPARING, Status.DISPATCHED, Status.DELIVERED]
    assert seen in ([Status.PREPARING, Status.CANCELLED], sent[: len(seen)])
    assert (shipment.tracking_number is None) == (shipment.status in (Status.PREPARING, Status.CANCELLED))
