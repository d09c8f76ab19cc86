"""Lists of orders: one's own, newest first, in pages."""

from typing import Any

import pytest

from tests.integration.database import Database
from tests.integration.gateway import ALICE, BOB, STAFF
from tests.integration.orders.shop import MUG, get, placed, sell


@pytest.fixture(autouse=True)
def _products() -> None:
    sell(MUG)


def pages(limit: int, **request: Any) -> list[list[str]]:
    """Identifiers of all orders, a list a page."""
    found: list[list[str]] = []
    query = {"limit": str(limit)}
    while True:
        answer = get("/orders", query=query, **request).json
        found.append([order["order_id"] for order in answer["items"]])
        if answer["next_cursor"] is None:
            return found
        query["cursor"] = answer["next_cursor"]


def several(count: int, sub: str = ALICE) -> list[str]:
    return sorted((placed(sub) for _ in range(count)), reverse=True)


def test_a_list_has_ones_own_orders_newest_first_without_timelines() -> None:
    mine, _ = several(3), several(2, BOB)
    answer = get("/orders").json
    assert [order["order_id"] for order in answer["items"]] == mine
    assert answer["next_cursor"] is None
    assert all("timeline" not in order for order in answer["items"])
    whole = get(f"/orders/{mine[0]}").json
    del whole["timeline"]
    assert answer["items"][0] == whole


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (4, [4, 1]), (5, [5]), (6, [5])])
def test_pages_have_every_order_once(limit: int, sizes: list[int]) -> None:
    mine, _ = several(5), several(1, BOB)
    found = pages(limit)
    assert [len(page) for page in found] == sizes
    assert [order_id for page in found for order_id in page] == mine


def test_an_order_placed_between_two_pages_moves_none() -> None:
    mine = several(4)
    first = get("/orders", query={"limit": "2"}).json
    placed()
    second = get("/orders", query={"limit": "2", "cursor": first["next_cursor"]}).json
    assert [order["order_id"] for order in first["items"] + second["items"]] == mine


def test_staff_see_everybodys() -> None:
    everybody = sorted([*several(3), *several(3, BOB)], reverse=True)
    found = pages(4, sub=STAFF, groups="[staff]")
    assert [order_id for page in found for order_id in page] == everybody


def test_anothers_cursor_shows_none_of_theirs() -> None:
    theirs, mine = several(3, BOB), several(1)
    cursor = get("/orders", sub=BOB, query={"limit": "1"}).json["next_cursor"]
    shown = [order["order_id"] for order in get("/orders", query={"cursor": cursor}).json["items"]]
    assert not set(shown) & set(theirs)
    assert set(shown) <= set(mine)


def test_who_has_no_orders_has_an_empty_list() -> None:
    several(1, BOB)
    assert get("/orders").json == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1; DROP TABLE orders"}, {"cursor": "' OR 1=1"}])
def test_an_odd_query_is_refused(query: dict[str, str]) -> None:
    answer = get("/orders", query=query)
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, next(iter(query)))


def test_a_customers_list_is_read_by_its_index(database: Database) -> None:
    database.execute(
        "INSERT INTO orders"
        " (order_id, customer_id, status, order_lines, total, shipping_address, timeline, correlation_id)"
        " SELECT UNHEX(LPAD(HEX(seq), 32, '0')), CONCAT('customer-', seq MOD 50), 'placed',"
        " '[]', 0, '{}', '[]', '' FROM seq_1_to_2000"
    )
    database.rows("ANALYZE TABLE orders")
    [plan] = database.rows(
        "EXPLAIN SELECT order_id, timeline FROM orders WHERE order_id < UNHEX(REPEAT('ff', 16))"
        " AND customer_id = 'customer-1' ORDER BY order_id DESC LIMIT 21"
    )
    assert plan["key"] == "orders_of_customer"
    assert "filesort" not in (plan["Extra"] or "")
