"""`python -m cost dev`: the table of an environment, both designs. `python -m cost`: figures into the documents."""

import logging
import re
import sys
from collections.abc import Iterator
from functools import cache

from cost.bill import Use, prices, sum_of, traffic
from cost.stacks import resources
from cost.uses import uses
from localcloud.home import REPOSITORY

ORDERS = {"idle": 0, "10 orders": 10, "1,000,000 orders": 1_000_000}
DESIGNS = {"lambda": "Lambda design", "ecs": "ECS design"}
ENVIRONMENTS = ("dev", "prod")
ASKED_FOR = "endpoints"
"""The group that is there where it is asked for, and in no sum."""
APART = {"mail": "mails", "log-gb": "logs"}
"""What is shown by itself, and not with the resource that makes it."""
SECTION = re.compile(r"<!-- cost -->\n.*?<!-- end -->", re.DOTALL)
DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "docs" / "designs.md"]


@cache
def lines(environment: str, design: str) -> list[tuple[str, str, Use]]:
    """Group, title and use of everything that has a price."""
    model = traffic(design)
    found = [(each, use) for each in resources(environment, design) for use in uses(each, model)]
    return [(each.group, APART.get(use.price, each.kind.removeprefix("AWS::")), use) for each, use in found]


def month(environment: str, design: str, orders: float, *, only: str = "") -> float:
    """Dollars, of one group or of all that are not only there where they are asked for."""
    wanted = (use for group, _, use in lines(environment, design) if (group == only if only else group != ASKED_FOR))
    return sum_of(wanted, orders)


def table(environment: str, design: str) -> Iterator[str]:
    """Every type that costs something, by group; sums of groups and of all."""
    yield f"\n{DESIGNS[design]}, {environment}, dollars a month" + "".join(f"{title:>18}" for title in ORDERS)
    found = lines(environment, design)
    for group in dict.fromkeys(group for group, _, _ in found):
        note = ", where wanted, in no sum" if group == ASKED_FOR else ""
        yield _row(f"{group}{note}", [month(environment, design, orders, only=group) for orders in ORDERS.values()])
        for kind in dict.fromkeys(kind for each, kind, _ in found if each == group):
            used = [use for each, of, use in found if (each, of) == (group, kind)]
            yield _row(f"    {kind}", [sum_of(used, orders) for orders in ORDERS.values()])
    yield _row("together", [month(environment, design, orders) for orders in ORDERS.values()])
    unseen = [use for group, _, use in found if group != ASKED_FOR and "seen" not in prices()[use.price]]
    yield _row("    of that, at prices not verified", [sum_of(unseen, orders) for orders in ORDERS.values()])


def _row(title: str, sums: list[float]) -> str:
    return f"{title:<44}" + "".join(f"{each:>18,.2f}" for each in sums)


def block() -> str:
    """What documents show."""
    columns = [(environment, design) for environment in ENVIRONMENTS for design in DESIGNS]
    rows = ["| Dollars a month | " + " | ".join(f"{DESIGNS[design]}, {env}" for env, design in columns) + " |"]
    rows.append("|---|" + "---|" * len(columns))
    for title, orders in ORDERS.items():
        rows.append(f"| {title} | " + " | ".join(f"{month(*column, orders):,.0f}" for column in columns) + " |")
    pools = [
        sum_of([use for _, kind, use in lines(*column) if kind == "Cognito::UserPool"], max(ORDERS.values()))
        for column in columns
    ]
    rows.append("| of that, customers who sign in | " + " | ".join(f"{each:,.0f}" for each in pools) + " |")
    return "<!-- cost -->\n" + "\n".join(rows) + "\n<!-- end -->"


def main() -> None:
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    if len(sys.argv) > 1:
        if sys.argv[1] not in ENVIRONMENTS:
            sys.exit(f"{sys.argv[1]} costs nothing: say ENV= and one of {', '.join(ENVIRONMENTS)}")
        print("\n".join(line for design in DESIGNS for line in table(sys.argv[1], design)))
        return
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        path.write_text(SECTION.sub(lambda _: block(), text), encoding="utf-8")


if __name__ == "__main__":
    main()
