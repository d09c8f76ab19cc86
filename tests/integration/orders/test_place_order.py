"""Placing orders: both the order and its event, or neither; and once for a key."""

import io
from datetime import UTC, datetime
from uuid import UUID

import pytest
from msgspec import json

from common.configuration import configuration
from common.connection import kept
from common.database import transaction
from common.observability import correlate, logger
from common.values import uuid7
from orders import models, use_cases
from orders.domain import Customer, Product
from tests.integration.database import Database
from tests.integration.environments import Elsewhere
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import BOB, STAFF
from tests.integration.orders.shop import ADDRESS, MUG, POT, get, order_of, placed, post, product_id, sell


class Crash(Exception):
    pass


@pytest.fixture(autouse=True)
def _products() -> None:
    sell(MUG)
    sell(POT, name="Pot", price={"amount": 3_000, "currency": "JPY"})


def test_an_order_is_answered_as_it_was_placed(database: Database) -> None:
    answer = post(order_of((MUG, 2), (POT, 1)))
    order = answer.json
    assert answer.status == 202
    assert (order["status"], order["customer_id"]) == ("placed", "alice-sub")
    assert order["lines"][0] == {
        "product_id": MUG,
        "name": "Mug",
        "quantity": 2,
        "unit_price": {"amount": 800, "currency": "JPY"},
        "amount": {"amount": 1_600, "currency": "JPY"},
    }
    assert order["total"] == {"amount": 4_600, "currency": "JPY"}
    assert {name: value for name, value in order["shipping_address"].items() if value is not None} == ADDRESS
    assert order["created_at"] == order["updated_at"] == order["timeline"][0]["at"]
    assert order["created_at"].endswith("Z")
    assert [(step["status"], step["reason"]) for step in order["timeline"]] == [("placed", None)]
    assert get(f"/orders/{order['order_id']}").json == order


def test_an_order_is_announced_with_what_others_need_and_no_address(bus: FakeBus) -> None:
    answer = post(order_of((MUG, 2), (POT, 1)), request_id="the-request")
    [detail] = bus.details("OrderPlaced")
    assert detail["data"] == {
        "order_id": answer.json["order_id"],
        "customer_id": "alice-sub",
        "lines": [{"product_id": MUG, "quantity": 2}, {"product_id": POT, "quantity": 1}],
        "total": {"amount": 4_600, "currency": "JPY"},
        "payment_method": "tok_visa",
    }
    assert (detail["correlation_id"], detail["causation_id"], detail["version"]) == ("the-request", None, 1)


@pytest.mark.parametrize(
    ("claims", "headers", "email", "locale"),
    [
        ({"email": "a@example.com", "email_verified": "true"}, {}, "a@example.com", "ja"),
        ({"email": "a@example.com", "email_verified": True}, {}, "a@example.com", "ja"),
        ({"email": "a@example.com", "email_verified": "false"}, {}, None, "ja"),
        ({"email": "a@example.com"}, {}, None, "ja"),
        ({"locale": "en-US"}, {"Accept-Language": "ja"}, None, "en"),
        ({"locale": "ja_JP"}, {"Accept-Language": "en"}, None, "ja"),
        ({}, {"Accept-Language": "ja-JP,en;q=0.5"}, None, "ja"),
        ({}, {"Accept-Language": "fr"}, None, "en"),
        ({}, {"Accept-Language": "*"}, None, "ja"),
    ],
)
def test_how_to_reach_the_customer_is_told_apart_and_only_if_the_address_is_theirs(
    bus: FakeBus, claims: dict[str, object], headers: dict[str, str], email: str | None, locale: str
) -> None:
    order_id = post(order_of((MUG, 1)), claims=claims, headers=headers).json["order_id"]
    [detail] = bus.details("ContactGiven")
    assert detail["data"] == {"order_id": order_id, "customer_id": "alice-sub", "email": email, "locale": locale}
    assert "a@example.com" not in str(bus.details("OrderPlaced"))


def test_the_log_of_a_request_names_the_order_that_it_made_and_none_that_was_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    order_id = post(order_of((MUG, 2)), key="k").json["order_id"]
    post(order_of((MUG, 2)), key="k")
    first, second = [json.decode(line) for line in log.getvalue().splitlines()]
    assert (first["about"], "about" in second) == ({"order_id": order_id}, False)
    assert not [text for text in (*ADDRESS.values(), "alice-sub") if text in log.getvalue()]


