"""Staff give back a part or all, each refund once, whatever crashes and whoever asks again."""

import time
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from common.values import uuid7
from tests.integration.database import Database, administrator
from tests.integration.environments import Elsewhere
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import Answer
from tests.integration.payments.happening import (
    TOTAL,
    captured,
    crashing,
    customer,
    ended,
    happens,
    ledger,
    placed,
    shown,
    staff,
    yen,
)


def refund(order: str, key: str, amount: int | None = None) -> Answer:
    return staff("POST", f"/payments/{order}/refund", {} if amount is None else {"amount": yen(amount)}, key=key)


def test_a_part_and_then_the_rest_go_back_and_then_nothing_is_left(database: Database, bus: FakeBus) -> None:
    order = captured()
    answer = refund(order, "part", 1_000)
    assert (answer.status, answer.json) == (
        200,
        {"order_id": order, "status": "partly_refunded", "captured": yen(TOTAL), "refunded": yen(1_000)},
    )
    assert refund(order, "too much", 2_001).status == 409
    assert refund(order, "rest").json["status"] == "refunded"
    assert refund(order, "more").status == 409
    assert refund(order, "more", 1).status == 409
    assert ledger(database, order) == [("captured", TOTAL), ("refunded", 1_000), ("refunded", 2_000)]
    refunds = [detail["data"] for detail in bus.details("PaymentRefunded")]
    assert refunds == [{"order_id": order, "amount": yen(1_000)}, {"order_id": order, "amount": yen(2_000)}]
    assert {detail["correlation_id"] for detail in bus.details()} == {"the-first-request"}


def test_a_repeated_key_repeats_its_answer_byte_for_byte_and_refunds_once(database: Database, bus: FakeBus) -> None:
    order = captured()
    first = refund(order, "one", 1_000)
    refund(order, "other", 500)
    spaced = '{ "amount" : {"currency":"JPY", "amount":1000} }'
    repeats = [refund(order, "one", 1_000), staff("POST", f"/payments/{order}/refund", spaced, key="one")]
    assert [(again.status, again.text) for again in repeats] == [(200, first.text)] * 2
    assert ledger(database, order) == [("captured", TOTAL), ("refunded", 500), ("refunded", 1_000)]
    assert bus.types.count("PaymentRefunded") == 2


def test_a_key_is_the_callers_own_and_the_paths(database: Database) -> None:
    order, another = captured(), captured()
    for sub, path in (("staff-sub", order), ("other-staff", order), ("staff-sub", another)):
        answer = staff("POST", f"/payments/{path}/refund", {"amount": yen(10)}, key="same", sub=sub)
        assert answer.status == 200
    assert (shown(order)[2], shown(another)[2]) == (20, 10)


def test_a_key_with_another_body_is_refused(database: Database) -> None:
    order = captured()
    assert refund(order, "one", 1_000).status == 200
    before = database.counts()
    for amount in (999, None):
        assert refund(order, "one", amount).status == 422
    assert database.counts() == before


@pytest.mark.parametrize(
    ("table", "change"), [("refunds", "NEW.status = 'done'"), ("payments", "NEW.refunded > OLD.refunded")]
)
def test_a_crash_after_the_provider_refunded_is_finished_by_the_repeat(
    database: Database, bus: FakeBus, table: str, change: str
) -> None:
    order = captured()
    with crashing(database, table, change):
        assert refund(order, "one").status == 500
    assert shown(order) == ("captured", TOTAL, 0)
    assert refund(order, "one", 1).status == 422
    assert refund(order, "other", 1).status == 409
    finished = refund(order, "one")
    assert (finished.status, finished.json["status"]) == (200, "refunded")
    assert refund(order, "one").text == finished.text
    assert ledger(database, order) == [("captured", TOTAL), ("refunded", TOTAL)]
    assert bus.types.count("PaymentRefunded") == 1


