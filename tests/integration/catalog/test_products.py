"""Products through catalog's own handler, on a real database."""

from functools import partial
from typing import Any
from uuid import UUID

import pytest

from catalog import api, consumer
from common.values import uuid7
from tests.integration.catalog.asking import MUG, YEN_1500, added, faulty, names, public, staff
from tests.integration.database import Database
from tests.integration.environments import Elsewhere
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import ask, on_schedule


def test_an_added_product_is_read_back_as_it_was_given() -> None:
    answer = staff("POST", "/products", MUG)
    assert answer.status == 201
    product_id = answer.json["product_id"]
    assert UUID(product_id).version == 7
    assert answer.json == {"product_id": product_id, **MUG, "retired": False}
    assert public("GET", f"/products/{product_id}").json == answer.json
    assert public("GET", "/products").json == {"items": [answer.json], "next_cursor": None}


def test_a_description_may_be_left_out() -> None:
    answer = staff("POST", "/products", {"name": "Mug", "price": YEN_1500})
    assert (answer.json["description"], answer.json["price"]) == ("", YEN_1500)


def test_the_largest_product_fits() -> None:
    largest = {"name": "🍵" * 100, "description": "'" * 2_000, "price": {"amount": 10_000_000, "currency": "JPY"}}
    answer = staff("POST", "/products", largest)
    assert answer.status == 201
    assert largest.items() <= public("GET", f"/products/{answer.json['product_id']}").json.items()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " \u3000"}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "nul\0"}, "name"),
        ({"name": None}, "name"),
        ({"description": "a" * 2_001}, "description"),
        ({"description": "bell\a"}, "description"),
        ({"description": "return\r\n"}, "description"),
        ({"price": {"amount": 0, "currency": "JPY"}}, "price.amount"),
        ({"price": {"amount": 10_000_001, "currency": "JPY"}}, "price.amount"),
        ({"price": {"amount": 1.5, "currency": "JPY"}}, "price.amount"),
        ({"price": {"amount": 1, "currency": "USD"}}, "price.currency"),
        ({"price": {"amount": 1}}, "price.currency"),
        ({"price": 1_500}, "price"),
        ({"retired": True}, "retired"),
    ],
)
def test_a_faulty_field_is_named_and_nothing_is_written(database: Database, change: Any, field: str) -> None:
    mug, before = added(), database.counts()
    assert faulty(staff("POST", "/products", MUG | change)) == [field]
    assert faulty(staff("PATCH", f"/products/{mug}", change)) == [field]
    assert database.counts() == before
    assert database.value("SELECT revision FROM products") == 1


def test_what_a_change_leaves_out_stays() -> None:
    mug = added()
    for change in ({"name": "Cup"}, {"description": ""}, {"price": {"amount": 2, "currency": "JPY"}}):
        before = public("GET", f"/products/{mug}").json
        answer = staff("PATCH", f"/products/{mug}", change)
        assert answer.status == 200
        assert answer.json == before | change == public("GET", f"/products/{mug}").json


def test_consumers_get_the_whole_product_with_a_revision_that_grows(bus: FakeBus) -> None:
    mug = added()
    staff("PATCH", f"/products/{mug}", {"name": "Cup"})
    staff("DELETE", f"/products/{mug}")
    first = {"product_id": mug, "name": "Mug", "price": YEN_1500, "retired": False, "revision": 1}
    second = first | {"name": "Cup", "revision": 2}
    third = second | {"retired": True, "revision": 3}
    assert bus.types == ["ProductAdded", "ProductChanged", "ProductRetired"]
    assert [detail["data"] for detail in bus.details()] == [first, second, third]


def test_a_change_to_what_is_already_so_is_no_news(bus: FakeBus) -> None:
    mug = added()
    assert staff("PATCH", f"/products/{mug}", MUG).status == 200
    assert staff("PATCH", f"/products/{mug}", {}).status == 200
    assert bus.types == ["ProductAdded"]


def test_a_retired_product_leaves_the_list_and_can_be_read(bus: FakeBus) -> None:
    mug, tray = added("Mug"), added("Tray")
    for _ in ("first", "repeated"):
        answer = staff("DELETE", f"/products/{mug}")
        assert (answer.status, answer.text) == (204, "")
    assert bus.types.count("ProductRetired") == 1
    assert names() == ["Tray"]
    assert names(q="mug") == []
    assert public("GET", f"/products/{mug}").json["retired"] is True
    assert public("GET", f"/products/{tray}").json["retired"] is False


@pytest.mark.parametrize("product_id", [str(uuid7()), "1", "x' OR '1'='1"])
def test_an_unknown_product_is_not_found(product_id: str) -> None:
    assert public("GET", f"/products/{product_id}").status == 404
    assert staff("PATCH", f"/products/{product_id}", {"name": "Cup"}).status == 404
    assert staff("DELETE", f"/products/{product_id}").status == 404


def test_only_staff_change_what_is_sold(database: Database) -> None:
    mug, before = added(), database.counts()
    for caller, status in (({"sub": None}, 401), ({"groups": None}, 403), ({"groups": "staffed"}, 403)):
        assert ask(api.handler, "POST", "/products", MUG, **caller).status == status
        assert ask(api.handler, "PATCH", f"/products/{mug}", {"name": "Cup"}, **caller).status == status
        assert ask(api.handler, "DELETE", f"/products/{mug}", **caller).status == status
    assert database.counts() == before
    assert names() == ["Mug"]


def test_changes_at_the_same_time_are_all_kept_each_with_a_revision_of_its_own(database: Database) -> None:
    # Read without its lock, the product would be written by several with the same revision.
    mug = added()
    work = [Elsewhere(partial(staff, "PATCH", f"/products/{mug}", {"name": f"Mug {number}"})) for number in range(8)]
    assert [one.result().status for one in work] == [200] * 8
    assert database.value("SELECT revision FROM products") == 9


def test_the_schedule_has_something_to_do(database: Database, bus: FakeBus) -> None:
    bus.fail(ConnectionError("away"))
    added()
    assert database.count("outbox") == 1
    bus.recover()
    database.execute("UPDATE outbox SET available_at = NOW(6)")
    on_schedule(consumer.handler)
    assert (database.count("outbox"), bus.types) == (0, ["ProductAdded"])
