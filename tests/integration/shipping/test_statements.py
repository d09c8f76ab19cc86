"""What is really sent: few round trips, and no statement above 15 KB, whatever an order consists of."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.values import uuid7
from localcloud.mariadb import Server
from tests.integration.database import Database
from tests.integration.general_log import GeneralLog, listening
from tests.integration.shipping.happening import (
    ADDRESS,
    confirmed,
    dispatch,
    hand_over,
    happens,
    prepared,
    requested,
    row,
    shown,
)

OUTBOX_CLEARED = ["DELETE", "COMMIT"]  # once a batch, after all of its events
Sent = Callable[[Callable[[], Any]], list[str]]


@pytest.fixture(scope="module")
def server(template: Server) -> Iterator[Server]:
    with listening(template) as server:
        yield server


@pytest.fixture
def sent(server: Server, database: Database) -> Sent:
    """Call it with something to do: it returns the statements' first words, none of a statement above 15 KB."""
    happens(confirmed(str(uuid7())))  # brings the connection up
    log = GeneralLog(server)

    def during(work: Callable[[], Any]) -> list[str]:
        log.clear()
        work()
        statements = log.statements()
        assert max(len(statement.text.encode()) for statement in statements) < 15_000
        return [statement.verb for statement in statements]

    return during


def test_a_confirmation_takes_three_round_trips(sent: Sent) -> None:
    assert sent(lambda: happens(confirmed(str(uuid7())))) == ["INSERT", "INSERT", "COMMIT"]


@pytest.mark.parametrize("character", ["😀", '"', "\\", "'", "\u2028"], ids=ascii)
def test_the_largest_order_takes_no_more(sent: Sent, database: Database, character: str) -> None:
    order, text = str(uuid7()), character * 100
    lines = [{"product_id": str(uuid7()), "name": text, "quantity": 999} for _ in range(20)]
    address = ADDRESS | dict.fromkeys(("name", "line1", "line2", "city", "region"), text)
    assert sent(lambda: happens(confirmed(order, lines=lines, shipping_address=address))) == [
        "INSERT",
        "INSERT",
        "COMMIT",
    ]
    assert shown(order) == ("preparing", None)
    length = (
        "SELECT JSON_LENGTH(order_lines) * 1000 + CHAR_LENGTH(JSON_VALUE(order_lines, '$[19].name')) FROM shipments"
    )
    assert database.value(f"{length} WHERE order_id = %s", (row(database, order)["order_id"],)) == 20_100


def test_a_shipment_is_read_in_two_round_trips(sent: Sent) -> None:
    order = prepared()
    assert sent(lambda: shown(order)) == ["SELECT", "COMMIT"]


def test_dispatch_and_delivery_take_four_round_trips_each_and_two_when_repeated(sent: Sent) -> None:
    order = prepared()
    for step in (dispatch, hand_over):
        assert sent(lambda: step(order)) == ["SELECT", "UPDATE", "INSERT", "COMMIT", *OUTBOX_CLEARED]  # noqa: B023
        assert sent(lambda: step(order)) == ["SELECT", "COMMIT"]  # noqa: B023


def test_a_request_to_cancel_takes_five_round_trips_and_one_that_changes_nothing_four(sent: Sent) -> None:
    order = prepared()
    moved = ["INSERT", "SELECT", "UPDATE", "INSERT", "COMMIT", *OUTBOX_CLEARED]
    assert sent(lambda: happens(requested(order))) == moved
    assert sent(lambda: happens(requested(order))) == ["INSERT", "SELECT", "INSERT", "COMMIT", *OUTBOX_CLEARED]
    remembered = ["INSERT", "SELECT", "INSERT", "INSERT", "COMMIT", *OUTBOX_CLEARED]
    assert sent(lambda: happens(requested(str(uuid7())))) == remembered
