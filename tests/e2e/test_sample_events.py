"""Every sample event, called as `make invoke` does, on functions that know the customer and the order it speaks of."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from localcloud import invoke
from localcloud.home import Home
from localcloud.played import ADDRESS
from localcloud.stack import Stack
from tests.e2e.database import connected
from tests.e2e.queues import Queues

# What ends the order comes last: of an order that has ended nothing could be dispatched.
ENDS = {"order_rejected", "order_cancelled", "order_expired"}
SAMPLES = sorted(invoke.EVENTS.glob("*/*.json"), key=lambda path: (path.stem in ENDS, path))
PLACED = json.loads((invoke.EVENTS / "InventoryConsumer" / "order_placed.json").read_text())["Records"][0]["body"]
ORDER = json.loads(PLACED)["detail"]["data"]
ORDER_ID = UUID(ORDER["order_id"])
PRODUCT_IDS = [UUID(line["product_id"]).bytes for line in ORDER["lines"]]


@pytest.fixture(scope="module")
def _sample_order(stack: Stack, queues: Queues) -> Iterator[None]:
    """The order that the sample events tell of: what they lead to is answered by services that have to know it."""
    timeline = json.dumps([{"status": "placed", "at": "2025-10-23T12:00:00Z", "reason": None}])
    with connected(stack, "orders") as orders:
        orders.execute(
            """
            INSERT INTO orders (order_id, customer_id, status, order_lines, total, shipping_address, timeline,
                                correlation_id)
            VALUES (%s, 'sample', 'placed', '[]', 0, %s, %s, 'sample')
            """,
            (ORDER_ID.bytes, json.dumps(ADDRESS), timeline),
        )
    with connected(stack, "inventory") as inventory:
        inventory.executemany(
            "INSERT INTO stock (product_id, on_hand, reserved, revision) VALUES (%s, 100, 0, 0)",
            [(product_id,) for product_id in PRODUCT_IDS],
        )
    yield
    queues.drained()
    with connected(stack, "orders") as orders:
        orders.execute("DELETE FROM orders WHERE customer_id = 'sample'")
    with connected(stack, "inventory") as inventory:
        inventory.execute("DELETE FROM stock WHERE product_id IN %s", (PRODUCT_IDS,))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
@pytest.mark.usefixtures("_sample_order")
def test_a_sample_event_is_answered(home: Home, sample: Path) -> None:
    answer = json.loads(invoke.invoke(home, sample.parent.name, sample.stem))
    if sample.parent.name.endswith("Api"):
        assert answer["statusCode"] < 500
        assert json.loads(answer["body"])
    elif sample.parent.name == "Migrator":
        assert answer is None
    elif sample.stem == "sweep":
        assert answer == {}
    else:
        assert answer == {"batchItemFailures": []}


def test_an_event_that_there_is_not_is_answered_with_those_there_are(home: Home) -> None:
    with pytest.raises(invoke.NoSuchEvent, match="FUNCTION=OrdersApi EVENT=place_order"):
        invoke.invoke(home, "OrdersApi", "nothing")
