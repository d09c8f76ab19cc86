"""Catalog, asked as a visitor and as staff do."""

from functools import partial

from catalog import api
from tests.integration.gateway import STAFF, Answer, ask

public = partial(ask, api.handler, sub=None)
staff = partial(ask, api.handler, sub=STAFF, groups="staff")
YEN_1500 = {"amount": 1_500, "currency": "JPY"}
MUG = {"name": "Mug", "description": "Holds tea.\n\tOr coffee.", "price": YEN_1500}


def added(name: str = "Mug") -> str:
    answer = staff("POST", "/products", MUG | {"name": name})
    assert answer.status == 201, answer.text
    return str(answer.json["product_id"])


def names(**query: str) -> list[str]:
    answer = public("GET", "/products", query=query)
    assert answer.status == 200, answer.text
    return [product["name"] for product in answer.json["items"]]


def faulty(answer: Answer) -> list[str]:
    assert answer.status == 422, answer.text
    return [error["field"] for error in answer.json["errors"]]
