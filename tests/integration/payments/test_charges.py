"""An order is charged once, when it is placed and its stock is held, whatever comes first, twice or in between."""

import time
from functools import partial
from uuid import UUID

import pytest

from common import connection
from common.connection import at_most
from common.database import transaction
from common.values import uuid7
from payments import consumer, use_cases
from payments.provider import Charge
from payments.sandbox import Sandbox
from tests.integration.database import Database
from tests.integration.environments import Elsewhere
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import ALICE, BOB
from tests.integration.payments.happening import (
    CAPTURES,
    ENDINGS,
    TOTAL,
    captured,
    crashing,
    customer,
    ended,
    fails,
    happens,
    ledger,
    placed,
    reserved,
    shown,
    staff,
    yen,
)


@pytest.fixture
def order() -> str:
    return str(uuid7())


@pytest.mark.parametrize("stock_first", [False, True])
def test_an_order_is_charged_once_whichever_event_comes_first(
    database: Database, bus: FakeBus, order: str, stock_first: bool
) -> None:
    events = [reserved(order), placed(order)] if stock_first else [placed(order), reserved(order)]
    happens(events[0])
    assert (ledger(database, order), bus.types) == ([], [])
    happens(events[1], *events)
    assert ledger(database, order) == [("captured", TOTAL)]
    assert [detail["data"] for detail in bus.details("PaymentCaptured")] == [{"order_id": order}]
    assert len(bus.accepted) == 1
    assert shown(order) == ("captured", TOTAL, 0)


@pytest.mark.parametrize(("card", "reason"), [("tok_declined", "card declined"), ("tok_stolen", "unknown card token")])
def test_a_card_that_is_declined_captures_nothing(
    database: Database, bus: FakeBus, order: str, card: str, reason: str
) -> None:
    happens(placed(order, card), reserved(order))
    assert [detail["data"] for detail in bus.details("PaymentDeclined")] == [{"order_id": order, "reason": reason}]
    assert ledger(database, order) == [("declined", TOTAL)]
    assert shown(order) == ("declined", 0, 0)
    happens(ended(order, "OrderRejected"))
    assert bus.types == ["PaymentDeclined"]
    assert ledger(database, order) == [("declined", TOTAL)]


def test_a_flaky_card_works_within_one_delivery(database: Database, bus: FakeBus, order: str) -> None:
    happens(placed(order, "tok_flaky"), reserved(order))
    assert bus.types == ["PaymentCaptured"]
    assert ledger(database, order) == [("captured", TOTAL)]
    assert database.value("SELECT asked FROM sandbox_ledger") == 3


def test_a_provider_that_is_away_is_asked_again_at_the_next_delivery(
    database: Database, bus: FakeBus, order: str
) -> None:
    stock = reserved(order)
    happens(placed(order))
    database.execute("RENAME TABLE sandbox_ledger TO sandbox_ledger_away")
    try:
        fails(stock)
    finally:
        database.execute("RENAME TABLE sandbox_ledger_away TO sandbox_ledger")
    assert (shown(order), bus.types) == (("pending", 0, 0), [])
    happens(stock)
    assert (shown(order), bus.types) == (("captured", TOTAL, 0), ["PaymentCaptured"])


def test_a_crash_after_the_provider_charged_leaves_one_charge_which_the_redelivery_captures(
    database: Database, bus: FakeBus, order: str
) -> None:
    stock = reserved(order)
    happens(placed(order))
    with crashing(database, "payments", CAPTURES):
        fails(stock, stock)
    assert (shown(order), bus.types) == (("pending", 0, 0), [])
    assert ledger(database, order) == [("captured", TOTAL)]
    happens(stock)
    assert (shown(order), bus.types) == (("captured", TOTAL, 0), ["PaymentCaptured"])
    assert ledger(database, order) == [("captured", TOTAL)]


class Slow(Sandbox):
    """Takes as long as whoever asks has time, and loses nothing."""

    def charge(self, key: UUID, amount: int, token: str) -> Charge:
        answer = super().charge(key, amount, token)
        connection._ends.set(time.monotonic())
        return answer

    def refund(self, key: UUID, charge_key: UUID, amount: int) -> None:
        super().refund(key, charge_key, amount)
        connection._ends.set(time.monotonic())


def test_what_a_slow_provider_says_is_on_record_though_nobody_waits_for_it_any_more(
    database: Database, order: str
) -> None:
    happens(placed(order))
    with transaction() as tx:
        payment = use_cases.note_stock(tx, UUID(order))
    with at_most(60):
        use_cases.charge(Slow(), payment)
    assert shown(order) == ("captured", TOTAL, 0)
    with transaction() as tx:
        payment = use_cases.note_end(tx, UUID(order))
    with at_most(60):
        use_cases.refund_ended(Slow(), payment)
    assert shown(order) == ("refunded", TOTAL, TOTAL)


def test_deliveries_at_the_same_time_charge_and_announce_once(database: Database, order: str) -> None:
    stock = reserved(order)
    work = [Elsewhere(partial(happens, one)) for one in [placed(order, "tok_flaky"), *[stock] * 5]]
    for one in work:
        one.result()
    assert ledger(database, order) == [("captured", TOTAL)]
    assert shown(order) == ("captured", TOTAL, 0)


