"""Alarms on what orders says of itself: its code has a fault, and the one alarm that is meant for it goes off; on an
ordinary day none does."""

from typing import Any

import pytest

from common import outbox
from orders import api, consumer, repository, use_cases
from tests.integration.database import Database
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import ask, deliver, event, on_schedule
from tests.integration.orders.shop import MUG, placed, report, sell
from tests.integration.orders.test_cancel_order import cancel
from tests.integration.watch import Watch


@pytest.fixture
def watch(
    database: Database, bus: FakeBus, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Watch:
    """After an ordinary while, of which the first sweep ends the alarm that there is none."""
    sell(MUG)
    watch = Watch("functions", "orders", database, capsys, monkeypatch)
    assert [watch.passes(sweep) for _ in range(3)][-1] == set()
    return watch


def sweep() -> None:
    on_schedule(consumer.handler)


def buy() -> None:
    report("PaymentCaptured", placed())


def test_on_an_ordinary_day_no_alarm_goes_off(watch: Watch, database: Database, bus: FakeBus) -> None:
    def one_failure() -> None:
        bus.fail(ConnectionError())
        placed()  # whose events the next sweep sends
        bus.recover()
        assert deliver(consumer.handler, event("StockReserved", {"order_id": "nonsense"})) == ["m0"]

    for minute in range(20):
        happening = [buy, placed, sweep] if minute != 9 else [buy, one_failure, sweep]
        assert watch.passes(*happening) == set(), minute
    assert database.value("SELECT COUNT(*) FROM orders WHERE status = 'expired'") > 0


def test_an_event_that_is_refused_for_good_is_told(watch: Watch, bus: FakeBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "HOPELESS_ATTEMPTS", 2)
    bus.refuse("MalformedDetail", lambda entry: entry["DetailType"] == "ContactGiven")
    placed()
    off = [watch.passes(sweep) for _ in range(4)]
    assert off == [set(), {"OutboxParked"}, {"OutboxParked"}, {"OutboxParked"}]
    assert watch.passes() == {"OutboxParked"}  # one minute without a sweep mends nothing


def test_events_that_are_not_sent_are_told_within_six_minutes(watch: Watch, bus: FakeBus) -> None:
    bus.refuse("ThrottlingException")
    placed()
    off = [watch.passes(sweep) for _ in range(6)]  # above 120 s after two minutes and however long this has taken
    assert (off[:4], off[5]) == ([set()] * 4, {"OutboxAge"})
    bus.recover()
    assert watch.passes(sweep) == set()


def test_a_sweep_that_no_longer_runs_is_told_in_three_minutes(watch: Watch) -> None:
    assert [watch.passes(buy) for _ in range(3)] == [set(), set(), {"OutboxAge"}]
    assert watch.passes(sweep) == set()


def test_a_message_that_nobody_can_handle_is_told_before_it_is_a_dead_letter(watch: Watch) -> None:
    bad = event("StockReserved", {"order_id": "nonsense"})
    off = set()
    for second in range(0, 60 * 5, 60):  # delivered at 0, 90, 180 and 270 s
        due = any(second <= delivery < second + 60 for delivery in range(0, 360, 90))
        off = watch.passes(*([lambda: deliver(consumer.handler, bad)] if due else []), sweep)
    assert off == {"MessagesFailed"}


def test_requests_that_fail_in_two_minutes_of_five_are_told(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ArithmeticError

    def fail() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(repository, "page", broken)
            assert ask(api.handler, "GET", "/orders").status == 500

    assert watch.passes(fail, sweep) == set()
    assert watch.passes(sweep) == set()
    assert watch.passes(fail, fail, sweep) == {"RequestsFailed"}
    for _ in range(2):
        assert watch.passes(sweep) == {"RequestsFailed"}
    assert watch.passes(sweep) == set()


def test_an_order_that_is_not_expired_is_told(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ArithmeticError

    def sweep_in_vain() -> None:
        with pytest.raises(ArithmeticError):
            sweep()

    placed()
    monkeypatch.setattr(use_cases, "_move_some_due", broken)
    off = [watch.passes(sweep_in_vain) for _ in range(18)]
    assert off == [set()] * 17 + [{"OrdersOverdue"}]  # 15 minutes, and two


def test_shipping_that_does_not_answer_is_told(watch: Watch, database: Database) -> None:
    order_id = placed()
    report("PaymentCaptured", order_id)
    cancel(order_id)
    database.execute(
        "UPDATE orders SET timeline = REPLACE(timeline, LEFT(JSON_VALUE(timeline, '$[3].at'), 13), '2026-01-01T00')"
    )
    off = [watch.passes(sweep) for _ in range(4)]
    assert off[0] == set()
    assert off[-1] == {"CancellationsUnanswered"}
