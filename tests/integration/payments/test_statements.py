"""What is really sent: few round trips, and no statement that pins a proxy session."""

from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from common.connection import kept
from common.values import uuid7
from tests.integration.payments.happening import captured, ended, happens, placed, reserved, shown, staff

OUTBOX_CLEARED = ["DELETE", "COMMIT"]  # once a batch, after all of its events


class Sent(list[str]):
    @property
    def verbs(self) -> list[str]:
        return [statement.split()[0] for statement in self]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """Every statement of the unit of work's connection; the provider's ledger has others."""
    happens(placed(str(uuid7())))  # brings the connection up
    statements, longest = Sent(), [0]
    command = pymysql.connections.Connection._execute_command  # type: ignore[attr-defined]

    def listen(self: Any, kind: int, sql: Any) -> Any:
        text = bytes(sql) if isinstance(sql, bytes | bytearray) else sql.encode("utf-8", "surrogateescape")
        longest.append(len(text))
        if self is kept()._raw:
            statements.append(text.decode("utf-8", "replace"))
        return command(self, kind, sql)

    monkeypatch.setattr(pymysql.connections.Connection, "_execute_command", listen)
    yield statements
    assert max(longest) < 15_000


@pytest.mark.parametrize("card", ["tok_visa", "tok_declined", "tok_flaky"])
def test_a_charge_takes_seven_round_trips_and_no_transaction_is_open_while_the_provider_is_asked(
    sent: Sent, card: str
) -> None:
    order = str(uuid7())
    happens(placed(order, card))
    assert sent.verbs == ["INSERT", "INSERT", "SELECT", "COMMIT"]
    sent.clear()
    happens(reserved(order))
    attempt, outcome = ["INSERT", "INSERT", "SELECT", "COMMIT"], ["UPDATE", "INSERT", "COMMIT"]
    assert sent.verbs == attempt + outcome + OUTBOX_CLEARED


def test_an_end_with_nothing_to_refund_takes_four_round_trips(sent: Sent) -> None:
    happens(ended(str(uuid7())))
    assert sent.verbs == ["INSERT", "INSERT", "SELECT", "COMMIT"]


def test_a_refund_of_all_takes_twelve_round_trips(sent: Sent) -> None:
    order = captured()
    sent.clear()
    happens(ended(order))
    noted, begun = ["INSERT", "INSERT", "SELECT", "COMMIT"], ["SELECT", "SELECT", "INSERT", "COMMIT"]
    assert sent.verbs == [*noted, *begun, "UPDATE", "UPDATE", "INSERT", "COMMIT", *OUTBOX_CLEARED]


def test_a_payment_is_read_in_two_round_trips(sent: Sent) -> None:
    order = captured()
    sent.clear()
    shown(order)
    assert sent.verbs == ["SELECT", "COMMIT"]


def test_a_refund_by_staff_takes_ten_round_trips(sent: Sent) -> None:
    order = captured()
    sent.clear()
    assert staff("POST", f"/payments/{order}/refund", {}, key="k").status == 200
    begun, done = ["SELECT", "SELECT", "INSERT", "COMMIT"], ["UPDATE", "UPDATE", "SELECT", "INSERT", "INSERT", "COMMIT"]
    assert sent.verbs == begun + done + OUTBOX_CLEARED
