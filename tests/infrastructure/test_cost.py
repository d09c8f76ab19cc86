"""Everything in the templates has a price, or a reason to have none; documents show what it comes to today."""

import datetime
import re
import subprocess
from pathlib import Path

import pytest

from cost.__main__ import DESIGNS, DOCUMENTS, ENVIRONMENTS, ORDERS, SECTION, block, lines, month
from cost.bill import prices, traffic
from cost.free import FREE
from cost.stacks import resources
from cost.uses import PRICED, uses
from localcloud.home import virtual_environment
from tests.infrastructure.templates import ROOT

EVERYWHERE = [(environment, design) for environment in ENVIRONMENTS for design in DESIGNS]


@pytest.mark.parametrize(("environment", "design"), EVERYWHERE)
def test_every_resource_is_of_a_type_of_which_it_is_said_what_it_costs(environment: str, design: str) -> None:
    for resource in resources(environment, design):
        uses(resource, traffic(design))


@pytest.mark.parametrize(("environment", "design"), EVERYWHERE)
def test_a_nested_stack_is_counted_as_often_as_it_is_there(environment: str, design: str) -> None:
    kinds = [(resource.kind, resource.properties) for resource in resources(environment, design)]
    queues = {str(each["QueueName"]) for kind, each in kinds if kind == "AWS::SQS::Queue" and "RedrivePolicy" in each}
    services = [kind for kind, _ in kinds if kind == "AWS::ECS::Service"]
    assert (len(queues), len(services)) == {"lambda": (5, 0), "ecs": (0, 6)}[design]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_figures_of_tasks_which_have_no_price_here_are_not_asked_for(environment: str) -> None:
    clusters = [each.properties for each in resources(environment, "ecs") if each.kind == "AWS::ECS::Cluster"]
    assert [each["ClusterSettings"][0]["Value"] for each in clusters] == ["disabled", "disabled"]


def test_no_type_is_both_priced_and_free() -> None:
    assert not PRICED.keys() & FREE.keys()
    assert all(FREE.values())


def test_every_price_is_used_or_of_another_size_has_a_unit_and_is_not_of_tomorrow() -> None:
    used = {use.price for place in EVERYWHERE for _, _, use in lines(*place)}
    sizes = {name for name in prices() if name.startswith(("rds-db", "user-month", "firewall")) or "x86" in name}
    assert prices().keys() - used - sizes <= {"trace"}
    for price in prices().values():
        assert price["usd"] > 0
        assert price["per"]
        assert isinstance(price.get("seen", datetime.date.min), datetime.date)


@pytest.mark.parametrize(("environment", "design"), EVERYWHERE)
def test_groups_come_to_the_whole_and_more_orders_cost_more(environment: str, design: str) -> None:
    groups = {group for group, _, _ in lines(environment, design)} - {"endpoints"}
    sums = [month(environment, design, orders) for orders in ORDERS.values()]
    assert sums == sorted(set(sums))
    for orders, whole in zip(ORDERS.values(), sums, strict=True):
        assert whole == pytest.approx(sum(month(environment, design, orders, only=group) for group in groups))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_documents_show_what_it_comes_to_today_within_a_tenth(document: Path) -> None:
    [shown] = SECTION.findall(document.read_text(encoding="utf-8"))
    pattern = r"(?<=\| )[\d,]+(?= \|)"
    assert re.sub(pattern, "", shown) == re.sub(pattern, "", block())
    figures = [[float(each.replace(",", "")) for each in re.findall(pattern, text)] for text in (shown, block())]
    assert figures[0] == pytest.approx(figures[1], rel=0.1), "say: make docs"
    assert len(figures[0]) == len(EVERYWHERE) * (len(ORDERS) + 1)


def test_what_is_said_of_an_order_is_what_is_reckoned_with() -> None:
    counted, assumed = traffic("lambda")
    said = "{events} events, {messages} messages,\n{mails} mails, {requests} requests"
    numbers = {"events": "seven", "messages": sum(counted["messages"].values()), "mails": "three"}
    text = (ROOT / "docs" / "designs.md").read_text(encoding="utf-8")
    assert said.format(**numbers, requests=sum(assumed["requests"].values())) in text
    assert (counted["events"], counted["mails"]) == (7, 3)


def test_the_command_shows_both_designs() -> None:
    command = [virtual_environment("dev") / "bin" / "python", "-m", "cost"]
    shown = subprocess.run([*command, "prod"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.count("\ntogether") == shown.count("at prices not verified") == len(DESIGNS)
    assert subprocess.run([*command, "local"], cwd=ROOT, capture_output=True).returncode == 1