def test_a_provider_that_is_away_is_an_answer_and_the_repeat_finishes(database: Database, bus: FakeBus) -> None:
    order = captured()
    database.execute(
        "CREATE TRIGGER crash BEFORE INSERT ON sandbox_ledger FOR EACH ROW "
        "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1053, MESSAGE_TEXT = 'away'"
    )
    try:
        answer = refund(order, "one", 700)
        assert (answer.status, bus.types) == (503, ["PaymentCaptured"])
    finally:
        database.execute("DROP TRIGGER crash")
    assert shown(order) == ("captured", TOTAL, 0)
    assert refund(order, "one", 700).status == 200
    assert ledger(database, order) == [("captured", TOTAL), ("refunded", 700)]


def test_an_order_that_ends_finishes_refunds_that_nobody_asked_for_again(database: Database, bus: FakeBus) -> None:
    order = captured()
    assert refund(order, "done", 100).status == 200
    with crashing(database, "refunds", "NEW.status = 'done'"):
        assert refund(order, "forgotten", 200).status == 500
    happens(ended(order))
    assert shown(order) == ("refunded", TOTAL, TOTAL)
    assert ledger(database, order) == [("captured", TOTAL), *(("refunded", amount) for amount in (100, 200, 2_700))]
    late = refund(order, "forgotten", 200)
    assert (late.status, late.json["refunded"]) == (200, yen(TOTAL))
    assert refund(order, "forgotten", 200).text == late.text
    assert bus.types.count("PaymentRefunded") == 3


def test_requests_at_the_same_time_give_back_no_more_than_there_is(database: Database) -> None:
    order = captured()
    work = [Elsewhere(partial(refund, order, key, 1_000)) for key in ["same"] * 4 + list("abcd")]
    statuses = sorted(one.result().status for one in work)
    assert set(statuses) == {200, 409}
    assert shown(order) == ("refunded", TOTAL, TOTAL)
    assert ledger(database, order) == [("captured", TOTAL), *[("refunded", 1_000)] * 3]


def test_of_two_refunds_the_second_waits_to_see_what_the_first_leaves(database: Database) -> None:
    order = captured()
    first = administrator(database.server, database.schema)
    with first.cursor() as cursor:
        cursor.execute("SELECT 1 FROM payments FOR UPDATE")
        second = Elsewhere(partial(refund, order, "second", 2_001))
        time.sleep(0.3)
        assert second.running()
        cursor.execute(
            "INSERT INTO refunds (refund_id, order_id, amount) VALUES (%s, %s, 1000)", (bytes(16), UUID(order).bytes)
        )
    first.commit()
    first.close()
    assert second.result().status == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{", 400),
        ("[]", 422),
        ({"amount": None}, 422),
        ({"amount": 100}, 422),
        ({"amount": yen(0)}, 422),
        ({"amount": yen(-1)}, 422),
        ({"amount": {"amount": 1.5}}, 422),
        ({"amount": {"amount": "1"}}, 422),
        ({"amount": {"amount": 2**63}}, 422),
        ({"amount": {"amount": 1}}, 422),
        ({"amount": {"amount": 1, "currency": "USD"}}, 422),
        ({"amount": {"amount": 1, "rest": True}}, 422),
        ({"sum": yen(1)}, 422),
    ],
)
def test_a_faulty_body_is_refused_before_anything_is_written(database: Database, body: Any, status: int) -> None:
    order = captured()
    before = database.counts()
    assert staff("POST", f"/payments/{order}/refund", body, key="k").status == status
    assert database.counts() == before


@pytest.mark.parametrize("key", [None, "", "k" * 65, "é", "tab\t"])
def test_a_refund_needs_a_key(database: Database, key: str | None) -> None:
    order = captured()
    before = database.counts()
    assert staff("POST", f"/payments/{order}/refund", {}, key=key).status == 400
    assert database.counts() == before


def test_only_staff_give_money_back(database: Database) -> None:
    order = captured()
    before = database.counts()
    assert customer("POST", f"/payments/{order}/refund", {}, key="k").status == 403
    assert customer("POST", f"/payments/{order}/refund", {}, key="k", sub=None).status == 401
    assert database.counts() == before


def test_what_is_not_there_or_not_paid_cannot_be_refunded(database: Database) -> None:
    order = str(uuid7())
    assert refund(order, "k").status == 404
    assert refund("1", "k").status == 404
    happens(placed(order))
    assert refund(order, "k").status == 409
    assert database.count("refunds") == 0
