"""Whether one end can open a TCP connection to another, by what templates say: routes, network ACLs, security groups.

Rules cut addresses and ports into ranges within which the answer is the same. It is asked at the corners of each range,
in every combination of zones, so that an answer holds for all of them. What stands outside: gateway endpoints, IPv6 and
the VPC's own name resolution, which passes no rule.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv4Network
from itertools import chain, product
from typing import Any

from tests.infrastructure.templates import Stack

Range = tuple[int, int]
EPHEMERAL: Range = (1024, 65535)
"""Where answers go: Linux picks from 32768 on, NAT gateways from 1024 on."""
PORTS: Range = (1, 65535)
NOT_PUBLIC = [IPv4Network(each) for each in ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


@dataclass(frozen=True)
class End:
    """What opens or takes connections: in any of its subnets, with all of its groups. Without subnets, the internet."""

    subnets: tuple[str, ...]
    groups: tuple[str, ...]
    has_public_address: bool = False


INTERNET = End((), ())


@dataclass(frozen=True)
class Rule:
    addresses: Range | None
    group: str | None
    ports: Range
    allows: bool = True

    def matches(self, address: int, port: int, groups: Iterable[str] = ()) -> bool:
        inside = self.addresses is not None and self.addresses[0] <= address <= self.addresses[1]
        return (inside or (self.group is not None and self.group in groups)) and self.ports[0] <= port <= self.ports[1]


def _range(cidr: str) -> Range:
    network = IPv4Network(cidr)
    return int(network.network_address), int(network.broadcast_address)


def _corners(within: Range, cuts: Iterable[Range]) -> set[int]:
    low, high = within
    edges = chain.from_iterable((start - 1, start, end, end + 1) for start, end in cuts)
    return {low, high, *(edge for edge in edges if low <= edge <= high)}


@dataclass(eq=False)
class Net:
    """A VPC and the security groups of all stacks in it."""

    network: Stack
    others: tuple[Stack, ...]
    routes: dict[str, list[tuple[IPv4Network, str]]] = field(init=False)

    def __post_init__(self) -> None:
        [vpc] = self.network.of_type("AWS::EC2::VPC").values()
        tables: dict[str, list[tuple[IPv4Network, str]]] = {
            name: [(IPv4Network(vpc["CidrBlock"]), "local")] for name in self.network.of_type("AWS::EC2::RouteTable")
        }
        for route in self.network.of_type("AWS::EC2::Route").values():
            way = route.get("NatGatewayId") or route["GatewayId"]
            tables[_id(route["RouteTableId"])].append((IPv4Network(route["DestinationCidrBlock"]), _id(way)))
        associations = self.network.of_type("AWS::EC2::SubnetRouteTableAssociation").values()
        self.routes = {_id(each["SubnetId"]): tables[_id(each["RouteTableId"])] for each in associations}

    @cached_property
    def subnets(self) -> dict[str, Range]:
        return {name: _range(each["CidrBlock"]) for name, each in self.network.of_type("AWS::EC2::Subnet").items()}

    @cached_property
    def gateways(self) -> set[str]:
        attached = self.network.of_type("AWS::EC2::VPCGatewayAttachment").values()
        return {_id(each["InternetGatewayId"]) for each in attached}

    @cached_property
    def nats(self) -> dict[str, str]:
        """The subnet of each NAT gateway."""
        return {name: _id(each["SubnetId"]) for name, each in self.network.of_type("AWS::EC2::NatGateway").items()}

    @cached_property
    def acls(self) -> dict[tuple[str, bool], list[Rule]]:
        """Rules in order, by subnet and direction. A subnet without an ACL has AWS's, for all."""
        entries: dict[tuple[str, bool], dict[int, Rule]] = {}
        for entry in self.network.of_type("AWS::EC2::NetworkAclEntry").values():
            if str(entry["Protocol"]) in ("6", "-1"):
                ports = entry.get("PortRange", {"From": PORTS[0], "To": PORTS[1]})
                rules = entries.setdefault((_id(entry["NetworkAclId"]), entry.get("Egress", False)), {})
                assert entry["RuleNumber"] not in rules, "a number of a rule is used twice"
                rules[entry["RuleNumber"]] = Rule(
                    _range(entry["CidrBlock"]), None, (ports["From"], ports["To"]), entry["RuleAction"] == "allow"
                )
        ordered = {key: [rule for _, rule in sorted(rules.items())] for key, rules in entries.items()}
        everything = Rule((0, 2**32 - 1), None, PORTS)
        acl_of = {
            _id(each["SubnetId"]): _id(each["NetworkAclId"])
            for each in self.network.of_type("AWS::EC2::SubnetNetworkAclAssociation").values()
        }
        return {
            (subnet, leaves): ordered.get((acl_of[subnet], leaves), []) if subnet in acl_of else [everything]
            for subnet, leaves in product(self.subnets, (False, True))
        }

    @cached_property
    def groups(self) -> dict[tuple[str, bool], list[Rule]]:
        """Rules by security group and whether they are for what leaves."""
        found: dict[tuple[str, bool], list[Rule]] = {}
        for stack in (self.network, *self.others):
            for name, group in stack.of_type("AWS::EC2::SecurityGroup").items():
                assert (name, True) not in found, f"two stacks have a {name}"
                found[name, False] = [_group_rule(rule, "Source") for rule in group.get("SecurityGroupIngress", [])]
                # Without a rule of its own for what leaves, AWS gives it one for everything.
                leaving = group.get("SecurityGroupEgress") or [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]
                found[name, True] = [_group_rule(rule, "Destination") for rule in leaving]
        for stack in (self.network, *self.others):
            for rule in stack.of_type("AWS::EC2::SecurityGroupIngress").values():
                found[_id(rule["GroupId"]), False].append(_group_rule(rule, "Source"))
            for rule in stack.of_type("AWS::EC2::SecurityGroupEgress").values():
                found[_id(rule["GroupId"]), True].append(_group_rule(rule, "Destination"))
        return found

    @cached_property
    def ports(self) -> list[int]:
        """The ports at which an answer may change."""
        rules = chain(*self.acls.values(), *self.groups.values())
        return sorted(_corners(PORTS, {rule.ports for rule in rules}) | {22, 80, 443, 3306, 3389, 8080})

    @cached_property
    def cuts(self) -> set[Range]:
        """The addresses at which an answer may change."""
        rules = chain(*self.acls.values(), *self.groups.values())
        return {rule.addresses for rule in rules if rule.addresses}

    def open_ports(self, a: End, b: End) -> tuple[set[int], set[int]]:
        """The ports of `b` that `a` reaches from everywhere it can be, and those that it reaches from somewhere."""
        answers = {port: self.answers(a, b, port) for port in self.ports}
        return {p for p, each in answers.items() if each == {True}}, {p for p, each in answers.items() if True in each}

    def can_open(self, a: End, b: End, port: int) -> bool:
        """Raises ValueError where it depends on the zone or address."""
        [answer] = self.answers(a, b, port)
        return answer

    @lru_cache(None)  # noqa: B019 - lives as long as the test run
    def answers(self, a: End, b: End, port: int) -> frozenset[bool]:
        places = product(a.subnets or [None], b.subnets or [None])
        return frozenset(
            self._connects(a, here, source, b, there, target, port)
            for here, there in places
            for source, target in product(self._addresses(here), self._addresses(there))
        )

    @lru_cache(None)  # noqa: B019
    def _addresses(self, subnet: str | None) -> set[int]:
        if subnet is not None:
            return _corners(self.subnets[subnet], self.cuts)
        edges = _corners((2**24, 224 * 2**24 - 1), self.cuts | {_range(str(network)) for network in NOT_PUBLIC})
        return {each for each in edges if not any(IPv4Address(each) in network for network in NOT_PUBLIC)}

    def _connects(
        self, a: End, here: str | None, source: int, b: End, there: str | None, target: int, port: int
    ) -> bool:
        if here is None and there is None:
            return False  # not this network's matter
        if here is not None and not self._in_groups(a, leaves=True, address=target, port=port, other=b):
            return False
        if there is not None and not self._in_groups(b, leaves=False, address=source, port=port, other=a):
            return False
        if here == there:
            return True
        if here is None:  # in through the internet gateway, to a public address, and back the same way
            assert there is not None
            return (
                b.has_public_address and self._is_gateway(self._way(there, source)) and self._both(source, there, port)
            )
        way = self._way(here, target)
        if there is not None:
            out = self._passes(here, True, target, port) and self._passes(here, False, target, *EPHEMERAL)
            back = self._way(there, source) == "local"
            return way == "local" and back and out and self._both(source, there, port)
        out = self._passes(here, True, target, port) and self._passes(here, False, target, *EPHEMERAL)
        if self._is_gateway(way):
            return a.has_public_address and out
        home = self.nats.get(way or "")
        if home is None or not out:
            return False
        onward = self._passes(home, True, target, port) and self._passes(home, False, target, *EPHEMERAL)
        return onward and self._is_gateway(self._way(home, target)) and self._both(source, home, port)

    def _both(self, source: int, there: str, port: int) -> bool:
        """Into a subnet, and the answers out of it."""
        return self._passes(there, False, source, port) and self._passes(there, True, source, *EPHEMERAL)

    def _passes(self, subnet: str, leaves: bool, address: int, low: int, high: int | None = None) -> bool:
        rules = self.acls[subnet, leaves]
        for port in _corners((low, high or low), [rule.ports for rule in rules]):
            if not next((rule.allows for rule in rules if rule.matches(address, port)), False):
                return False
        return True

    def _in_groups(self, end: End, *, leaves: bool, address: int, port: int, other: End) -> bool:
        rules = chain.from_iterable(self.groups[group, leaves] for group in end.groups)
        return any(rule.matches(address, port, other.groups) for rule in rules)

    def _way(self, subnet: str, address: int) -> str | None:
        fitting = [
            (network.prefixlen, way) for network, way in self.routes.get(subnet, []) if IPv4Address(address) in network
        ]
        return max(fitting)[1] if fitting else None

    def _is_gateway(self, way: str | None) -> bool:
        return way in self.gateways


def _id(reference: str) -> str:
    return reference.removeprefix("${").removesuffix("}")


def _group_rule(rule: dict[str, Any], side: str) -> Rule:
    group = rule.get(f"{side}SecurityGroupId")
    every = rule["IpProtocol"] == "-1"
    tcp = rule["IpProtocol"] in ("tcp", "6")
    ports = PORTS if every else (rule["FromPort"], rule["ToPort"]) if tcp else (0, -1)
    return Rule(_range(rule["CidrIp"]) if "CidrIp" in rule else None, group and _id(group), ports)
