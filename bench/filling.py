"""Rows as time leaves them, made by the server itself: `n` orders of a tenth as many customers, most of them over.

Of what is due there is none; of what is purged or swept a benchmark adds its own.
"""

from collections.abc import Mapping, Sequence

from tests.integration.database import Database

ID = "UNHEX(CONCAT(LPAD(HEX(1700000000000 + seq), 12, '0'), '70008000', LPAD(HEX(seq), 12, '0')))"
"""Of the n-th order, and of what else there is one of for each order: in order of time."""
CUSTOMER = "CONCAT('customer-', LPAD(seq DIV 10, 7, '0'))"
SINCE = "NOW(6) - INTERVAL seq SECOND"
LINES = '\'[{"product_id":"019a0c40-1f00-7a10-9c01-5b7d3e2f4a11","name":"Mug","quantity":2,"unit_price":800}]\''
ADDRESS = '\'{"name":"Alice","line1":"1-2-3 Chiyoda","city":"Tokyo","postal_code":"100-0001","country":"JP"}\''
TIMELINE = '\'[{"status":"placed","at":"2026-05-04T03:02:01Z"},{"status":"confirmed","at":"2026-05-04T03:02:02Z"}]\''
MESSAGING = [
    f"INSERT INTO inbox (consumer, event_id, received_at) SELECT DATABASE(), {ID}, {SINCE}",
    """INSERT INTO idempotency_keys (request_key, body_hash, status, answer, created_at)
       SELECT UNHEX(SHA2(seq, 256)), UNHEX(SHA2(seq, 256)), 202, REPEAT('x', 300),
              NOW(6) - INTERVAL MOD(seq, 80000) SECOND""",
]
SERVICES: Mapping[str, Sequence[str]] = {
    "catalog": [
        f"""INSERT INTO products (product_id, name, description, price, retired, revision)
            SELECT {ID}, CONCAT('Product ', seq), REPEAT('words ', 30), 800, MOD(seq, 20) = 0, 1""",
    ],
    "orders": [
        f"INSERT INTO products (product_id, name, price, retired, revision) SELECT {ID}, 'Mug', 800, FALSE, 1",
        f"""INSERT INTO orders (order_id, customer_id, status, order_lines, total, shipping_address, timeline,
                                correlation_id, due_at)
            SELECT {ID}, {CUSTOMER}, 'confirmed', {LINES}, 1600, {ADDRESS}, {TIMELINE}, UUID(), NULL""",
    ],
    "inventory": [
        f"INSERT INTO stock (product_id, on_hand, reserved, revision) SELECT {ID}, 1000, 0, 1",
        f"""INSERT INTO reservations (order_id, status, order_lines)
            SELECT {ID}, IF(MOD(seq, 100) = 0, 'reserved', 'dispatched'), {LINES}""",
    ],
    "payments": [
        f"""INSERT INTO payments (order_id, correlation_id, customer_id, amount, token, reserved, state, captured)
            SELECT {ID}, UUID(), {CUSTOMER}, 1600, 'tok_visa', TRUE, 'captured', 1600""",
        f"INSERT INTO refunds (refund_id, order_id, amount, status) SELECT {ID}, {ID}, 1, 'done'",
        f"INSERT INTO sandbox_ledger (entry_key, charge_key, amount, outcome) SELECT {ID}, {ID}, 1600, 'captured'",
    ],
    "shipping": [
        f"""INSERT INTO shipments (order_id, correlation_id, customer_id, status, order_lines, shipping_address,
                                   tracking_number)
            SELECT {ID}, UUID(), {CUSTOMER}, 'delivered', {LINES}, {ADDRESS}, CONCAT('KM-', seq)""",
    ],
    "notifications": [
        f"""INSERT INTO recipients (order_id, customer_id, email, locale, created_at)
            SELECT {ID}, {CUSTOMER}, 'alice@example.com', 'ja', {SINCE}""",
        f"""INSERT INTO mails (mail_id, order_id, topic, news, correlation_id, status)
            SELECT {ID}, {ID}, 'confirmed', '', UUID(), 'sent'""",
    ],
}


FEW, AT_ONCE = 10_000, 100_000
OF_WHICH_THERE_ARE_FEW = ("INTO products", "INTO stock", "INTO idempotency_keys")
"""However many orders there are: keys are kept for a day."""


def fill(database: Database, n: int) -> None:
    """The schema of a service, with the statistics that go with so many rows."""
    for statement in (*SERVICES[database.schema], *MESSAGING):
        rows = min(n, FEW) if any(table in statement for table in OF_WHICH_THERE_ARE_FEW) else n
        for first in range(1, rows + 1, AT_ONCE):
            database.execute(f"{statement} FROM mysql.seq_{first}_to_{min(first + AT_ONCE - 1, rows)}")
    for table in database._tables():
        database.execute(f"ANALYZE TABLE `{table}`")
