"""The sample events of events/ as requests of a benchmark: what they tell of is there, and each is a new one."""

import json
import re
from typing import Any

from bench.lambdas import Function, built, service, started
from bench.shop import settings
from common.values import uuid7
from localcloud.home import REPOSITORY
from localcloud.mariadb import Server

_ORDER = re.compile(r"019a0c5e-[0-9a-f-]{27}|2b1f0a9c-sample-order")
"""The sample order's identifier, its events' and its key. Products have others."""
_PRODUCTS = ("019a0c40-1f00-7a10-9c01-5b7d3e2f4a11", "019a0c40-1f35-7b22-8e02-6c8e4f3a5b22")


class Refused(Exception):
    """A function answered with anything but success."""


def sample(name: str) -> dict[str, Any]:
    """As it is: `OrdersApi/place_order`."""
    event: dict[str, Any] = json.loads((REPOSITORY / "events" / f"{name}.json").read_text(encoding="utf-8"))
    return event


def anew(event: dict[str, Any]) -> dict[str, Any]:
    """The same of another order, with another key: nobody has seen it before."""
    names: dict[str, str] = {}
    text = _ORDER.sub(lambda found: names.setdefault(found[0], str(uuid7())), json.dumps(event))
    return dict(json.loads(text))


def reading(order_id: str) -> dict[str, Any]:
    """GET /orders/{order_id}, by the customer of the samples."""
    event = sample("OrdersApi/cancel_order")
    route = {"resource": "/orders/{order_id}", "path": f"/orders/{order_id}", "httpMethod": "GET"}
    return event | route | {"pathParameters": {"order_id": order_id}, "body": None}


def accepted(answer: Any) -> Any:
    """The answer. Raises Refused."""
    status = answer.get("statusCode", 200)
    if status >= 300 or answer.get("batchItemFailures"):
        raise Refused(json.dumps(answer))
    return answer


def ask(function: Function, *events: dict[str, Any]) -> list[Any]:
    """What a fresh environment of the function answers. Raises Refused."""
    with started(function) as running:
        return [accepted(running.invoke(event)[0]) for event in events]


def prepare(server: Server, variables: dict[str, str]) -> None:
    """Make true what the samples take for granted, by the functions themselves."""
    products = [
        json.loads(json.dumps(sample("OrdersConsumer/product_added")).replace(_PRODUCTS[0], product))
        for product in _PRODUCTS
    ]
    count = json.dumps(sample("InventoryApi/count_stock"))
    for name, events in {
        "OrdersConsumer": map(anew, products),
        "InventoryConsumer": map(anew, products),
        "InventoryApi": [json.loads(count.replace(_PRODUCTS[0], product)) for product in _PRODUCTS],
        "PaymentsConsumer": [sample("PaymentsConsumer/order_placed")],
        "ShippingConsumer": [sample("ShippingConsumer/order_confirmed")],
    }.items():
        ask(built(name, settings(service(name), server) | variables), *events)
