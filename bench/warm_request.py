"""Processor seconds of one request in a function that runs already, from the event's JSON to the answer's, without the
database: a bare function, routes of ours, and two of them written the usual way."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import lambdas, samples, shop
from bench.bus import bus
from bench.cold_start import HANDLERS
from bench.lambdas import Failed, Function
from bench.measuring import Comparison, Variants

ROUNDS = 7
BARE = "bare"
ROUTES = {
    "GET /orders/{order_id}": "OrdersApi",
    "POST /orders": "OrdersApi",
    "GET /products": "CatalogApi",
    "GET /stock/{product_id}": "InventoryApi",
    "GET /payments/{order_id}": "PaymentsApi",
}
USUAL = {route: f"the usual {route}" for route, function in ROUTES.items() if function == "OrdersApi"}
LIGHT = "the usual POST /orders, no keys"

COMPARISONS = [
    *[Comparison(f"{route}, × bare", route, BARE, at_most=8) for route in ROUTES],
    *[Comparison(f"{route} written the usual way, × ours", usual, route, at_least=3) for route, usual in USUAL.items()],
    Comparison("POST /orders the usual way without idempotency keys, × ours", LIGHT, "POST /orders"),
]


@contextmanager
def variants() -> Iterator[Variants]:
    lambdas.build()
    with shop.database() as server, bus(0) as address:
        variables = {"AWS_ENDPOINT_URL": address, "KEYS_TABLE": "keys"}
        samples.prepare(server, variables)
        usual, light = (
            Function(f"{name}.handler", HANDLERS, [lambdas.usual()], shop.settings("orders", server) | variables)
            for name in ("keyed", "usual")
        )
        functions = {
            name: lambdas.built(name, shop.settings(lambdas.service(name), server) | variables)
            for name in ROUTES.values()
        }
        place = samples.sample("OrdersApi/place_order")
        events = {
            "POST /orders": place,
            "GET /products": samples.sample("CatalogApi/list_products"),
            "GET /stock/{product_id}": samples.sample("InventoryApi/read_stock"),
            "GET /payments/{order_id}": samples.sample("PaymentsApi/read_payment"),
        }
        yield {
            BARE: _request(Function("bare.handler", HANDLERS), place),
            "GET /orders/{order_id}": _request(functions["OrdersApi"], _reading(functions["OrdersApi"], place)),
            **{route: _request(functions[ROUTES[route]], event) for route, event in events.items()},
            USUAL["GET /orders/{order_id}"]: _request(usual, _reading(usual, place)),
            USUAL["POST /orders"]: _request(usual, place),
            LIGHT: _request(light, place),
        }


def _reading(function: Function, place: dict[str, Any]) -> dict[str, Any]:
    """Of an order that the function has placed by itself: each has its own way to keep one."""
    [placed] = samples.ask(function, samples.anew(place))
    return samples.reading(json.loads(placed["body"])["order_id"])


def _request(function: Function, event: dict[str, Any]) -> Callable[[], float]:
    def measured() -> float:
        command: list[str | Path] = [lambdas.RUNTIME, HANDLERS / "loop.py", function.handler]
        done = subprocess.run(
            command,
            cwd=function.folder,
            env=lambdas.environment(function),
            input=json.dumps(samples.anew(event) if event["httpMethod"] == "POST" else event).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        if done.returncode:
            raise Failed(done.stderr.decode(errors="replace"))
        found = json.loads(done.stderr.splitlines()[-1])
        if found["status"] >= 300 or found["answers"] < 2:
            raise Failed(str(found))
        return float(found["seconds"])

    return measured
