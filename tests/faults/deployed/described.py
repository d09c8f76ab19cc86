"""Requests of every route, made from the API reference: a new route is among them the day that it is described.

What a route owes to a caller comes from its security in the reference alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from localcloud.api import Api
from reference import openapi
from tests.e2e.shop import Answer, new_key, send

DOCUMENT = openapi.document()


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    described: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def who(self) -> str:
        """anyone, customer or staff"""
        [*needed] = self.described["security"]
        return ("staff" if needed[0]["IdToken"] == ["staff"] else "customer") if needed else "anyone"

    @property
    def service(self) -> str:
        [name] = self.described["tags"]
        return str(name)

    @property
    def statuses(self) -> set[int]:
        return {int(status) for status in self.described["responses"]}

    @property
    def owed_to_a_stranger(self) -> set[int]:
        """Public routes do not look at a token, good or bad."""
        return {200} if self.who == "anyone" else {401}

    @property
    def owed_to_another_customer(self) -> set[int]:
        if self.who == "staff":
            return {403}
        return {404} if self.who == "customer" and "{" in self.path else {200, 202}

    def address(self, known: Mapping[str, str]) -> str:
        """`known` are the values of what stands in braces."""
        return self.path.format(**known)

    def body(self, known: Mapping[str, str]) -> str | None:
        """The example of the reference, about what is `known`: each of its products the same would be refused."""
        if "requestBody" not in self.described:
            return None
        reference = self.described["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        [example] = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]["examples"]
        if "lines" in example:
            example = example | {"lines": [line | {"product_id": known["product_id"]} for line in example["lines"][:1]]}
        return json.dumps(example)

    def ask(self, caller: Api, known: Mapping[str, str], **headers: str) -> Answer:
        """With a key of its own if the route takes one."""
        if any(parameter["name"] == "Idempotency-Key" for parameter in self.described["parameters"]):
            headers["Idempotency_Key"] = new_key()
        return send(caller, self.method, self.address(known), self.body(known), **headers)


ROUTES = [
    Route(method.upper(), path, described)
    for path, methods in DOCUMENT["paths"].items()
    for method, described in methods.items()
]
by_name = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)


@dataclass(frozen=True)
class Belongings:
    """What alice has, and nobody else is to see."""

    order_id: str
    product_id: str
    secrets: tuple[str, ...]

    @property
    def known(self) -> dict[str, str]:
        return {"order_id": self.order_id, "product_id": self.product_id}


def judge(status: int, text: str, owed: set[int], secrets: tuple[str, ...]) -> None:
    """Raises AssertionError for another status than is owed, and for an answer with something secret in it."""
    assert status in owed, text
    assert not [secret for secret in secrets if secret in text]
