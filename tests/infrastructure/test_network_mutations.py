"""Whether the assertions about the network notice what they are for: its templates broken in one place at a time."""

import logging
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import pytest

from tests.infrastructure import test_network, test_reachability
from tests.infrastructure.shop_network import Templates, shop, templates
from tests.infrastructure.templates import render
from tests.infrastructure.test_ecs_mutations import MISSING, Path, breakings, name_of

OF_TASTE = re.compile(r"Description$|PolicyName$|Version$|/Tags/|/Name/|/Sid$|RuleNumber|AssociationName|Fn::GetAZs$")
"""Where another value would do as well."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)  # of the translator
    yield
    logging.disable(logging.NOTSET)


def checks(made_of: Templates) -> Iterator[Callable[[], None]]:
    network = render(deepcopy(made_of["network"]), Environment="dev", ZoneCount="3", NatGateways="one-per-zone")
    for check in test_network.CHECKS:
        yield partial(check, network)
    yield lambda: test_network.check_two_zones(render(deepcopy(made_of["network"]), Environment="dev", ZoneCount="2"))
    yield lambda: test_network.check_endpoints(
        render(deepcopy(made_of["endpoints"]), Environment="dev", ContainerEndpoints="true")
    )
    # Three zones with NAT in each: what has a condition is there.
    yield lambda: test_reachability.check_every_pair(shop("prod", made_of, ZoneCount="3"))
    yield lambda: test_reachability.check_every_pair(shop("dev", made_of, ZoneCount="3"))


def noticed(made_of: Templates) -> bool:
    try:
        for check in checks(made_of):
            check()
    except Exception:  # a template that cannot even be rendered has been noticed too
        return True
    return False


def test_what_is_whole_passes() -> None:
    assert not noticed(templates())


@pytest.mark.long
@pytest.mark.parametrize("template", ["network", "endpoints"])
def test_whatever_is_taken_away_or_changed_in_the_network_is_noticed(template: str) -> None:
    survived, count = [], 0
    whole = templates()
    for path, value in breakings(whole[template]["Resources"]):
        if OF_TASTE.search(name_of(path)):
            continue
        count += 1
        if not noticed({**whole, template: broken(whole[template], path, value)}):
            survived.append(f"{name_of(path)} {'gone' if value is MISSING else value}")
    print(f"{count} faults in infra/{template}.yaml")
    assert not survived, "\n".join(survived)


def broken(template: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    changed = deepcopy(template)
    place = changed["Resources"] if len(path) == 1 else changed["Resources"][path[0]]["Properties"]
    for name in path[1:-1]:
        place = place[name]
    if value is MISSING:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return changed
