"""Who can open a TCP connection to whom, at which ports, in dev and prod: all pairs of what has a network interface."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any

import pytest

from tests.infrastructure.ecs_design import EDGES
from tests.infrastructure.shop_network import Shop, Templates, shop, templates

KINDS_THAT_CALL_AWS = ("function", "migrator", "task")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)  # of the translator
    yield
    logging.disable(logging.NOTSET)


@cache
def whole(environment: str) -> Shop:
    return shop(environment)


@pytest.fixture(params=["dev", "prod"])
def deployed(request: pytest.FixtureRequest) -> Shop:
    return whole(request.param)


def wanted(a: str, b: str) -> set[int]:
    """The ports of `b` that `a` has a reason to connect to."""
    match a.split()[0], b.split()[0]:
        case ("function" | "task", "proxy") | ("migrator" | "proxy", "database"):
            return {3306}
        case ("link", "load"):
            return {80}
        case ("load", "task"):
            return {8080}
        case ("task", "task") if (a.split()[1], b.split()[1]) in EDGES:
            return {8080}
        case (kind, "internet" | "endpoint") if kind in KINDS_THAT_CALL_AWS:
            return {443}
    return set()


def check_every_pair(deployed: Shop) -> None:
    wrong = {}
    for a, b in product(deployed.ends, repeat=2):
        from_everywhere, from_somewhere = deployed.net.open_ports(deployed.ends[a], deployed.ends[b])
        if not from_everywhere == from_somewhere == wanted(a, b):
            wrong[a, b] = (from_everywhere, from_somewhere)
    assert not wrong


def test_each_pair_connects_at_the_ports_it_has_a_reason_for_from_every_zone_and_at_no_other(deployed: Shop) -> None:
    kinds = Counter(name.split()[0] for name in deployed.ends)
    one_each = dict.fromkeys(["internet", "proxy", "database", "load", "link"], 1)
    assert kinds == {"function": 12, "migrator": 2, "task": 6, "endpoint": 4, **one_each}
    check_every_pair(deployed)


SENTENCES = [
    ("function OrdersApi", "proxy", 3306, True),
    ("function OrdersApi", "database", 3306, False),
    ("task orders", "proxy", 3306, True),
    ("task orders", "database", 3306, False),
    ("migrator Migrator", "database", 3306, True),
    ("migrator task", "database", 3306, True),
    ("migrator Migrator", "proxy", 3306, False),
    ("proxy", "database", 3306, True),
    ("database", "proxy", 3306, False),
    ("internet", "load balancer", 80, False),
    ("internet", "task orders", 8080, False),
    ("internet", "database", 3306, False),
    ("proxy", "internet", 443, False),
    ("database", "internet", 443, False),
    ("function OrdersApi", "internet", 443, True),
    ("function OrdersApi", "internet", 80, False),
    ("task orders", "task payments", 8080, True),
    ("task payments", "task inventory", 8080, False),
    ("load balancer", "task orders", 8080, True),
    ("load balancer", "proxy", 3306, False),
]


@pytest.mark.parametrize(("a", "b", "port", "answer"), SENTENCES, ids=[f"{a} to {b} {p}" for a, b, p, _ in SENTENCES])
def test_it_is_so(deployed: Shop, a: str, b: str, port: int, answer: bool) -> None:
    assert deployed.net.can_open(deployed.ends[a], deployed.ends[b], port) is answer


def test_whatever_has_a_network_interface_names_its_security_groups_and_none_is_the_default_one(deployed: Shop) -> None:
    known = {name for name, _ in deployed.net.groups}
    for name, end in deployed.ends.items():
        assert name == "internet" or (end.groups and set(end.groups) <= known), name
        assert name == "internet" or set(end.subnets) <= deployed.net.subnets.keys(), name


def test_what_runs_our_code_is_in_protected_subnets_and_what_keeps_data_in_private_ones(deployed: Shop) -> None:
    for name, end in deployed.ends.items():
        tier = "Private" if name in ("proxy", "database") else "Protected"
        assert all(subnet.startswith(tier) for subnet in end.subnets), name


def test_there_is_no_bastion(deployed: Shop) -> None:
    machines = (
        "AWS::EC2::Instance",
        "AWS::EC2::LaunchTemplate",
        "AWS::EC2::KeyPair",
        "AWS::EC2::InstanceConnectEndpoint",
    )
    assert not [kind for stack in deployed.stacks for kind in machines if stack.of_type(kind)]


# Controls: what is broken on purpose changes the answer.

Breaking = Callable[[Templates], Any]


def put(template: str, path: str, value: Any) -> Breaking:
    *way, last = path.split("/")

    def breaking(made_of: Templates) -> None:
        place = made_of[template]["Resources"]
        for name in way:
            place = place[int(name) if isinstance(place, list) else name]
        if value is None:
            del place[int(last) if isinstance(place, list) else last]
        else:
            place[int(last) if isinstance(place, list) else last] = value

    return breaking


EVERYTHING = [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]
DENIED = {
    "Type": "AWS::EC2::NetworkAclEntry",
    "Properties": {"NetworkAclId": {"Ref": "PrivateAcl"}, "RuleNumber": 90, "Protocol": -1, "RuleAction": "deny",
                   "CidrBlock": "10.20.64.7/32", "Egress": True},
}  # fmt: skip
OPEN_PROXY = [
    put("network", "PrivateRouteTableOfA/Properties/RouteTableId", {"Ref": "ProtectedRouteTableA"}),
    put("network", "PrivateRouteTableOfB/Properties/RouteTableId", {"Ref": "ProtectedRouteTableB"}),
    put("database", "ProxySecurityGroup/Properties/SecurityGroupEgress", EVERYTHING),
    put("database", "ProxySecurityGroup/Properties/SecurityGroupIngress", EVERYTHING),
]
CONTROLS: dict[str, tuple[list[Breaking], str, str, int, set[bool]]] = {
    "the ACL takes no queries": ([put("network", "QueriesIn", None)], "function OrdersApi", "proxy", 3306, {False}),
    "the ACL lets no answers out": ([put("network", "AnswersOut", None)], "function OrdersApi", "proxy", 3306, {False}),
    "answers go to the upper ports alone": (
        [put("network", "AnswersOut/Properties/PortRange/From", 32768)], "function OrdersApi", "proxy", 3306, {False}),
    "the ACL denies one address first": (
        [put("network", "Denied", DENIED)], "migrator Migrator", "database", 3306, {True, False}),
    "the ACL keeps the proxy in its zone": (
        [put("network", "ProxyToDatabaseOut", None)], "proxy", "database", 3306, {True, False}),
    "a zone is without NAT": (
        [put("network", "ProtectedRouteB", None)], "function OrdersApi", "internet", 443, {True, False}),
    "NAT has no way out": ([put("network", "PublicRoute", None)], "function OrdersApi", "internet", 443, {False}),
    "NAT stands in a protected subnet": (
        [put("network", "NatGatewayA/Properties/SubnetId", {"Ref": "ProtectedSubnetA"})],
        "function OrdersApi", "internet", 443, {False}),
    "a function is let into the database": (
        [put("database", "DatabaseFromMigrator/Properties/SourceSecurityGroupId", {"Ref": "ClientSecurityGroup"}),
         put("database", "ClientSecurityGroup/Properties/SecurityGroupEgress/0/DestinationSecurityGroupId",
             {"Ref": "DatabaseSecurityGroup"})],
        "function OrdersApi", "database", 3306, {True}),
    "the proxy listens to nobody": ([put("database", "ProxyFromClient", None)], "task orders", "proxy", 3306, {False}),
    "the proxy's rule is for another port": (
        [put("database", "ProxyFromClient/Properties/ToPort", 3305)], "task orders", "proxy", 3306, {False}),
    "a group says nothing of what leaves": (
        [put("database", "DatabaseSecurityGroup/Properties/SecurityGroupEgress", []),
         put("database", "ProxySecurityGroup/Properties/SecurityGroupIngress", EVERYTHING)],
        "database", "proxy", 3306, {True}),
    "private subnets have a way out, and a proxy that may use it": (
        [*OPEN_PROXY, put("network", "PrivateAclOfA", None), put("network", "PrivateAclOfB", None)],
        "proxy", "internet", 443, {True}),
    "the load balancer faces the internet": (
        [put("ecs/cluster", "LoadBalancer/Properties/Scheme", "internet-facing"),
         put("ecs/cluster", "LoadBalancerSecurityGroup/Properties/SecurityGroupIngress", EVERYTHING),
         put("network", "ProtectedRouteTableOfA/Properties/RouteTableId", {"Ref": "PublicRouteTable"}),
         put("network", "ProtectedRouteTableOfB/Properties/RouteTableId", {"Ref": "PublicRouteTable"})],
        "internet", "load balancer", 80, {True}),
    "an edge of the call graph is gone": (
        [put("ecs/cluster", "OrdersToPayments", None)], "task orders", "task payments", 8080, {False}),
    "an edge too many": (
        [put("ecs/cluster", "PaymentsToOrders/Properties/GroupId", {"Ref": "InventorySecurityGroup"})],
        "task payments", "task inventory", 8080, {True}),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTROLS)
def test_what_is_broken_on_purpose_changes_the_answer(name: str) -> None:
    breakings, a, b, port, answers = CONTROLS[name]
    made_of = templates()
    before = whole("dev")
    assert before.net.answers(before.ends[a], before.ends[b], port) != answers
    for breaking in breakings:
        breaking(made_of)
    broken = shop("dev", made_of)
    assert broken.net.answers(broken.ends[a], broken.ends[b], port) == answers
    with pytest.raises(AssertionError):
        check_every_pair(broken)


def test_the_acl_alone_keeps_private_subnets_from_the_internet_and_from_other_ports() -> None:
    made_of = templates()
    for breaking in OPEN_PROXY:
        breaking(made_of)
    opened = shop("dev", made_of)
    assert opened.net.open_ports(opened.ends["proxy"], opened.ends["internet"]) == (set(), set())
    assert opened.net.open_ports(opened.ends["load balancer"], opened.ends["proxy"]) == (set(), set())
    assert not opened.net.can_open(opened.ends["function OrdersApi"], opened.ends["proxy"], 443)
