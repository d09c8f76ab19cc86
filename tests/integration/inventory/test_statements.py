"""What is really sent: few round trips, whatever the number of lines, and no statement that pins a proxy session."""

from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from common.values import uuid7
from inventory import consumer
from tests.integration.gateway import deliver, event
from tests.integration.inventory.happening import public, staff, stocked

LINES = 20


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Every statement that goes to the database, from the second on a connection: the first brings it up."""
    statements: list[bytes] = []
    command = pymysql.connections.Connection._execute_command  # type: ignore[attr-defined]

    def listen(self: Any, kind: int, sql: Any) -> Any:
        text = sql if isinstance(sql, bytes | bytearray) else sql.encode("utf-8", "surrogateescape")
        statements.append(bytes(text))
        return command(self, kind, sql)

    monkeypatch.setattr(pymysql.connections.Connection, "_execute_command", listen)
    yield statements
    assert max(map(len, statements)) < 15_000


def trips_to_commit(sent: list[bytes]) -> int:
    """Up to and with the commit: what follows it only clears the outbox, once a batch."""
    return [b"COMMIT" in statement for statement in sent].index(True) + 1


def lines(quantity: int) -> list[dict[str, Any]]:
    return [{"product_id": stocked(10), "quantity": quantity} for _ in range(LINES)]


@pytest.mark.parametrize(("quantity", "trips"), [(10, 6), (11, 5)])
def test_an_order_of_twenty_lines_is_decided_within_six_round_trips(
    sent: list[bytes], quantity: int, trips: int
) -> None:
    placed = event("OrderPlaced", {"order_id": str(uuid7()), "lines": lines(quantity)})
    sent.clear()
    assert deliver(consumer.handler, placed) == []
    assert trips_to_commit(sent) == trips


def test_an_order_of_twenty_lines_gives_back_within_six_round_trips(sent: list[bytes]) -> None:
    order = str(uuid7())
    assert deliver(consumer.handler, event("OrderPlaced", {"order_id": order, "lines": lines(3)})) == []
    sent.clear()
    assert deliver(consumer.handler, event("OrderCancelled", {"order_id": order})) == []
    assert len(sent) == 5


def test_an_order_that_was_never_placed_is_remembered_within_four_round_trips(sent: list[bytes]) -> None:
    stocked(1)
    sent.clear()
    assert deliver(consumer.handler, event("OrderCancelled", {"order_id": str(uuid7())})) == []
    assert len(sent) == 4


def test_stock_is_read_in_two_round_trips_and_counted_in_three(sent: list[bytes]) -> None:
    mug = stocked(10)
    sent.clear()
    assert public("GET", f"/stock/{mug}").status == 200
    assert len(sent) == 2
    sent.clear()
    assert staff("PUT", f"/stock/{mug}", {"on_hand": 5}).status == 200
    assert len(sent) == 3
