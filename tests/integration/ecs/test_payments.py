"""Orders has orders charged and ended, again at any time, and is told what went back."""

import time
from contextlib import suppress
from itertools import permutations
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from common.values import uuid7
from tests.integration.ecs.called import AT_ONCE, STORY, Called
from tests.integration.ecs.serving import Answer
from tests.integration.payments.happening import CAPTURES, TOTAL, crashing, ledger, yen

CAPTURED = {"status": "captured", "reason": None}
ENDED = {"status": "ended", "reason": None}
WORKERS = 2


@pytest.fixture
def order() -> str:
    return str(uuid7())


def bill(order: str, card: str = "tok_visa") -> tuple[Any, ...]:
    body = {"customer_id": "alice", "amount": yen(TOTAL), "payment_method": card}
    return ("POST", f"/payments/{order}/charge", body)


def final(order: str) -> tuple[Any, ...]:
    return ("POST", f"/payments/{order}/end", {"customer_id": "alice", "amount": yen(TOTAL)})


def charge(called: Called, order: str, card: str = "tok_visa") -> Any:
    answer = called.internal(*bill(order, card))
    assert answer.status == 200, answer.text
    return answer.json


def end(called: Called, order: str) -> tuple[int, int]:
    """Captured, refunded."""
    answer = called.internal(*final(order))
    assert answer.status == 200, answer.text
    return answer.json["captured"]["amount"], answer.json["refunded"]["amount"]


def refund(called: Called, order: str, amount: int, key: str = "key") -> Answer:
    return called.staff("POST", f"/payments/{order}/refund", {"amount": yen(amount)}, **{"Idempotency-Key": key})


def shown(called: Called, order: str) -> tuple[str, int, int]:
    answer = called.staff("GET", f"/payments/{order}")
    return answer.json["status"], answer.json["captured"]["amount"], answer.json["refunded"]["amount"]


def told(called: Called) -> list[int]:
    """The refunds that orders was told of, each once, however often it was told."""
    refunds = {asked.key: asked.body["amount"]["amount"] for asked in called.around.asked}
    assert {asked.scope for asked in called.around.asked} <= {"shop.internal/orders"}
    return list(refunds.values())


def test_an_order_is_charged_once_however_often_it_is_asked_for(called: Called, order: str) -> None:
    assert [charge(called, order) for _ in range(2)] == [CAPTURED, CAPTURED]
    assert ledger(called.database, order) == [("captured", TOTAL)]
    assert shown(called, order) == ("captured", TOTAL, 0)


def test_an_order_is_charged_once_by_all_who_ask_at_the_same_time(called: Called, order: str) -> None:
    answers = called.at_once(*[bill(order)] * AT_ONCE)
    assert [(answer.status, answer.json) for answer in answers] == [(200, CAPTURED)] * AT_ONCE
    assert ledger(called.database, order) == [("captured", TOTAL)]


def test_who_asks_again_is_told_why_a_card_was_declined_even_when_keys_and_cards_are_forgotten(
    called: Called, order: str
) -> None:
    declined = {"status": "declined", "reason": "card declined"}
    assert [charge(called, order, "tok_declined") for _ in range(2)] == [declined, declined]
    called.database.execute("DELETE FROM idempotency_keys")
    called.database.execute("UPDATE payments SET token = ''")
    assert charge(called, order, "tok_declined") == declined
    assert shown(called, order) == ("declined", 0, 0)


def test_a_provider_that_fails_twice_is_asked_until_it_works(called: Called, order: str) -> None:
    assert charge(called, order, "tok_flaky") == CAPTURED
    assert ledger(called.database, order) == [("captured", TOTAL)]


def test_while_the_provider_does_not_answer_nobody_knows_and_a_repeat_finds_out(called: Called, order: str) -> None:
    called.database.execute(
        "CREATE TRIGGER away BEFORE UPDATE ON sandbox_ledger FOR EACH ROW SET NEW.outcome = 'failed'"
    )
    try:
        answer = called.internal(*bill(order, "tok_flaky"))
    finally:
        called.database.execute("DROP TRIGGER away")
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    assert shown(called, order) == ("pending", 0, 0)
    assert charge(called, order, "tok_flaky") == CAPTURED
    assert shown(called, order) == ("captured", TOTAL, 0)


def test_a_crash_between_the_provider_and_the_record_is_made_good_by_a_repeat(called: Called, order: str) -> None:
    with crashing(called.database, "payments", CAPTURES):
        assert called.internal(*bill(order)).status == 500
    assert (ledger(called.database, order), shown(called, order)) == ([("captured", TOTAL)], ("pending", 0, 0))
    assert charge(called, order) == CAPTURED
    assert (ledger(called.database, order), shown(called, order)) == ([("captured", TOTAL)], ("captured", TOTAL, 0))


