"""What the proofs against the running local cloud have in common."""

import json
import uuid
from collections.abc import Callable, Iterator

import pytest

from localcloud.api import Api
from localcloud.stack import SERVICES, Stack
from tests.e2e.database import connected
from tests.e2e.shop import Shop, new_key, place, request, send, settled
from tests.faults.deployed.described import Belongings


@pytest.fixture(scope="module")
def alices(alice: Api, shop: Shop, drained: Callable[[], None]) -> Belongings:
    """A confirmed order, with its shipment, to an address that stands nowhere else. When it is there, nothing moves."""
    product_id, name = shop.sell(on_hand=100), f"Alice {uuid.uuid4()}"
    settled(alice, place(alice, {product_id: 1}))
    body = request({product_id: 1})
    body["shipping_address"] = body["shipping_address"] | {"name": name}
    placed = send(alice, "POST", "/orders", json.dumps(body), Idempotency_Key=new_key()).json
    order = settled(alice, placed["order_id"])
    assert order["status"] == "confirmed"
    assert shop.shipment(order["order_id"]) == ("preparing", None)
    drained()
    return Belongings(order["order_id"], product_id, (name, order["customer_id"]))


@pytest.fixture
def unchanged(stack: Stack) -> Iterator[None]:
    """Whatever the test asks for, no row of any service may be another afterwards."""
    before = _checksums(stack)
    yield
    assert _checksums(stack) == before


def _checksums(stack: Stack) -> dict[str, object]:
    """Of each table, but for what the sweeps do by themselves."""
    with connected(stack, "information_schema") as cursor:
        cursor.execute(
            """
            SELECT CONCAT('`', table_schema, '`.`', table_name, '`')
              FROM information_schema.tables
             WHERE table_schema IN %s AND table_name NOT IN ('inbox', 'outbox', 'journal')
             ORDER BY 1
            """,
            (SERVICES,),
        )
        cursor.execute(f"CHECKSUM TABLE {', '.join(name for (name,) in cursor.fetchall())}")
        return dict(cursor.fetchall())
