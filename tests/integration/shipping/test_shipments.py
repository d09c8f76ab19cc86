"""What becomes of an order's shipment, by staff and by events in whatever order they come, and who gets to see it."""

import json
import re

import pytest

from common.values import uuid7
from tests.integration.database import Database
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import ALICE, BOB
from tests.integration.shipping.happening import (
    ADDRESS,
    LINES,
    confirmed,
    customer,
    dispatch,
    hand_over,
    happens,
    prepared,
    requested,
    row,
    shown,
    staff,
    told,
)

NOBODY = "01990000-0000-7000-8000-000000000000"
ROUTES = [("GET", ""), ("POST", "/dispatch"), ("POST", "/deliver")]


@pytest.fixture
def order() -> str:
    return str(uuid7())


# Staff


def test_a_confirmed_order_is_prepared_with_what_a_packer_needs(database: Database, bus: FakeBus, order: str) -> None:
    happens(confirmed(order))
    assert shown(order) == ("preparing", None)
    kept = row(database, order)
    assert (json.loads(kept["order_lines"]), json.loads(kept["shipping_address"])) == (LINES, ADDRESS)
    assert bus.types == []


def test_an_address_may_have_neither_a_second_line_nor_a_region(database: Database, order: str) -> None:
    short = {name: value for name, value in ADDRESS.items() if name not in ("line2", "region")}
    happens(confirmed(order, shipping_address=short))
    assert json.loads(row(database, order)["shipping_address"]) == ADDRESS | {"line2": None, "region": None}


def test_a_dispatch_makes_a_tracking_number_and_is_announced_once_however_often_it_is_asked_for(bus: FakeBus) -> None:
    order = prepared()
    first, second = dispatch(order), dispatch(order)
    assert (first.status, first.json["order_id"], first.json["status"]) == (200, order, "dispatched")
    assert re.fullmatch(r"KM[0-9A-F]{16}", first.json["tracking_number"])
    assert (second.status, second.json) == (200, first.json)
    assert shown(order) == ("dispatched", first.json["tracking_number"])
    data = {"order_id": order, "tracking_number": first.json["tracking_number"]}
    assert [detail["data"] for detail in bus.details()] == [data]
    assert bus.types == ["ShipmentDispatched"]


def test_no_two_parcels_have_the_same_number() -> None:
    assert len({dispatch(prepared()).json["tracking_number"] for _ in range(5)}) == 5


def test_a_delivery_keeps_the_number_and_is_announced_once_however_often_it_is_asked_for(bus: FakeBus) -> None:
    order = prepared()
    number = dispatch(order).json["tracking_number"]
    for answer in (hand_over(order), hand_over(order)):
        expected = {"order_id": order, "status": "delivered", "tracking_number": number}
        assert (answer.status, answer.json) == (200, expected)
    assert told(bus, order) == ["ShipmentDispatched", "ShipmentDelivered"]
    assert bus.details("ShipmentDelivered")[0]["data"] == {"order_id": order}


def test_what_is_not_on_its_way_cannot_be_delivered_and_what_has_arrived_not_be_dispatched(bus: FakeBus) -> None:
    order = prepared()
    early = hand_over(order)
    assert (early.status, early.json["detail"]) == (409, "a shipment that is preparing cannot be delivered")
    assert (shown(order), bus.types) == (("preparing", None), [])
    dispatch(order)
    hand_over(order)
    late = dispatch(order)
    assert (late.status, late.json["detail"]) == (409, "a shipment that is delivered cannot be dispatched")
    assert told(bus, order) == ["ShipmentDispatched", "ShipmentDelivered"]


def test_what_was_cancelled_can_be_neither_dispatched_nor_delivered(bus: FakeBus) -> None:
    order = prepared()
    happens(requested(order))
    assert (dispatch(order).status, hand_over(order).status) == (409, 409)
    assert (shown(order), told(bus, order)) == (("cancelled", None), ["ShipmentCancelled"])


# Cancellation, in every state and order of arrival


def test_a_cancellation_before_the_dispatch_ends_the_shipment(database: Database, bus: FakeBus) -> None:
    order = prepared()
    happens(requested(order))
    assert shown(order) == ("cancelled", None)
    assert [detail["data"] for detail in bus.details("ShipmentCancelled")] == [{"order_id": order}]
    assert database.counts()["shipments"] == 1


def test_a_cancellation_that_comes_before_the_confirmation_is_remembered_and_the_late_one_does_nothing(
    database: Database, bus: FakeBus, order: str
) -> None:
    happens(requested(order))
    assert (shown(order), told(bus, order)) == (("cancelled", None), ["ShipmentCancelled"])
    tombstone = row(database, order)
    happens(confirmed(order))
    assert row(database, order) == tombstone
    assert told(bus, order) == ["ShipmentCancelled"]
    assert dispatch(order).status == 409
    assert customer("GET", f"/shipments/{order}", sub=ALICE).json["status"] == "cancelled"
    assert customer("GET", f"/shipments/{order}", sub=BOB).status == 404


