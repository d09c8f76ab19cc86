"""Seconds from the start of a process to the answer of its first request: the built artifact of every function that
serves, in Lambda's own client for Python, with a database over verified TLS at 1 ms. Beside it bare functions, and two
routes of orders written the usual way, once as `sam build` ships that, without bytecode, and once with it.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import lambdas, samples, shop
from bench.bus import bus
from bench.far import far
from bench.lambdas import Function, started
from bench.measuring import Comparison, Variants

ROUNDS = 10
REQUESTS = {
    "CatalogApi": "list_products",
    "CatalogConsumer": "sweep",
    "InventoryApi": "read_stock",
    "InventoryConsumer": "product_added",
    "PaymentsApi": "read_payment",
    "PaymentsConsumer": "order_placed",
    "ShippingApi": "read_shipment",
    "ShippingConsumer": "order_confirmed",
    "NotificationsApi": "health",
    "NotificationsConsumer": "contact_given",
    "OrdersConsumer": "product_added",
}
"""By function, the sample event that is its first request. Those of OrdersApi are below."""
BARE, QUERY = "bare", "bare, one query"
READ, PLACE = "OrdersApi read_order", "OrdersApi place_order"
USUAL_READ, USUAL_PLACE = "the usual read_order", "the usual place_order"
LIGHT_READ, LIGHT_PLACE = "the usual read_order, no keys", "the usual place_order, no keys"
COMPILED = "the usual read_order, compiled"
OURS = [f"{function} {request}" for function, request in REQUESTS.items()] + [READ, PLACE]

HANDLERS = Path(__file__).with_name("handlers")

COMPARISONS = [
    Comparison("bare with PyMySQL and one query, × bare", QUERY, BARE),
    *[Comparison(f"{name}, × bare", name, BARE, at_most=4) for name in OURS],
    Comparison("read_order written the usual way, × ours", USUAL_READ, READ, at_least=8),
    Comparison("place_order written the usual way, × ours", USUAL_PLACE, PLACE, at_least=8),
    Comparison("read_order the usual way without idempotency keys, × ours", LIGHT_READ, READ),
    Comparison("place_order the usual way without idempotency keys, × ours", LIGHT_PLACE, PLACE),
    Comparison("read_order the usual way with bytecode, × ours", COMPILED, READ),
    Comparison("read_order written the usual way, × bare", USUAL_READ, BARE),
]


@contextmanager
def variants() -> Iterator[Variants]:
    lambdas.build()
    with shop.database() as near, far(near, 1) as server, bus(0) as address:
        variables = {"AWS_ENDPOINT_URL": address, "KEYS_TABLE": "keys"}
        samples.prepare(near, variables)

        def ours(name: str) -> Function:
            return lambdas.built(name, shop.settings(lambdas.service(name), server) | variables)

        def other(handler: str, *layers: Path) -> Function:
            return Function(f"{handler}.handler", HANDLERS, layers, shop.settings("orders", server) | variables)

        def reads(function: Function) -> Callable[[], float]:
            [placed] = samples.ask(function, place())
            return _first(function, lambda: samples.reading(json.loads(placed["body"])["order_id"]))

        def place() -> dict[str, Any]:
            return samples.anew(samples.sample("OrdersApi/place_order"))

        usual, light = other("keyed", lambdas.usual()), other("usual", lambdas.usual())
        yield {
            BARE: _first(other("bare"), dict),
            QUERY: _first(other("query", lambdas.LAYER), dict),
            **{f"{name} {event}": _first(ours(name), _sampled(name, event)) for name, event in REQUESTS.items()},
            READ: reads(ours("OrdersApi")),
            PLACE: _first(ours("OrdersApi"), place),
            USUAL_READ: reads(usual),
            USUAL_PLACE: _first(usual, place),
            LIGHT_READ: reads(light),
            LIGHT_PLACE: _first(light, place),
            COMPILED: reads(other("keyed", lambdas.compiled(lambdas.usual()))),
        }


def _sampled(function: str, name: str) -> Callable[[], dict[str, Any]]:
    event = samples.sample(f"{function}/{name}")
    return lambda: event if function.endswith("Api") else samples.anew(event)


def _first(function: Function, event: Callable[[], dict[str, Any]]) -> Callable[[], float]:
    """Seconds to the answer of the first request."""

    def measured() -> float:
        with started(function) as running:
            answer, seconds = running.invoke(event())
        samples.accepted(answer)
        return seconds

    return measured
