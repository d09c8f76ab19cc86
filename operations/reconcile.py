"""What orders, payments, the payment provider, inventory and shipping say of the same orders, and where it differs."""

import time
from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import groupby
from typing import Any, NamedTuple

from operations.cloud import Cloud

PATIENCE_SECONDS = 150.0  # what hangs is due again after a minute, and taken up by a sweep within another

Fact = Mapping[str, Any]

# Who is asked what: the services' own consumers, page by page in the order of the orders' identifiers.
BOOKS = {
    "orders": ("orders", "books"),
    "payments": ("payments", "books"),
    "ledger": ("payments", "ledger"),
    "inventory": ("inventory", "books"),
    "shipping": ("shipping", "books"),
}
UNPAID: Fact = {"captured": 0, "refunded": 0}
STANDING, ENDED = {"confirmed", "cancelling", "shipped", "delivered"}, {"rejected", "cancelled", "expired"}
RESERVATION: Mapping[str, set[str | None]] = {
    "placed": {None, "reserved"},
    "reserved": {"reserved"},
    "confirmed": {"reserved"},
    "cancelling": {"reserved"},
    "shipped": {"dispatched"},
    "delivered": {"dispatched"},
    "rejected": {"rejected", "released"},
    "cancelled": {"rejected", "released"},
    "expired": {"rejected", "released"},
}
SHIPMENT: Mapping[str, set[str | None]] = {
    "placed": {None},
    "reserved": {None},
    "confirmed": {"preparing"},
    "cancelling": {"preparing"},
    "shipped": {"dispatched"},
    "delivered": {"delivered"},
    "rejected": {None},
    "cancelled": {None, "cancelled"},
    "expired": {None},
}
"""By an order's status, what inventory and shipping have on record of it."""


class Look(NamedTuple):
    """`compared` counts orders; of `differences` each is a line that names the order and what each says of it."""

    compared: int
    differences: frozenset[str]


def reconcile(cloud: Cloud, patience: float) -> bool:
    """Print each difference that is the same after `patience` seconds, when nothing is on its way any more, and tell
    CloudWatch how many there are, whose alarm wakes somebody. Whether all agree. Raises FunctionFailed."""
    first = look(cloud)
    differences = first.differences
    if differences:
        print(
            f"{len(differences)} differences; those that are still there in {patience:g} s are not of orders underway"
        )
        time.sleep(patience)
        differences &= look(cloud).differences
    for difference in sorted(differences):
        print(difference)
    print(f"{first.compared} orders compared, {len(differences)} differences")
    cloud.client("cloudwatch").put_metric_data(
        Namespace=f"Kumiki/{cloud.environment}",
        MetricData=[{"MetricName": "Differences", "Value": len(differences), "Unit": "Count"}],
    )
    return not differences


def look(cloud: Cloud) -> Look:
    """As it is now, orders underway included. Never holds more than a page of each service."""
    asked = {name: ask for name, ask in BOOKS.items() if ask[0] in cloud.services}
    sides = [_facts(cloud, name, *ask) for name, ask in asked.items()]
    compared, differences = 0, set()
    for order_id, facts in groupby(merge(*sides, key=lambda side: side[0]), key=lambda side: side[0]):
        said = {name: fact for _, name, fact in facts}
        compared += 1
        if faults := list(compare(said, asked)):
            differences.add(f"{order_id}: {', '.join(faults)} ({'; '.join(_told(said, asked))})")
    for row in cloud.pages("inventory", "miscounted", "product_id") if "inventory" in asked else ():
        differences.add(f"product {row['product_id']}: {row['reserved']} reserved, but orders hold {row['held']}")
    return Look(compared, frozenset(differences))


def compare(said: Mapping[str, Fact], asked: Iterable[str] = BOOKS) -> Iterator[str]:
    """What is wrong with one order, if `said` is what each of those `asked` has on record of it."""
    order, payment, ledger = said.get("orders"), said.get("payments", UNPAID), said.get("ledger", UNPAID)
    if order is None and "orders" in asked:
        yield "orders does not know it"
        return
    if any(payment[name] != ledger[name] for name in UNPAID):
        yield "payments and the provider's ledger differ"
    if order is None:
        return
    status = order["status"]
    if "payments" in asked:
        if order["refunded"] != payment["refunded"]:
            yield "orders and payments differ in what went back"
        if status in STANDING and payment["captured"] != order["total"]:
            yield "it stands without being paid"
        if status in ENDED and payment["captured"] != payment["refunded"]:
            yield "it has ended and money is kept"
    for name, allowed in (("inventory", RESERVATION), ("shipping", SHIPMENT)):
        if name in asked and said.get(name, {}).get("status") not in allowed[status]:
            yield f"{name} disagrees"


def _told(said: Mapping[str, Fact], asked: Iterable[str]) -> Iterator[str]:
    for name in asked:
        fields = {field: value for field, value in said.get(name, {}).items() if field != "order_id"}
        yield f"{name}: " + (" ".join(f"{field} {value}" for field, value in fields.items()) or "nothing")


def _facts(cloud: Cloud, name: str, service: str, question: str) -> Iterator[tuple[str, str, Fact]]:
    for row in cloud.pages(service, question, "order_id"):
        yield row["order_id"], name, row