@pytest.mark.parametrize(
    ("before", "answer"),
    [
        ([dispatch], "ShipmentDispatched"),
        ([dispatch, hand_over], "ShipmentDelivered"),
        ([lambda order: happens(requested(order))], "ShipmentCancelled"),
    ],
    ids=["dispatched", "delivered", "cancelled"],
)
def test_a_request_that_comes_late_or_again_changes_nothing_and_is_answered_each_time(
    database: Database, bus: FakeBus, before: list[object], answer: str
) -> None:
    order = prepared()
    for step in before:
        step(order)  # type: ignore[operator]
    known, announced = row(database, order), bus.details(answer)[0]["data"]
    bus.accepted.clear()
    happens(requested(order), requested(order))
    assert row(database, order) == known
    assert bus.types == [answer, answer]
    assert [detail["data"] for detail in bus.details()] == [announced, announced]


def test_a_tombstone_answers_again_too(bus: FakeBus, order: str) -> None:
    happens(requested(order), requested(order))
    assert told(bus, order) == ["ShipmentCancelled", "ShipmentCancelled"]


def test_an_event_delivered_twice_has_one_effect(database: Database, bus: FakeBus, order: str) -> None:
    confirmation, request = confirmed(order), requested(order)
    happens(confirmation, confirmation, request, request, confirmation)
    assert (shown(order), told(bus, order)) == (("cancelled", None), ["ShipmentCancelled"])
    assert (database.count("shipments"), database.count("inbox")) == (1, 2)


def test_a_second_confirmation_changes_nothing(database: Database, bus: FakeBus) -> None:
    order = prepared()
    dispatch(order)
    known = row(database, order)
    happens(confirmed(order, customer_id=BOB, lines=[]))
    assert row(database, order) == known
    assert bus.types == ["ShipmentDispatched"]


def test_an_answer_belongs_to_the_story_that_asked(bus: FakeBus, order: str) -> None:
    request = requested(order)
    happens(request)
    [detail] = bus.details()
    assert (detail["correlation_id"], detail["causation_id"]) == ("the-first-request", request["detail"]["id"])


def test_what_staff_do_is_a_part_of_the_orders_story(bus: FakeBus) -> None:
    order = prepared()
    dispatch(order)
    hand_over(order)
    stories = [(detail["correlation_id"], detail["causation_id"]) for detail in bus.details()]
    assert stories == [("the-first-request", None)] * 2


# Who may see and do what


def test_a_shipment_is_seen_by_its_owner_and_staff_and_nobody_else(order: str) -> None:
    assert staff("GET", f"/shipments/{order}").status == 404
    assert customer("GET", f"/shipments/{order}").status == 404
    happens(confirmed(order))
    expected = {"order_id": order, "status": "preparing", "tracking_number": None}
    for answer in (customer("GET", f"/shipments/{order}", sub=ALICE), staff("GET", f"/shipments/{order}")):
        assert (answer.status, answer.json) == (200, expected)
    theirs, nobodys = (customer("GET", f"/shipments/{one}", sub=BOB) for one in (order, NOBODY))
    assert (theirs.status, nobodys.status) == (404, 404)
    assert theirs.json["detail"].replace(order, NOBODY) == nobodys.json["detail"]
    for reader in ("NULL", "' OR '1'='1", "", None):
        assert customer("GET", f"/shipments/{order}", sub=reader).status in (401, 404)


@pytest.mark.parametrize(
    "other", ["ALICE-SUB", "alice-súb", "alice-sub ", " alice-sub", "alice-ｓub", "alice-sub😀", "a"]
)
def test_nobody_is_the_owner_by_case_accent_or_blanks(order: str, other: str) -> None:
    happens(confirmed(order, customer_id="alice-sub"))
    assert customer("GET", f"/shipments/{order}", sub="alice-sub").status == 200
    assert customer("GET", f"/shipments/{order}", sub=other).status == 404


@pytest.mark.parametrize("what", ["dispatch", "deliver"])
@pytest.mark.parametrize("groups", [None, "customers", "staff-to-be", "[staffs]"])
def test_customers_dispatch_and_deliver_nothing_not_even_what_is_not_there(
    bus: FakeBus, what: str, groups: str | None
) -> None:
    order = prepared()
    for one in (order, NOBODY, "1"):
        for sub in (ALICE, BOB):
            assert customer("POST", f"/shipments/{one}/{what}", sub=sub, groups=groups).status == 403
        assert customer("POST", f"/shipments/{one}/{what}", sub=None).status == 401
    assert (shown(order), bus.types) == (("preparing", None), [])


@pytest.mark.parametrize(("method", "what"), ROUTES)
def test_what_is_not_there_is_404(method: str, what: str) -> None:
    for order in (NOBODY, "1", "null", NOBODY[:-1], f"{NOBODY}0", "' OR 1=1 --"):
        assert staff(method, f"/shipments/{order}{what}").status == 404


def test_the_service_says_that_it_is_well() -> None:
    assert customer("GET", "/health/shipping", sub=None).status == 200


@pytest.mark.parametrize(
    "change",
    [
        "status = 'lost'",
        "status = 'dispatched'",
        "tracking_number = 'KM1'",
        "order_lines = NULL",
        "shipping_address = NULL",
        "status = 'cancelled', tracking_number = 'KM1'",
    ],
)
def test_the_database_itself_refuses_what_must_never_be(database: Database, change: str) -> None:
    prepared()
    with pytest.raises(Exception, match="shipments_"):
        database.execute(f"UPDATE shipments SET {change}")
