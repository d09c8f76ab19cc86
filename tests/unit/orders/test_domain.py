"""What an order is and how it moves."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.domain import (
    Address,
    DuplicateProduct,
    Order,
    Product,
    Requested,
    Status,
    TooLateToCancel,
    UnknownProduct,
    place,
    steps,
)

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
MUG, POT, CUP = (UUID(int=n) for n in (1, 2, 3))
PRODUCTS = {MUG: Product("Mug", 800), POT: Product("Pot", 3_000)}
ADDRESS = Address("Alice", "1-2-3 Chiyoda", "Tokyo", "100-0001", "JP")
REPORTS = tuple(Status)[1:]
WAYS_TO = {
    Status.PLACED: ["placed"],
    Status.RESERVED: ["placed reserved"],
    Status.CONFIRMED: ["placed reserved confirmed"],
    Status.REJECTED: ["placed rejected", "placed reserved rejected"],
    Status.EXPIRED: ["placed expired", "placed reserved expired"],
    Status.CANCELLING: ["placed reserved confirmed cancelling"],
    Status.CANCELLED: [
        "placed cancelled",
        "placed reserved cancelled",
        "placed reserved confirmed cancelling cancelled",
    ],
    Status.SHIPPED: ["placed reserved confirmed shipped", "placed reserved confirmed cancelling shipped"],
    Status.DELIVERED: [
        "placed reserved confirmed shipped delivered",
        "placed reserved confirmed cancelling shipped delivered",
    ],
}


def placed() -> Order:
    return place(UUID(int=9), "alice", [Requested(MUG, 2), Requested(POT, 1)], PRODUCTS, ADDRESS, "story", NOW)


def test_an_order_is_placed_at_the_prices_of_now() -> None:
    order = placed()
    assert [(line.name, line.quantity, line.unit_price, line.amount) for line in order.lines] == [
        ("Mug", 2, 800, 1_600),
        ("Pot", 1, 3_000, 3_000),
    ]
    assert (order.total, order.status, order.created_at, order.updated_at) == (4_600, Status.PLACED, NOW, NOW)


def test_lines_stay_in_the_order_in_which_they_were_asked_for() -> None:
    order = place(UUID(int=9), "alice", [Requested(POT, 1), Requested(MUG, 1)], PRODUCTS, ADDRESS, "story", NOW)
    assert [line.product_id for line in order.lines] == [POT, MUG]


def test_what_is_not_sold_is_told_by_its_position() -> None:
    with pytest.raises(UnknownProduct) as raised:
        place(UUID(int=9), "alice", [Requested(MUG, 2), Requested(CUP, 1)], PRODUCTS, ADDRESS, "story", NOW)
    assert raised.value.field == "lines[1].product_id"


def test_a_product_may_stand_in_one_line_only() -> None:
    with pytest.raises(DuplicateProduct) as raised:
        place(
            UUID(int=9),
            "alice",
            [Requested(MUG, 2), Requested(POT, 1), Requested(MUG, 1)],
            PRODUCTS,
            ADDRESS,
            "story",
            NOW,
        )
    assert raised.value.field == "lines[2].product_id"


@pytest.mark.parametrize(
    ("current", "reported", "recorded"),
    [
        ("placed", "reserved", ["reserved"]),
        ("placed", "confirmed", ["reserved", "confirmed"]),
        ("placed", "rejected", ["rejected"]),
        ("reserved", "reserved", []),
        ("reserved", "confirmed", ["confirmed"]),
        ("reserved", "rejected", ["rejected"]),
        ("confirmed", "reserved", []),
        ("confirmed", "confirmed", []),
        ("confirmed", "rejected", []),
        ("rejected", "reserved", []),
        ("rejected", "confirmed", []),
        ("rejected", "rejected", []),
        ("placed", "expired", ["expired"]),
        ("reserved", "expired", ["expired"]),
        ("confirmed", "expired", []),
        ("expired", "confirmed", []),
        ("cancelled", "confirmed", []),
        ("cancelled", "expired", []),
        ("confirmed", "shipped", ["shipped"]),
        ("confirmed", "delivered", ["shipped", "delivered"]),
        ("confirmed", "cancelled", []),
        ("cancelling", "cancelled", ["cancelled"]),
        ("cancelling", "confirmed", []),
        ("cancelling", "rejected", []),
        ("cancelling", "expired", []),
        ("cancelling", "shipped", ["shipped"]),
        ("cancelling", "delivered", ["shipped", "delivered"]),
        ("shipped", "cancelled", []),
        ("shipped", "cancelling", []),
        ("delivered", "shipped", []),
    ],
)
def test_a_report_records_what_was_left_out_and_nothing_when_it_is_late(
    current: str, reported: str, recorded: list[str]
) -> None:
    assert [step.status for step in steps(Status(current), Status(reported), NOW)] == recorded


def test_captured_before_reserved_records_both_at_one_moment() -> None:
    later = NOW + timedelta(seconds=2)
    order = placed().advance(Status.CONFIRMED, later)
    assert [(step.status, step.at) for step in order.timeline] == [
        (Status.PLACED, NOW),
        (Status.RESERVED, later),
        (Status.CONFIRMED, later),
    ]
    assert order.updated_at == later
    assert order.advance(Status.RESERVED, later + timedelta(seconds=1)) == order


def test_no_step_is_earlier_than_the_one_before_whatever_clock_it_comes_from() -> None:
    later = NOW + timedelta(seconds=5)
    reserved = placed().advance(Status.RESERVED, later)
    expired, cancelled = reserved.advance(Status.EXPIRED, NOW), reserved.cancel(NOW)
    assert [step.at for step in expired.timeline] == [step.at for step in cancelled.timeline] == [NOW, later, later]


def test_a_reason_is_kept_with_its_step() -> None:
    order = placed().advance(Status.REJECTED, NOW, "out of stock")
    assert order.timeline[-1].reason == "out of stock"


@given(st.lists(st.sampled_from(REPORTS), max_size=12))
def test_a_timeline_never_repeats_goes_back_or_goes_on_after_an_end(reports: list[Status]) -> None:
    order = placed()
    for number, report in enumerate(reports):
        order = order.advance(report, NOW + timedelta(seconds=number))
    statuses = [step.status for step in order.timeline]
    assert len(set(statuses)) == len(statuses)
    assert " ".join(statuses) in WAYS_TO[order.status]
    times = [step.at for step in order.timeline]
    assert times == sorted(times)


def test_reports_of_a_paid_order_end_alike_in_any_order() -> None:
    for reports in permutations([Status.RESERVED, Status.CONFIRMED]):
        order = placed()
        for report in reports:
            order = order.advance(report, NOW)
        assert [step.status for step in order.timeline] == ["placed", "reserved", "confirmed"]


@pytest.mark.parametrize(
    ("status", "then"),
    [
        ("placed", "cancelled"),
        ("reserved", "cancelled"),
        ("confirmed", "cancelling"),
        ("cancelling", "cancelling"),
        ("cancelled", "cancelled"),
    ],
)
def test_an_order_is_cancelled_at_once_until_it_is_confirmed_and_then_shipping_is_asked(status: str, then: str) -> None:
    order = _in(Status(status))
    assert order.cancel(NOW).status == then
    assert order.cancel(NOW).cancel(NOW) == order.cancel(NOW)


@pytest.mark.parametrize("status", ["shipped", "delivered", "rejected", "expired"])
def test_what_is_on_its_way_or_over_cannot_be_cancelled(status: str) -> None:
    with pytest.raises(TooLateToCancel):
        _in(Status(status)).cancel(NOW)


def _in(status: Status) -> Order:
    order = placed()
    for step in WAYS_TO[status][0].split()[1:]:
        order = order.advance(Status(step), NOW)
    assert order.status == status
    return order
