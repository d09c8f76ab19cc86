"""What may be taken of a stock, and what is said when it may not."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain import LONGEST_REASON, BelowReserved, Line, Stock, by_product, refusal

MUG, TRAY, LAMP = UUID(int=1), UUID(int=2), UUID(int=3)


def stocked(*stocks: Stock) -> dict[UUID, Stock]:
    return {stock.product_id: stock for stock in stocks}


def test_what_orders_hold_is_not_available() -> None:
    assert Stock(MUG, on_hand=10, reserved=4).available == 6


@pytest.mark.parametrize("on_hand", [4, 5, 1_000])
def test_a_count_may_come_down_to_what_orders_hold(on_hand: int) -> None:
    assert Stock(MUG, on_hand=10, reserved=4).count(on_hand) == Stock(MUG, on_hand, reserved=4)


def test_a_count_below_what_orders_hold_cannot_be() -> None:
    with pytest.raises(BelowReserved, match="3 is less than the 4"):
        Stock(MUG, on_hand=10, reserved=4).count(3)


def test_the_last_unit_can_be_had() -> None:
    assert refusal([Line(MUG, 6)], stocked(Stock(MUG, 10, 4))) is None


def test_one_unit_too_many_is_refused_with_what_there_is() -> None:
    assert refusal([Line(MUG, 7)], stocked(Stock(MUG, 10, 4))) == f"out of stock: {MUG} (asked 7, available 6)"


def test_a_product_that_is_not_known_is_out_of_stock() -> None:
    assert refusal([Line(MUG, 1)], {}) == f"out of stock: {MUG} (asked 1, available 0)"


def test_only_what_is_short_is_named() -> None:
    stock = stocked(Stock(MUG, 1), Stock(TRAY, 1), Stock(LAMP, 1))
    assert refusal([Line(MUG, 2), Line(TRAY, 1), Line(LAMP, 3)], stock) == (
        f"out of stock: {MUG} (asked 2, available 1), {LAMP} (asked 3, available 1)"
    )


def test_a_long_list_of_what_is_short_ends_with_how_many_more() -> None:
    reason = refusal([Line(UUID(int=number), 999) for number in range(20)], {})
    assert reason is not None
    assert reason.endswith(" and 18 more")
    assert len(reason) <= LONGEST_REASON


def test_lines_of_one_product_are_one_wish() -> None:
    assert by_product([Line(MUG, 1), Line(TRAY, 2), Line(MUG, 3)]) == (Line(MUG, 4), Line(TRAY, 2))


lines = st.lists(
    st.builds(Line, st.uuids(), st.integers(1, 999)), min_size=1, max_size=20, unique_by=lambda line: line.product_id
)


@given(lines, st.data())
def test_lines_are_refused_exactly_when_one_of_them_cannot_be_had(wanted: list[Line], data: st.DataObject) -> None:
    stock = {
        line.product_id: Stock(line.product_id, reserved + data.draw(st.integers(0, 999)), reserved)
        for line in wanted
        for reserved in [data.draw(st.integers(0, 999))]
    }
    reason = refusal(wanted, stock)
    assert (reason is None) == all(line.quantity <= stock[line.product_id].available for line in wanted)
    assert len(reason or "") <= LONGEST_REASON
