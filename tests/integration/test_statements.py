"""What the services really send to their databases, over every use case and the largest order there can be: nothing
that pins a session of RDS Proxy, and no statement above 15 KB. The migrator, which goes past the proxy, is exempt."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from localcloud.mariadb import Server
from notifications.mailer import MailerUnavailable
from tests.integration.conftest import forget
from tests.integration.fake_bus import FakeBus
from tests.integration.fake_post import FakePost
from tests.integration.gateway import BOB, event
from tests.integration.general_log import GeneralLog, Statement, listening
from tests.integration.whole_shop import NAMES, Shop

EMOJI = "😀" * 100
LARGEST_ADDRESS = {
    "name": EMOJI,
    "line1": EMOJI,
    "line2": EMOJI,
    "city": EMOJI,
    "region": EMOJI,
    "postal_code": "A" * 16,
    "country": "JP",
}
ADDRESS = {"name": "Alice", "line1": "1-2-3 Chiyoda", "city": "Tokyo", "postal_code": "100-0001", "country": "JP"}

# Amazon RDS User Guide, "Avoiding pinning an RDS Proxy", for MySQL and MariaDB.
PINNING = {
    "a user variable": r"(?<![\w@])@(?!@)\w",
    "a session variable": r"^\s*SET\b|@@",
    "a prepared statement": r"^\s*(PREPARE|EXECUTE|DEALLOCATE)\b",
    "a lock that outlives its transaction": r"^\s*(UN)?LOCK\s+TABLES?\b|\b(GET|RELEASE)(_ALL)?_LOCKS?\s*\(|^\s*FLUSH\b",
    "a temporary table": r"\bTEMPORARY\b",
    "an executable comment": r"/\*M?!",
    "a change of schema": r"^\s*USE\b",
    "a stored routine": r"^\s*(CALL|DECLARE|HANDLER)\b",
    "rows found or their number": r"\b(SQL_CALC_FOUND_ROWS|FOUND_ROWS\s*\(|ROW_COUNT\s*\()",
    "the definition of data": r"^\s*(CREATE|ALTER|DROP|TRUNCATE|GRANT)\b",
    "more than one statement": r";\s*\S",
}


def without_literals(sql: str) -> str:
    return re.sub(r"'(?:[^'\\]|\\.|'')*'", "''", sql, flags=re.DOTALL)


def pins(statement: Statement) -> list[str]:
    if statement.kind != "Query":
        return [f"a packet of the kind {statement.kind}"]
    sql = without_literals(statement.text)
    return [reason for reason, pattern in PINNING.items() if re.search(pattern, sql, re.IGNORECASE)]


@pytest.fixture(scope="module")
def server(template: Server) -> Iterator[Server]:
    with listening(template) as server:
        yield server


@pytest.fixture
def shop(server: Server, bus: FakeBus, become: Callable[..., None]) -> Shop:
    shop = Shop(server, bus, become)
    shop.empty()
    return shop


@pytest.fixture
def sent(server: Server, shop: Shop) -> GeneralLog:
    log = GeneralLog(server)
    log.clear()
    return log


def product(shop: Shop, number: int, on_hand: int = 1_000) -> str:
    price = {"amount": 10_000_000, "currency": "JPY"}
    fields = {"name": f"{number:02}" + EMOJI[2:], "description": "😀" * 2_000, "price": price}
    product_id = str(shop.staff("catalog", "POST", "/products", fields).json["product_id"])
    shop.settle()
    assert shop.staff("inventory", "PUT", f"/stock/{product_id}", {"on_hand": on_hand}).status == 200
    return product_id


def order(*product_ids: str, **fields: Any) -> dict[str, Any]:
    return {
        "lines": [{"product_id": product_id, "quantity": 999} for product_id in product_ids],
        "payment_method": "tok_visa",
        "shipping_address": LARGEST_ADDRESS,
        **fields,
    }


def place(shop: Shop, request: dict[str, Any], **how: Any) -> str:
    proved = {"email": "a" * 64 + "@example.com", "email_verified": "true", "locale": "en"}
    answer = shop.ask("orders", "POST", "/orders", request, key="~" * 64, claims=proved, **how)
    assert answer.status == 202, answer
    return str(answer.json["order_id"])


def play_everything(shop: Shop, bus: FakeBus, post: FakePost) -> None:
    """Every route and every event, with the largest order there can be."""
    products = [product(shop, number) for number in range(20)]
    scarce = product(shop, 20, on_hand=1)

    largest = place(shop, order(*products))
    assert shop.settle()[-1] == "OrderConfirmed"
    assert place(shop, order(*products)) == largest, "a repeat"
    assert shop.ask("orders", "POST", "/orders", order(scarce), key="~" * 64).status == 422
    place(shop, order(scarce), sub=BOB)
    assert "StockRejected" in shop.settle()
    for card in ("tok_declined", "tok_flaky"):
        shop.staff("inventory", "PUT", f"/stock/{scarce}", {"on_hand": 999})
        place(shop, order(scarce, payment_method=card), sub=card)
        shop.settle()
    for path in (f"/orders/{largest}", "/orders"):
        assert shop.ask("orders", "GET", path).status == 200
        assert shop.staff("orders", "GET", path).status == 200
    assert shop.ask("orders", "GET", f"/orders/{largest}", sub=BOB).status == 404

    assert shop.ask("payments", "GET", f"/payments/{largest}").json["status"] == "captured"
    for key, amount in (("1", {"amount": {"amount": 1, "currency": "JPY"}}), ("2", {})):
        assert shop.staff("payments", "POST", f"/payments/{largest}/refund", amount, key=key).status == 200

    assert shop.ask("shipping", "GET", f"/shipments/{largest}").json["status"] == "preparing"
    assert shop.ask("shipping", "GET", f"/shipments/{largest}", sub=BOB).status == 404
    for step in ("dispatch", "deliver"):
        assert shop.staff("shipping", "POST", f"/shipments/{largest}/{step}").status == 200
        assert shop.staff("shipping", "POST", f"/shipments/{largest}/{step}").status == 200
        shop.settle()
    shop.staff("inventory", "PUT", f"/stock/{scarce}", {"on_hand": 9_999})
    for parcel in ("to be stopped", "gone", "unheard of"):
        order_id = place(shop, order(scarce), sub=parcel)
        if parcel != "unheard of":
            shop.settle()
        if parcel == "gone":
            assert shop.staff("shipping", "POST", f"/shipments/{order_id}/dispatch").status == 200
        assert shop.ask("orders", "POST", f"/orders/{order_id}/cancel", sub=parcel).status == 202
        request = event("CancellationRequested", {"order_id": order_id, "customer_id": parcel})
        assert shop.deliver("shipping", request) == []
        shop.settle()
    assert shop.ask("orders", "GET", f"/orders/{order_id}", sub=parcel).json["status"] == "cancelled"

    assert shop.ask("catalog", "GET", "/products", sub=None, query={"q": EMOJI[2:], "limit": "100"}).status == 200
    assert shop.ask("catalog", "GET", f"/products/{products[0]}", sub=None).status == 200
    assert shop.staff("catalog", "PATCH", f"/products/{products[0]}", {"name": EMOJI}).status == 200
    assert shop.staff("catalog", "DELETE", f"/products/{products[0]}").status == 204
    assert shop.ask("inventory", "GET", f"/stock/{products[0]}", sub=None).status == 200
    shop.settle()

    post.fail(MailerUnavailable())
    refunded = event("PaymentRefunded", {"order_id": largest, "amount": {"amount": 1, "currency": "JPY"}})
    assert shop.deliver("notifications", refunded) == ["m0"]
    post.recover()

    bus.fail(ConnectionError())
    shop.staff("catalog", "PATCH", f"/products/{products[1]}", {"description": "😀" * 2_000})
    place(shop, order(products[1]), sub="another")
    bus.recover()
    for service in NAMES:
        shop.ask(service, "GET", f"/health/{service}", sub=None)
        shop.sweep(service)


def test_nothing_that_is_sent_pins_a_session_or_is_too_long(
    shop: Shop, bus: FakeBus, post: FakePost, sent: GeneralLog
) -> None:
    play_everything(shop, bus, post)
    assert len(post.sent) > 5
    forget()
    statements = sent.statements()
    assert {statement.user for statement in statements} == set(NAMES)
    assert len(statements) > 200
    assert {(statement.text[:200], tuple(pins(statement))) for statement in statements if pins(statement)} == set()
    longest = max(statements, key=lambda statement: len(statement.text.encode()))
    assert len(longest.text.encode()) < 15_000, longest.text[:200]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT @x := 1", "SET @x = 1", "SET time_zone = '+00:00'", "SELECT @@version", "PREPARE s FROM 'SELECT 1'",
        "LOCK TABLES orders READ", "SELECT GET_LOCK('a', 1)", "CREATE TEMPORARY TABLE t (a INT)",
        "/*!50000 SELECT */ 1", "SELECT 1; SELECT 2", "USE orders", "TRUNCATE orders",
        "SELECT SQL_CALC_FOUND_ROWS 1", "CALL p()",
    ],
)  # fmt: skip
def test_what_pins_a_session_would_be_found(sql: str) -> None:
    assert pins(Statement("orders", 1, "Query", sql))


def test_a_prepared_packet_would_be_found_and_a_text_in_quotes_is_none() -> None:
    assert pins(Statement("orders", 1, "Prepare", "SELECT 1"))
    assert not pins(Statement("orders", 1, "Query", "SELECT 'a@b.example', 'SET @x', 'it''s \\' @y', _binary'\\'@z'"))