def test_an_order_and_its_event_are_kept_together_or_not_at_all(database: Database, bus: FakeBus) -> None:
    correlate("the-request")
    bus.fail(ConnectionError())
    request = json.decode(json.encode(order_of((MUG, 2))), type=models.PlaceOrder)
    alice, mugs = Customer("alice", None, "ja"), {UUID(MUG): Product("Mug", 800)}
    with pytest.raises(Crash), transaction() as tx:
        use_cases.place_order(tx, uuid7(), alice, request, mugs, datetime.now(UTC))
        raise Crash
    assert (database.count("orders"), database.count("outbox")) == (0, 0)

    with transaction() as tx:
        use_cases.place_order(tx, uuid7(), alice, request, mugs, datetime.now(UTC))
    assert (database.count("orders"), database.count("outbox")) == (1, 2)


def test_a_repeat_has_the_same_bytes_and_places_nothing(database: Database, bus: FakeBus) -> None:
    first, second = (post(order_of((MUG, 2)), key="k") for _ in range(2))
    assert (first.status, first.text) == (second.status, second.text)
    assert (database.count("orders"), bus.types.count("OrderPlaced")) == (1, 1)


def test_a_repeat_is_answered_though_the_product_has_been_retired_since(database: Database) -> None:
    first = post(order_of((MUG, 2)), key="k")
    database.execute("UPDATE products SET retired = 1")
    assert post(order_of((MUG, 2)), key="k").text == first.text


def test_a_key_with_another_order_is_refused(database: Database) -> None:
    post(order_of((MUG, 2)), key="k")
    assert post(order_of((MUG, 3)), key="k").status == 422
    assert post(order_of((MUG, 3)), key="k", sub=BOB).status == 202
    assert database.count("orders") == 2


def test_the_same_order_sent_five_times_at_once_is_placed_once(database: Database) -> None:
    all_of_them = [Elsewhere(lambda: post(order_of((MUG, 2)), key="k")) for _ in range(5)]
    answers = {(answer.status, answer.text) for answer in (one.result() for one in all_of_them)}
    assert len(answers) == 1
    assert (database.count("orders"), database.count("idempotency_keys")) == (1, 1)


def test_a_bus_that_fails_does_not_fail_the_order(database: Database, bus: FakeBus) -> None:
    bus.fail(ConnectionError())
    assert post(order_of((MUG, 2))).status == 202
    assert database.count("outbox") == 2


def test_without_a_database_the_customer_is_told_to_come_back_and_served_after_its_return(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setenv("DATABASE_PORT", "1")
        configuration.cache_clear()
        kept().drop()
        answer = post(order_of((MUG, 2)), key="k")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert answer.headers["Content-Type"] == "application/problem+json"
    configuration.cache_clear()
    assert post(order_of((MUG, 2)), key="k").status == 202


def test_an_order_in_the_middle_of_a_failover_is_placed(database: Database) -> None:
    placed()
    database.kill_connections()
    placed()
    assert database.count("orders") == 2


def test_a_later_price_does_not_change_an_order() -> None:
    order_id = placed()
    sell(MUG, revision=2, price={"amount": 1, "currency": "JPY"}, name="Cheap")
    order = get(f"/orders/{order_id}").json
    assert (order["lines"][0]["name"], order["total"]["amount"]) == ("Mug", 1_600)


def test_health_is_that_of_the_database(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    assert get("/health/orders", sub=None).status == 200
    kept().drop()
    monkeypatch.setenv("DATABASE_PORT", "1")
    configuration.cache_clear()
    assert get("/health/orders", sub=None).status == 503


def test_another_customers_order_is_not_there() -> None:
    order_id = placed()
    answer = get(f"/orders/{order_id}", sub=BOB)
    assert (answer.status, answer.json["detail"]) == (404, f"there is no order {order_id}")
    missing = get(f"/orders/{product_id(99)}", sub=BOB)
    assert {**missing.json, "detail": "", "request_id": ""} == {**answer.json, "detail": "", "request_id": ""}
    assert get(f"/orders/{order_id}", sub=STAFF, groups=["staff"]).status == 200


@pytest.mark.parametrize("lookalike", ["ABC-customer", "äbc-customer", "abc-customer ", "abc-customer\0"])
def test_nobody_is_another_customer_by_case_accent_or_blank(lookalike: str) -> None:
    order_id = placed(sub="abc-customer")
    assert get(f"/orders/{order_id}", sub="abc-customer").status == 200
    assert get(f"/orders/{order_id}", sub=lookalike).status == 404
    assert get("/orders", sub=lookalike).json["items"] == []


@pytest.mark.parametrize("order_id", ["x", "1", "' OR 1=1 --", "0" * 32, "%27", "null", "😀"])
def test_a_malformed_id_is_of_no_order(order_id: str) -> None:
    placed()
    answer = get(f"/orders/{order_id}", sub=STAFF, groups=["staff"])
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["/orders", f"/orders/{MUG}"])
def test_without_a_token_there_is_nothing_to_see(path: str) -> None:
    assert get(path, sub=None).status == 401
    assert get(path, claims={"token_use": "access"}).status == 401
