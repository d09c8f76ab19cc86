"""What was begun with the provider and left there is finished on the schedule: once, and not in its first minute."""

from collections.abc import Callable
from types import SimpleNamespace
from uuid import UUID

import pytest

from common.values import uuid7
from payments import consumer, use_cases
from payments.provider import Charge, ProviderUnavailable
from payments.sandbox import Sandbox
from tests.integration.database import Database
from tests.integration.environments import Elsewhere
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import on_schedule
from tests.integration.payments.happening import (
    CAPTURES,
    TOTAL,
    captured,
    crashing,
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

COMPLETES = "NEW.status = 'done'"


@pytest.fixture
def a_minute_passes(database: Database) -> Callable[[], None]:
    def pass_by() -> None:
        for table in ("payments", "refunds"):
            database.execute(f"UPDATE {table} SET due_at = due_at - INTERVAL 60 SECOND WHERE due_at IS NOT NULL")

    return pass_by


def sweep() -> None:
    on_schedule(consumer.handler)


def due(database: Database) -> int:
    count = "SELECT (SELECT COUNT(due_at) FROM payments) + (SELECT COUNT(due_at) FROM refunds)"
    return int(database.value(count))


def attempted(database: Database, card: str = "tok_visa") -> str:
    """An order whose charge was attempted by somebody who died, and whose message is lost."""
    order = str(uuid7())
    happens(placed(order, card))
    with crashing(database, "payments", "NEW.state <> OLD.state AND OLD.state = 'attempted'"):
        fails(reserved(order))
    return order


def refund(order: str, amount: int = TOTAL, key: str = "one") -> int:
    return staff("POST", f"/payments/{order}/refund", {"amount": yen(amount)}, key=key).status


@pytest.mark.parametrize(("table", "change"), [("refunds", COMPLETES), ("payments", "NEW.refunded > OLD.refunded")])
def test_a_refund_that_nobody_asks_for_again_is_finished_once(
    database: Database, bus: FakeBus, a_minute_passes: Callable[[], None], table: str, change: str
) -> None:
    order = captured()
    with crashing(database, table, change):
        assert refund(order) == 500
    sweep()
    assert (shown(order), due(database)) == (("captured", TOTAL, 0), 1), "it is fresh"
    a_minute_passes()
    sweep()
    sweep()
    assert (shown(order), due(database)) == (("refunded", TOTAL, TOTAL), 0)
    assert ledger(database, order) == [("captured", TOTAL), ("refunded", TOTAL)]
    assert [detail["data"] for detail in bus.details("PaymentRefunded")] == [{"order_id": order, "amount": yen(TOTAL)}]
    assert refund(order) == 200, "the one who asked is told so"
    assert ledger(database, order) == [("captured", TOTAL), ("refunded", TOTAL)]


@pytest.mark.parametrize(
    ("card", "outcome", "announced"),
    [
        ("tok_visa", ("captured", TOTAL, 0), "PaymentCaptured"),
        ("tok_declined", ("declined", 0, 0), "PaymentDeclined"),
    ],
)
def test_an_attempt_whose_message_is_lost_is_resolved_once(
    database: Database,
    bus: FakeBus,
    a_minute_passes: Callable[[], None],
    card: str,
    outcome: tuple[str, int, int],
    announced: str,
) -> None:
    order = attempted(database, card)
    sweep()
    assert (shown(order), bus.types) == (("pending", 0, 0), []), "it is fresh"
    a_minute_passes()
    sweep()
    a_minute_passes()
    sweep()
    assert (shown(order), bus.types, due(database)) == (outcome, [announced], 0)
    assert len(ledger(database, order)) == 1
    assert bus.details()[0]["correlation_id"] == "the-first-request"


@pytest.mark.parametrize("stock_first", [False, True])
def test_an_attempt_is_due_whichever_event_comes_first(
    database: Database, a_minute_passes: Callable[[], None], monkeypatch: pytest.MonkeyPatch, stock_first: bool
) -> None:
    class Away(Sandbox):
        def charge(self, key: UUID, amount: int, token: str) -> Charge:
            raise ProviderUnavailable

    order = str(uuid7())
    first, second = (reserved(order), placed(order)) if stock_first else (placed(order), reserved(order))
    with monkeypatch.context() as away:
        away.setattr(consumer, "provider", Away())
        happens(first)
        assert due(database) == 0
        fails(second)
        before = database.value("SELECT due_at FROM payments")
        fails(second)
        assert database.value("SELECT due_at FROM payments") == before, "a repeat puts nothing off"
    a_minute_passes()
    sweep()
    assert shown(order) == ("captured", TOTAL, 0)


@pytest.mark.parametrize("table", ["payments", "refunds"])
def test_an_end_whose_message_is_lost_gives_all_back_once(
    database: Database, bus: FakeBus, a_minute_passes: Callable[[], None], table: str
) -> None:
    """Whether it had found an attempt that it could not resolve, or a refund that it could not record."""
    if table == "payments":
        order = attempted(database)
        change = CAPTURES
    else:
        order = captured()
        change = COMPLETES
    with crashing(database, table, change):
        fails(ended(order))
    sweep()
    assert shown(order)[2] == 0, "it is fresh"
    a_minute_passes()
    sweep()
    a_minute_passes()
    sweep()
    assert (shown(order), due(database)) == (("refunded", TOTAL, TOTAL), 0)
    assert ledger(database, order) == [("captured", TOTAL), ("refunded", TOTAL)]
    assert bus.types == ["PaymentCaptured", "PaymentRefunded"]


@pytest.mark.parametrize("resolved", [False, True])
def test_an_end_that_began_no_refund_is_finished_too(
    database: Database, bus: FakeBus, a_minute_passes: Callable[[], None], resolved: bool
) -> None:
    order = captured() if resolved else attempted(database)
    database.execute(
        "CREATE TRIGGER crash BEFORE INSERT ON refunds FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'crash'"
    )
    try:
        fails(ended(order))
    finally:
        database.execute("DROP TRIGGER crash")
    a_minute_passes()
    sweep()
    assert (shown(order), due(database)) == (("refunded", TOTAL, TOTAL), 0)
    assert bus.types == ["PaymentCaptured", "PaymentRefunded"]


def test_what_went_well_is_never_due(database: Database) -> None:
    order, declined, early = captured(), str(uuid7()), str(uuid7())
    happens(placed(declined, "tok_declined"), reserved(declined), ended(declined), ended(early), placed(early))
    assert due(database) == 0
    assert refund(order, 1_000) == 200
    assert due(database) == 0
    happens(ended(order), ended(order))
    assert due(database) == 0


def test_one_that_fails_stops_no_other_and_is_tried_again_a_minute_later(
    database: Database, a_minute_passes: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good, asked = attempted(database), attempted(database), []
    refunded = captured()
    with crashing(database, "refunds", COMPLETES):
        assert refund(refunded) == 500

    class Partly(Sandbox):
        def charge(self, key: UUID, amount: int, token: str) -> Charge:
            asked.append(str(key))
            if str(key) == bad:
                raise ZeroDivisionError
            return super().charge(key, amount, token)

        def refund(self, key: UUID, charge_key: UUID, amount: int) -> None:
            raise ZeroDivisionError

    a_minute_passes()
    with monkeypatch.context() as partly:
        partly.setattr(consumer, "provider", Partly())
        sweep()
        assert (shown(bad)[0], shown(good)[0], shown(refunded)[0]) == ("pending", "captured", "captured")
        sweep()
        assert asked == [bad, good]
    a_minute_passes()
    sweep()
    assert (shown(bad)[0], shown(refunded)[0]) == ("captured", "refunded")


def test_a_run_takes_so_many_the_longest_due_first(
    database: Database, a_minute_passes: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_cases, "DUE_AT_ONCE", 2)
    orders = [attempted(database) for _ in range(3)]
    a_minute_passes()
    sweep()
    assert [shown(order)[0] for order in orders] == ["captured", "captured", "pending"]
    sweep()
    assert shown(orders[2])[0] == "captured"


def test_a_provider_that_is_slow_with_refunds_does_not_keep_charges_from_their_turn(
    database: Database, a_minute_passes: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    order, refunded = attempted(database), [captured(), captured()]
    with crashing(database, "refunds", COMPLETES):
        assert [refund(one) for one in refunded] == [500, 500]

    class Slow(Sandbox):
        def refund(self, key: UUID, charge_key: UUID, amount: int) -> None:
            now[0] += use_cases.DUE_FOR_SECONDS + 1
            super().refund(key, charge_key, amount)

    monkeypatch.setattr(consumer, "provider", Slow())
    monkeypatch.setattr(use_cases, "time", SimpleNamespace(monotonic=lambda: now[0]))
    a_minute_passes()
    sweep()
    assert [shown(one)[0] for one in (*refunded, order)] == ["refunded", "captured", "captured"]


def test_sweeps_at_the_same_time_ask_the_provider_once(database: Database, a_minute_passes: Callable[[], None]) -> None:
    order = attempted(database)
    before = database.value("SELECT asked FROM sandbox_ledger")
    a_minute_passes()
    for work in [Elsewhere(sweep) for _ in range(4)]:
        work.result()
    assert shown(order)[0] == "captured"
    assert database.value("SELECT asked FROM sandbox_ledger") == before + 1


def test_a_bus_that_is_away_stops_no_charge(
    database: Database, bus: FakeBus, a_minute_passes: Callable[[], None]
) -> None:
    order = attempted(database)
    bus.fail(ConnectionError())
    refunded = captured()
    database.execute("UPDATE outbox SET available_at = NOW(6)")
    a_minute_passes()
    with pytest.raises(ConnectionError):
        sweep()
    assert shown(order)[0] == shown(refunded)[0] == "captured"
    bus.recover()
    database.execute("UPDATE outbox SET available_at = NOW(6)")
    sweep()
    assert bus.types == ["PaymentCaptured"] * 2
