"""A customer is forgotten."""

from common.values import uuid7
from shipping import consumer
from tests.integration.database import Database
from tests.integration.gateway import ALICE, BOB, question
from tests.integration.shipping.happening import confirmed, happens, requested


def test_addresses_are_forgotten_once_nothing_is_sent_there(database: Database) -> None:
    over, underway, never, others = (str(uuid7()) for _ in range(4))
    happens(confirmed(over), requested(over), confirmed(underway), requested(never), confirmed(others, BOB))
    assert question(consumer.handler, "erase", ALICE) == [{"erased": 1, "underway": 1}]
    rows = database.rows("SELECT JSON_VALUE(shipping_address, '$.line1') AS line1 FROM shipments ORDER BY order_id")
    assert [row["line1"] for row in rows] == ["erased", "1-2-3 Chiyoda", None, "1-2-3 Chiyoda"]


def test_a_customers_shipments_are_found_by_their_index(database: Database) -> None:
    database.execute(
        "INSERT INTO shipments (order_id, correlation_id, customer_id, status)"
        " SELECT UNHEX(LPAD(HEX(seq), 32, '0')), '', CONCAT('customer-', seq MOD 50), 'cancelled' FROM seq_1_to_2000"
    )
    database.rows("ANALYZE TABLE shipments")
    [plan] = database.rows(
        "EXPLAIN UPDATE shipments SET shipping_address = NULL WHERE customer_id = 'customer-1' AND status = 'cancelled'"
    )
    assert plan["key"] == "shipments_of_customer"
