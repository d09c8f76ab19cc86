"""Orders of which nothing is heard for too long: they expire, or shipping is asked again."""

import json
from uuid import UUID

import pytest

from common.database import Transaction, transaction
from orders import consumer, repository, use_cases
from tests.integration.database import Database
from tests.integration.environments import Elsewhere
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import deliver, event, on_schedule
from tests.integration.orders.shop import MUG, get, placed, report, sell, timeline
from tests.integration.orders.test_cancel_order import cancel


@pytest.fixture
def order_id() -> str:
    sell(MUG)
    return placed()


def past(database: Database, order_id: str, seconds: int) -> None:
    """Let so much time pass for the order, by the database's clock."""
    database.execute(
        "UPDATE orders SET due_at = due_at - INTERVAL %s SECOND WHERE order_id = %s", (seconds, UUID(order_id).bytes)
    )


@pytest.mark.parametrize("reports", [[], ["StockReserved"]])
def test_an_order_that_is_not_settled_by_its_deadline_expires(
    order_id: str, database: Database, bus: FakeBus, reports: list[str]
) -> None:
    for detail_type in reports:
        report(detail_type, order_id)
    past(database, order_id, 800)
    on_schedule(consumer.handler)
    assert "expired" not in timeline(order_id)

    past(database, order_id, 101)
    on_schedule(consumer.handler)
    on_schedule(consumer.handler)
    order = get(f"/orders/{order_id}").json
    assert (order["status"], order["timeline"][-1]["reason"]) == ("expired", "not settled in time")
    [expired] = bus.details("OrderExpired")
    assert expired["data"] == {"order_id": order_id, "customer_id": "alice-sub", "reason": "not settled in time"}
    assert expired["correlation_id"] == bus.details("OrderPlaced")[0]["correlation_id"]