@pytest.mark.parametrize("how", ENDINGS)
def test_an_order_that_ended_before_it_was_known_is_never_charged(
    database: Database, bus: FakeBus, order: str, how: str
) -> None:
    end = ended(order, how)
    happens(end)
    assert staff("GET", f"/payments/{order}").status == 404
    happens(placed(order), reserved(order), end)
    assert (ledger(database, order), bus.types) == ([], [])
    assert shown(order) == ("pending", 0, 0)


@pytest.mark.parametrize("stock_first", [False, True])
def test_an_order_that_ended_before_all_was_known_is_never_charged(
    database: Database, bus: FakeBus, order: str, stock_first: bool
) -> None:
    before, after = (reserved(order), placed(order)) if stock_first else (placed(order), reserved(order))
    end = ended(order)
    happens(before, end, after, end, before, after)
    assert (ledger(database, order), bus.types) == ([], [])


@pytest.mark.parametrize("how", ENDINGS)
def test_an_order_that_ended_after_its_capture_gets_all_back_once(database: Database, bus: FakeBus, how: str) -> None:
    order = captured()
    end = ended(order, how)
    happens(end, end, ended(order, how))
    assert [detail["data"] for detail in bus.details("PaymentRefunded")] == [{"order_id": order, "amount": yen(TOTAL)}]
    assert ledger(database, order) == [("captured", TOTAL), ("refunded", TOTAL)]
    assert shown(order) == ("refunded", TOTAL, TOTAL)


def test_an_end_that_finds_an_unresolved_attempt_resolves_it_and_refunds(
    database: Database, bus: FakeBus, order: str
) -> None:
    stock = reserved(order)
    happens(placed(order))
    with crashing(database, "payments", CAPTURES):
        fails(stock)
    end = ended(order)
    happens(end)
    assert shown(order) == ("refunded", TOTAL, TOTAL)
    happens(stock, end)
    assert bus.types == ["PaymentCaptured", "PaymentRefunded"]
    assert ledger(database, order) == [("captured", TOTAL), ("refunded", TOTAL)]
    assert shown(order) == ("refunded", TOTAL, TOTAL)


def test_an_end_that_comes_while_the_provider_is_asked_refunds_and_nothing_is_announced_twice(
    database: Database, bus: FakeBus, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(Sandbox):
        def charge(self, key: UUID, amount: int, token: str) -> Charge:
            answer = super().charge(key, amount, token)
            monkeypatch.setattr(consumer, "provider", Sandbox())
            happens(ended(order))
            return answer

    monkeypatch.setattr(consumer, "provider", Slow())
    happens(placed(order), reserved(order))
    assert sorted(bus.types) == ["PaymentCaptured", "PaymentRefunded"]
    assert ledger(database, order) == [("captured", TOTAL), ("refunded", TOTAL)]
    assert shown(order) == ("refunded", TOTAL, TOTAL)


def test_a_crash_after_the_provider_refunded_leaves_one_refund_which_the_redelivery_records(
    database: Database, bus: FakeBus
) -> None:
    order = captured()
    end = ended(order)
    with crashing(database, "refunds", "NEW.status = 'done'"):
        fails(end, end)
    assert shown(order) == ("captured", TOTAL, 0)
    happens(end, end)
    assert bus.types == ["PaymentCaptured", "PaymentRefunded"]
    assert ledger(database, order) == [("captured", TOTAL), ("refunded", TOTAL)]
    assert shown(order) == ("refunded", TOTAL, TOTAL)


def test_a_payment_is_seen_by_its_owner_and_staff_and_nobody_else(order: str) -> None:
    happens(reserved(order))
    assert staff("GET", f"/payments/{order}").status == 404
    happens(placed(order))
    expected = {"order_id": order, "status": "captured", "captured": yen(TOTAL), "refunded": yen(0)}
    for answer in (customer("GET", f"/payments/{order}", sub=ALICE), staff("GET", f"/payments/{order}")):
        assert (answer.status, answer.json) == (200, expected)
    for reader in (BOB, "", "NULL", "' OR '1'='1"):
        assert customer("GET", f"/payments/{order}", sub=reader).status in (404, 401)
    assert customer("GET", f"/payments/{order}", sub=BOB).status == 404
    assert customer("GET", f"/payments/{order}", sub=None).status == 401
    assert customer("GET", f"/payments/{uuid7()}").status == 404
    assert customer("GET", "/payments/1").status == 404


@pytest.mark.parametrize(
    "other", ["ALICE-SUB", "alice-súb", "alice-sub ", " alice-sub", "alice-ｓub", "alice-sub😀", "a"]
)
def test_nobody_is_the_owner_by_case_accent_or_blanks(order: str, other: str) -> None:
    happens(placed(order, customer_id="alice-sub"))
    assert customer("GET", f"/payments/{order}", sub="alice-sub").status == 200
    assert customer("GET", f"/payments/{order}", sub=other).status == 404


def test_the_provider_does_once_what_it_is_asked_twice(database: Database) -> None:
    provider, key = Sandbox(), uuid7()
    assert provider.charge(key, 100, "tok_visa") == provider.charge(key, 100, "tok_visa")
    for _ in range(2):
        provider.refund(UUID(int=7), key, 40)
    assert ledger(database, str(key)) == [("captured", 100), ("refunded", 40)]


@pytest.mark.parametrize(
    "change", ["refunded = captured + 1", "captured = captured - 1", "state = 'noted'", "amount = amount + 1"]
)
def test_the_database_itself_refuses_what_must_never_be(database: Database, change: str) -> None:
    captured()
    with pytest.raises(Exception, match="payments_"):
        database.execute(f"UPDATE payments SET {change}")
