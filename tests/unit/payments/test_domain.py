"""What a payment shows, and what of it can be given back."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.domain import AnotherRefund, NotEnoughLeft, Payment, Refund, State, Status

ORDER = UUID(int=1)
FIRST, SECOND = UUID(int=11), UUID(int=12)
WORDS, OTHER_WORDS = b"{}", b'{"amount": 1}'


def payment(state: State, captured: int = 0, refunded: int = 0) -> Payment:
    return Payment(ORDER, "story", state, 1_000, "tok_visa", captured, refunded)


CAPTURED = payment(State.CAPTURED, 1_000)


@pytest.mark.parametrize(
    ("paid", "status"),
    [
        (payment(State.NOTED), Status.PENDING),
        (payment(State.ATTEMPTED), Status.PENDING),
        (payment(State.DECLINED), Status.DECLINED),
        (CAPTURED, Status.CAPTURED),
        (payment(State.CAPTURED, 1_000, 1), Status.PARTLY_REFUNDED),
        (payment(State.CAPTURED, 1_000, 999), Status.PARTLY_REFUNDED),
        (payment(State.CAPTURED, 1_000, 1_000), Status.REFUNDED),
    ],
)
def test_a_status_tells_how_much_went_which_way(paid: Payment, status: Status) -> None:
    assert paid.status is status


def test_a_refund_without_an_amount_is_of_all_that_is_left() -> None:
    before = [Refund(FIRST, ORDER, 300, WORDS, done=True)]
    assert CAPTURED.refund(before, SECOND, WORDS, None) == Refund(SECOND, ORDER, 700, WORDS)


def test_money_on_its_way_back_is_gone_already() -> None:
    before = [Refund(FIRST, ORDER, 300, WORDS, done=False)]
    with pytest.raises(NotEnoughLeft, match="700 is left"):
        CAPTURED.refund(before, SECOND, WORDS, 701)


@pytest.mark.parametrize("amount", [1, 999, 1_000])
def test_a_part_can_be_given_back(amount: int) -> None:
    assert CAPTURED.refund([], FIRST, WORDS, amount).amount == amount


@pytest.mark.parametrize("state", [State.NOTED, State.ATTEMPTED, State.DECLINED])
@pytest.mark.parametrize("amount", [None, 1])
def test_nothing_can_be_given_back_of_what_was_not_captured(state: State, amount: int | None) -> None:
    with pytest.raises(NotEnoughLeft):
        payment(state).refund([], FIRST, WORDS, amount)


def test_when_all_is_gone_not_even_the_rest_can_be_asked_for() -> None:
    with pytest.raises(NotEnoughLeft):
        CAPTURED.refund([Refund(FIRST, ORDER, 1_000, WORDS)], SECOND, WORDS, None)


@pytest.mark.parametrize("done", [False, True])
def test_a_refund_begun_before_is_found_again_whatever_is_left(done: bool) -> None:
    before = [Refund(FIRST, ORDER, 1_000, WORDS, done)]
    assert CAPTURED.refund(before, FIRST, WORDS, None) == before[0]


def test_a_refund_begun_in_other_words_is_not_ours() -> None:
    with pytest.raises(AnotherRefund):
        CAPTURED.refund([Refund(FIRST, ORDER, 1, OTHER_WORDS)], FIRST, WORDS, None)


def test_an_order_that_ended_gives_back_its_rest_once() -> None:
    begun = [Refund(FIRST, ORDER, 300, WORDS)]
    rest = CAPTURED.refund_rest(begun)
    assert rest is not None
    assert (rest.amount, rest.asked) == (700, None)
    assert rest == CAPTURED.refund_rest(begun)
    assert CAPTURED.refund_rest([*begun, rest]) is None


@given(st.lists(st.none() | st.integers(1, 1_200)))
def test_however_refunds_are_asked_for_never_more_than_was_captured_goes_back(asked: list[int | None]) -> None:
    refunds: list[Refund] = []
    for number, amount in enumerate(asked):
        left = CAPTURED.left(refunds)
        try:
            refunds.append(CAPTURED.refund(refunds, UUID(int=number), WORDS, amount))
        except NotEnoughLeft:
            assert left == 0 or (amount or 0) > left
    if rest := CAPTURED.refund_rest(refunds):
        refunds.append(rest)
    assert sum(refund.amount for refund in refunds) == 1_000
