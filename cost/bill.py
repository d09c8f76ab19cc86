"""Uses of priced things, and what they come to."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
HOURS = 730
"""Of a month, as AWS counts them."""
MINUTES = 60 * HOURS


class Use(NamedTuple):
    """How much of what has a price: in any month, and for each order of that month, at most so much in all."""

    price: str
    fixed: float = 0
    per_order: float = 0
    most: float = float("inf")

    def of(self, orders: float) -> float:
        return min(self.fixed + self.per_order * orders, self.most)


def prices() -> dict[str, dict[str, Any]]:
    listed = tomllib.loads((HERE / "prices.toml").read_text(encoding="utf-8"))
    return {name: price for name, price in listed.items() if isinstance(price, dict)}


class Traffic(NamedTuple):
    """What is counted of a design, and what is assumed of both."""

    counted: dict[str, Any]
    assumed: dict[str, Any]


def traffic(design: str) -> Traffic:
    tables = tomllib.loads((HERE / "traffic.toml").read_text(encoding="utf-8"))
    return Traffic(tables[design], tables["assumed"])


def sum_of(uses: Iterable[Use], orders: float) -> float:
    """Dollars a month. Raises KeyError for what has no price."""
    listed = prices()
    return sum(float(listed[use.price]["usd"]) * use.of(orders) for use in uses)
