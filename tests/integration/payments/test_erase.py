"""A customer is forgotten."""

from common.values import uuid7
from payments import consumer
from tests.integration.database import Database
from tests.integration.gateway import ALICE, question
from tests.integration.payments.happening import captured, happens, placed


def test_cards_are_forgotten_once_they_are_charged(database: Database) -> None:
    order, underway = captured(), str(uuid7())
    happens(placed(underway))
    assert question(consumer.handler, "erase", ALICE) == [{"erased": 1, "underway": 1}]
    tokens = {str(row["order_id"].hex()): row["token"] for row in database.rows("SELECT order_id, token FROM payments")}
    assert tokens == {order.replace("-", ""): "", underway.replace("-", ""): "tok_visa"}


def test_a_customers_payments_are_found_by_their_index(database: Database) -> None:
    database.execute(
        "INSERT INTO payments (order_id, correlation_id, customer_id)"
        " SELECT UNHEX(LPAD(HEX(seq), 32, '0')), '', CONCAT('customer-', seq MOD 50) FROM seq_1_to_2000"
    )
    database.rows("ANALYZE TABLE payments")
    [plan] = database.rows("EXPLAIN UPDATE payments SET token = '' WHERE customer_id = 'customer-1' AND ended")
    assert plan["key"] == "payments_of_customer"