def test_the_deadline_is_the_environments(order_id: str, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_DEADLINE_SECONDS", "60")
    short = placed()
    for order in (order_id, short):
        past(database, order, 61)
    on_schedule(consumer.handler)
    assert (timeline(order_id)[-1], timeline(short)[-1]) == ("placed", "expired")


def test_a_confirmed_order_never_expires(order_id: str, database: Database, bus: FakeBus) -> None:
    report("PaymentCaptured", order_id)
    past(database, order_id, 10_000)
    on_schedule(consumer.handler)
    assert timeline(order_id)[-1] == "confirmed"
    assert database.value("SELECT COUNT(*) FROM orders WHERE due_at IS NOT NULL") == 0


def test_what_is_reported_of_an_expired_order_is_too_late(order_id: str, database: Database, bus: FakeBus) -> None:
    past(database, order_id, 901)
    on_schedule(consumer.handler)
    report("PaymentCaptured", order_id)
    assert timeline(order_id) == ["placed", "expired"]
    assert "OrderConfirmed" not in bus.types


def test_expiry_and_confirmation_at_once_leave_one_ending(database: Database, bus: FakeBus) -> None:
    sell(MUG)
    for _ in range(8):
        order_id = placed()
        past(database, order_id, 901)

        def confirm(order_id: str = order_id) -> list[str]:
            assert deliver(consumer.handler, event("PaymentCaptured", {"order_id": order_id})) == []
            return [name for name in bus.types if name == "OrderConfirmed"]

        def expire() -> list[str]:
            on_schedule(consumer.handler)
            return [name for name in bus.types if name == "OrderExpired"]

        running = [Elsewhere(confirm), Elsewhere(expire)]
        announced = [name for one in running for name in one.result()]
        assert announced in (["OrderConfirmed"], ["OrderExpired"])
        end = {"OrderConfirmed": "confirmed", "OrderExpired": "expired"}[announced[0]]
        assert timeline(order_id)[-1] == end
        on_schedule(consumer.handler)
        bus.accepted.clear()


def test_all_orders_that_are_due_expire_in_one_sweep(
    database: Database, bus: FakeBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_cases, "DUE_AT_ONCE", 4)
    sell(MUG)
    orders = [placed() for _ in range(10)]
    for order_id in orders:
        past(database, order_id, 901)
    on_schedule(consumer.handler)
    assert bus.types.count("OrderExpired") == 10
    assert {timeline(order_id)[-1] for order_id in orders} == {"expired"}


def test_an_order_that_cannot_be_read_keeps_no_other_from_expiring(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use_cases, "DUE_AT_ONCE", 2)
    sell(MUG)
    bad, *good = [placed() for _ in range(4)]
    past(database, bad, 10_000)
    for order_id in good:
        past(database, order_id, 1_000)
    database.execute("UPDATE orders SET order_lines = '[{}]' WHERE order_id = %s", (UUID(bad).bytes,))
    on_schedule(consumer.handler)
    assert [timeline(order_id)[-1] for order_id in good] == ["expired"] * 3


def test_shipping_is_asked_again_each_minute_until_it_answers(
    order_id: str, database: Database, bus: FakeBus, capsys: pytest.CaptureFixture[str]
) -> None:
    report("PaymentCaptured", order_id)
    cancel(order_id)
    on_schedule(consumer.handler)
    assert bus.types.count("CancellationRequested") == 1
    for asked in (2, 3):
        past(database, order_id, 61)
        on_schedule(consumer.handler)
        assert bus.types.count("CancellationRequested") == asked
    stories = {detail["correlation_id"] for detail in bus.details("CancellationRequested")}
    assert stories == {bus.details("OrderPlaced")[0]["correlation_id"]}
    assert unanswered(capsys) == 0

    report("ShipmentCancelled", order_id)
    past(database, order_id, 10_000)
    on_schedule(consumer.handler)
    assert bus.types.count("CancellationRequested") == 3


def test_who_gets_no_answer_for_ten_minutes_is_counted(
    order_id: str, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report("PaymentCaptured", order_id)
    cancel(order_id)
    past(database, order_id, 61)
    database.execute(
        "UPDATE orders SET timeline = REPLACE(timeline, LEFT(JSON_VALUE(timeline, '$[3].at'), 13), '2026-01-01T00')"
    )
    on_schedule(consumer.handler)
    assert unanswered(capsys) == 1
    assert timeline(order_id)[-1] == "cancelling"


def test_an_order_that_expires_after_ten_minutes_is_not_one_that_shipping_does_not_answer(
    order_id: str, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    past(database, order_id, 901)
    database.execute(
        "UPDATE orders SET timeline = REPLACE(timeline, LEFT(JSON_VALUE(timeline, '$[0].at'), 13), '2026-01-01T00')"
    )
    on_schedule(consumer.handler)
    assert unanswered(capsys) == 0
    assert timeline(order_id)[-1] == "expired"


def test_what_no_sweep_can_end_is_counted_two_minutes_after_its_deadline(
    order_id: str, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise ArithmeticError

    settled = placed()
    report("PaymentCaptured", settled)
    cancel(settled)  # which is due as well, and no order past its deadline
    past(database, settled, 10_000)
    past(database, order_id, 900 + 60)
    monkeypatch.setattr(use_cases, "_move_some_due", fails)
    for waited, counted in ((0, 0), (61, 1)):
        past(database, order_id, waited)
        with pytest.raises(ArithmeticError):
            on_schedule(consumer.handler)
        assert metric(capsys, "OrdersOverdue") == counted

    monkeypatch.undo()
    on_schedule(consumer.handler)
    assert (metric(capsys, "OrdersOverdue"), timeline(order_id)[-1]) == (0, "expired")


def test_an_order_that_cannot_be_read_is_past_its_deadline_whenever_it_is_looked_at(
    order_id: str, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.execute("UPDATE orders SET order_lines = '[{}]'")
    for waited in (901, 61):
        past(database, order_id, waited)
        on_schedule(consumer.handler)
        assert metric(capsys, "OrdersOverdue") == 1


def test_counting_what_is_past_its_deadline_reads_no_order_that_is_over(order_id: str, database: Database) -> None:
    for _ in range(20):
        report("PaymentCaptured", placed())
    past(database, order_id, 1_100)
    with transaction() as tx:
        before = rows_read(tx)
        assert repository.overdue(tx, 120) == 1
        assert rows_read(tx) - before == 2  # the one, and where the index has no more


def rows_read(tx: Transaction) -> int:
    return sum(int(counter["Value"]) for counter in tx.all("SHOW SESSION STATUS LIKE 'Handler_read%%'"))


def unanswered(capsys: pytest.CaptureFixture[str]) -> int:
    return metric(capsys, "CancellationsUnanswered")


def metric(capsys: pytest.CaptureFixture[str], name: str) -> int:
    """As it was written last."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    found = [line[name] for line in lines if name in line]
    return int(sum(found[-1])) if isinstance(found[-1], list) else int(found[-1])