def test_a_crash_between_the_provider_and_the_record_is_made_good_by_the_end(called: Called, order: str) -> None:
    with crashing(called.database, "payments", CAPTURES):
        assert called.internal(*bill(order)).status == 500
    assert end(called, order) == (TOTAL, TOTAL)
    assert ledger(called.database, order) == [("captured", TOTAL), ("refunded", TOTAL)]


def test_an_order_that_ended_before_is_not_charged(called: Called, order: str) -> None:
    assert end(called, order) == (0, 0)
    assert [charge(called, order) for _ in range(2)] == [ENDED, ENDED]
    assert ledger(called.database, order) == []


@pytest.mark.parametrize("arrivals", sorted(set(permutations(["charge", "charge", "end", "end"]))))
def test_of_an_order_that_is_over_nothing_is_kept_in_whatever_order_it_is_said(
    called: Called, order: str, arrivals: tuple[str, ...]
) -> None:
    charged = arrivals[0] == "charge"
    for arrival in arrivals:
        if arrival == "charge":
            assert charge(called, order) == (CAPTURED if charged else ENDED)
        else:
            assert end(called, order) == ((TOTAL, TOTAL) if charged else (0, 0))
    assert ledger(called.database, order) == ([("captured", TOTAL), ("refunded", TOTAL)] if charged else [])
    assert called.journal() == ["PaymentRefunded"] * charged


def test_of_an_order_that_is_charged_and_over_at_the_same_time_nothing_is_kept(called: Called, order: str) -> None:
    answers = called.at_once(*[bill(order), final(order)] * (AT_ONCE // 2))
    assert {answer.status for answer in answers} == {200}
    captured, refunded = end(called, order)
    assert captured == refunded
    entries = ledger(called.database, order)
    assert entries in ([], [("captured", TOTAL), ("refunded", TOTAL)])
    assert called.journal() == ["PaymentRefunded"] * (len(entries) // 2)


def test_orders_is_not_asked_back_while_it_waits_for_the_end_but_told_by_the_next_sweep(
    called: Called, order: str
) -> None:
    charge(called, order)
    end(called, order)
    assert (called.around.asked, called.journal()) == ([], ["PaymentRefunded"])
    called.swept(until=lambda: called.journal() == [])
    [asked] = called.around.asked
    assert (asked.method, asked.path) == ("POST", f"/internal/orders/{order}/refunded")
    assert (asked.body, asked.scope, asked.story) == ({"amount": yen(TOTAL)}, "shop.internal/orders", STORY)
    assert UUID(asked.key)


def test_orders_is_told_at_once_of_what_staff_give_back(called: Called, order: str) -> None:
    charge(called, order)
    assert [refund(called, order, 1_000).status for _ in range(2)] == [200, 200]
    assert (told(called), called.journal()) == ([1_000], [])
    refund(called, order, 500, key="another")
    assert (told(called), called.around.asked[0].story) == ([1_000, 500], STORY)


@pytest.mark.usefixtures("fresh")
def test_staff_need_not_wait_for_orders_to_give_money_back(called: Called, order: str) -> None:
    charge(called, order)
    called.around.answers["/internal/orders"] = (503, {"status": 503})
    began = time.monotonic()
    assert refund(called, order, 1_000).status == 200
    assert time.monotonic() - began < 15  # else orders would be asked for 20
    assert called.journal() == ["PaymentRefunded"]
    called.around.answers.clear()
    called.swept(until=lambda: called.journal() == [])
    assert told(called) == [1_000]


def test_what_comes_of_a_charge_is_told_by_its_answer_alone(called: Called, order: str) -> None:
    charge(called, order)
    charge(called, str(uuid7()), "tok_declined")
    assert (called.journal(), called.database.count("outbox"), called.around.asked) == ([], 0, [])


def test_a_worker_holds_one_connection_and_another_while_the_provider_is_asked(called: Called) -> None:
    """The sandbox stands for a provider elsewhere, and keeps its ledger in the same database."""
    held, asking = [0], Thread(target=called.at_once, args=[bill(str(uuid7()), "tok_flaky") for _ in range(16)])
    asking.start()
    while asking.is_alive():
        held.append(connections(called))
    assert WORKERS <= max(held) <= 2 * WORKERS
    assert connections(called) <= WORKERS


def connections(called: Called) -> int:
    """What its workers have open: the server notices later that one was closed."""
    port, held = called.database.server.port, 0
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    to_database = {f"socket:[{row[9]}]" for row in rows if row[2].endswith(f":{port:04X}")}
    for worker in called.task.workers():
        for descriptor in Path(f"/proc/{worker}/fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                held += str(descriptor.readlink()) in to_database
    return held
