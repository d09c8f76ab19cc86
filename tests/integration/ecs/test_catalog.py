"""Orders and inventory ask catalog for products."""

from tests.integration.ecs.called import Called

MUG = {"name": "Mug", "description": "of clay", "price": {"amount": 800, "currency": "JPY"}}


def added(called: Called) -> str:
    answer = called.staff("POST", "/products", MUG)
    assert answer.status == 201, answer.text
    return str(answer.json["product_id"])


def test_products_are_told_as_they_are_sold_today(called: Called) -> None:
    mug = added(called)
    called.staff("PATCH", f"/products/{mug}", {"name": "Large mug"})
    [told] = called.internal("GET", f"/products?ids={mug}").json["items"]
    price = {"amount": 800, "currency": "JPY"}
    assert told == {"product_id": mug, "name": "Large mug", "price": price, "retired": False, "revision": 2}


def test_what_is_retired_is_told_and_what_never_was_is_left_out(called: Called) -> None:
    mug, pot, never = added(called), added(called), "019a0c40-1f00-7a10-9c01-5b7d3e2f4a11"
    called.staff("DELETE", f"/products/{pot}")
    told = called.internal("GET", f"/products?ids={mug},{never},{pot}").json["items"]
    assert {item["product_id"]: item["retired"] for item in told} == {mug: False, pot: True}


def test_nobody_asks_for_what_cannot_be_or_for_too_much(called: Called) -> None:
    asked = ["", "?ids=", "?ids=mug", f"?ids={','.join([added(called)] * 101)}"]
    assert [called.internal("GET", f"/products{query}").status for query in asked] == [404, 404, 404, 422]


def test_changes_of_products_are_told_to_nobody(called: Called) -> None:
    added(called)
    assert (called.journal(), called.database.count("outbox"), called.around.asked) == ([], 0, [])
