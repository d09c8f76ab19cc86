"""Stock through inventory's own handlers: known from catalog's events, counted by staff, read by anybody."""

from typing import Any

import pytest

from common.values import uuid7
from inventory import api
from tests.integration.database import Database
from tests.integration.gateway import ask
from tests.integration.inventory.happening import happens, placed, public, staff, stock, stocked


@pytest.mark.parametrize("detail_type", ["ProductAdded", "ProductChanged", "ProductRetired"])
def test_a_product_has_a_stock_of_nothing_from_whichever_event_comes_first(detail_type: str) -> None:
    mug = str(uuid7())
    assert public("GET", f"/stock/{mug}").status == 404
    happens(detail_type, product_id=mug, name="Mug", price={"amount": 1}, retired=False, revision=2)
    answer = public("GET", f"/stock/{mug}")
    assert answer.status == 200
    assert answer.json == {"product_id": mug, "on_hand": 0, "reserved": 0, "available": 0}


def test_later_news_of_a_product_leave_its_stock_alone_and_earlier_ones_its_revision(database: Database) -> None:
    mug = stocked(10)
    placed({mug: 3})
    for revision, kept in ((3, 3), (2, 3), (3, 3), (4, 4)):
        happens("ProductChanged", product_id=mug, revision=revision)
        assert database.value("SELECT revision FROM stock") == kept
    assert stock(mug) == (10, 3, 7)


def test_a_count_is_answered_with_the_stock() -> None:
    mug = stocked(10)
    placed({mug: 3})
    answer = staff("PUT", f"/stock/{mug}", {"on_hand": 1_000_000_000})
    assert answer.status == 200
    assert answer.json == {"product_id": mug, "on_hand": 1_000_000_000, "reserved": 3, "available": 999_999_997}
    assert public("GET", f"/stock/{mug}").json == answer.json


def test_a_count_may_not_go_below_what_orders_hold() -> None:
    mug = stocked(10)
    placed({mug: 3})
    assert staff("PUT", f"/stock/{mug}", {"on_hand": 2}).status == 409
    assert stock(mug) == (10, 3, 7)
    assert staff("PUT", f"/stock/{mug}", {"on_hand": 3}).status == 200
    assert stock(mug) == (3, 3, 0)


@pytest.mark.parametrize("product_id", [str(uuid7()), "1", "x' OR '1'='1"])
def test_an_unknown_product_has_no_stock(product_id: str) -> None:
    assert public("GET", f"/stock/{product_id}").status == 404
    assert staff("PUT", f"/stock/{product_id}", {"on_hand": 1}).status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"on_hand": -1}, "on_hand"),
        ({"on_hand": 1_000_000_001}, "on_hand"),
        ({"on_hand": 1.5}, "on_hand"),
        ({"on_hand": None}, "on_hand"),
        ({}, "on_hand"),
        ({"on_hand": 1, "reserved": 0}, "reserved"),
    ],
)
def test_a_faulty_count_is_named_and_changes_nothing(body: Any, field: str) -> None:
    mug = stocked(10)
    answer = staff("PUT", f"/stock/{mug}", body)
    assert (answer.status, [error["field"] for error in answer.json["errors"]]) == (422, [field])
    assert stock(mug) == (10, 0, 10)


@pytest.mark.parametrize(("caller", "status"), [({"sub": None}, 401), ({"groups": None}, 403)])
def test_only_staff_count(caller: dict[str, Any], status: int) -> None:
    mug = stocked(10)
    assert ask(api.handler, "PUT", f"/stock/{mug}", {"on_hand": 1}, **caller).status == status
    assert stock(mug) == (10, 0, 10)
