"""The network created from its template in moto, and what the EC2 API then says of it."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.infrastructure.ecs_design import design
from tests.infrastructure.templates import Stack, load, stack

REGION = "us-east-1"  # the only region whose zones moto's Fn::GetAZs knows
TIERS = ("public", "protected", "private")


@dataclass(frozen=True)
class Network:
    zone_count: int
    nat_per_zone: bool
    ec2: Any
    published: dict[str, str]

    def subnets(self, tier: str) -> list[dict[str, Any]]:
        ids = self.published[f"/kumiki/dev/network/{tier}-subnet-ids"].split(",")
        return [self.ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"][0] for subnet_id in ids]

    def ways_out(self, subnet: dict[str, Any]) -> list[dict[str, str]]:
        """The routes that lead out of the VPC, endpoints not counted."""
        [table] = self.route_tables("association.subnet-id", subnet["SubnetId"])
        return [r for r in table["Routes"] if r.get("GatewayId") != "local" and "DestinationCidrBlock" in r]

    def route_tables(self, name: str, value: str) -> list[dict[str, Any]]:
        tables = self.ec2.describe_route_tables(Filters=[{"Name": name, "Values": [value]}])
        return list(tables["RouteTables"])

    def nat_gateways(self) -> dict[str, dict[str, Any]]:
        return {gateway["NatGatewayId"]: gateway for gateway in self.ec2.describe_nat_gateways()["NatGateways"]}


@pytest.fixture(scope="module", params=["2 zones", "3 zones"])
def zone_count(request: pytest.FixtureRequest) -> int:
    return int(request.param[0])


@pytest.fixture(scope="module", params=["one NAT", "NAT per zone"])
def nat_per_zone(request: pytest.FixtureRequest) -> bool:
    return str(request.param) == "NAT per zone"


@pytest.fixture(scope="module")
def network(zone_count: int, nat_per_zone: bool) -> Iterator[Network]:
    parameters = {
        "Environment": "dev",
        "ZoneCount": str(zone_count),
        "NatGateways": "one-per-zone" if nat_per_zone else "one",
    }
    with mock_aws():
        cloudformation, ec2 = boto3.client("cloudformation", REGION), boto3.client("ec2", REGION)
        for name in ("logs-key-arn", "permissions-boundary-arn"):
            boto3.client("ssm", REGION).put_parameter(
                Name=f"/kumiki/account/{name}", Value=f"arn:aws:iam::123456789012:policy/{name}", Type="String"
            )
        cloudformation.create_stack(
            StackName="network",
            TemplateBody=json.dumps(load("infra/network.yaml")),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        created = cloudformation.list_stack_resources(StackName="network")["StackResourceSummaries"]
        ids = {f"${{{resource['LogicalResourceId']}}}": resource["PhysicalResourceId"] for resource in created}
        # moto's CloudFormation keeps associations where its EC2 API does not look: make the same ones again.
        associations = stack("infra/network.yaml", **parameters).of_type("AWS::EC2::SubnetRouteTableAssociation")
        for wanted in associations.values():
            ec2.associate_route_table(RouteTableId=ids[wanted["RouteTableId"]], SubnetId=ids[wanted["SubnetId"]])
        parameter_pages = boto3.client("ssm", REGION).get_paginator("get_parameters_by_path")
        found = parameter_pages.paginate(Path="/", Recursive=True).search(
            "Parameters[?starts_with(Name, '/kumiki/dev')]"
        )
        yield Network(zone_count, nat_per_zone, ec2, {p["Name"]: p["Value"] for p in found})


def test_what_other_stacks_need_is_published_and_nothing_else(network: Network) -> None:
    names = {"vpc-id", "protected-cidr", *(f"{tier}-subnet-ids" for tier in TIERS)}
    assert network.published.keys() == {f"/kumiki/dev/network/{name}" for name in names}


@pytest.mark.parametrize("tier", TIERS)
def test_every_tier_has_a_subnet_in_every_zone_of_the_published_vpc(network: Network, tier: str) -> None:
    subnets = network.subnets(tier)
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == len(subnets) == network.zone_count
    assert {subnet["VpcId"] for subnet in subnets} == {network.published["/kumiki/dev/network/vpc-id"]}


def test_no_two_subnets_overlap(network: Network) -> None:
    ranges = [IPv4Network(subnet["CidrBlock"]) for tier in TIERS for subnet in network.subnets(tier)]
    assert not [pair for pair in combinations(ranges, 2) if pair[0].overlaps(pair[1])]


def test_public_subnets_go_out_through_the_internet_gateway(network: Network) -> None:
    for subnet in network.subnets("public"):
        [route] = network.ways_out(subnet)
        assert (route["DestinationCidrBlock"], route["GatewayId"][:4]) == ("0.0.0.0/0", "igw-")


def test_protected_subnets_go_out_through_nat_in_a_public_subnet_and_no_other_way(network: Network) -> None:
    public = {subnet["SubnetId"]: subnet for subnet in network.subnets("public")}
    for subnet in network.subnets("protected"):
        [route] = network.ways_out(subnet)
        assert route["DestinationCidrBlock"] == "0.0.0.0/0"
        home = public[network.nat_gateways()[route["NatGatewayId"]]["SubnetId"]]
        if network.nat_per_zone:
            assert home["AvailabilityZone"] == subnet["AvailabilityZone"]


def test_there_are_as_many_nat_gateways_as_were_asked_for(network: Network) -> None:
    assert len(network.nat_gateways()) == (network.zone_count if network.nat_per_zone else 1)


def test_private_subnets_reach_the_vpc_and_nothing_else(network: Network) -> None:
    for subnet in network.subnets("private"):
        [table] = network.route_tables("association.subnet-id", subnet["SubnetId"])
        assert [route["GatewayId"] for route in table["Routes"]] == ["local"]


def test_s3_is_reached_from_the_protected_subnets_by_its_own_endpoint(network: Network) -> None:
    [endpoint] = network.ec2.describe_vpc_endpoints()["VpcEndpoints"]
    tables = [network.route_tables("association.subnet-id", s["SubnetId"])[0] for s in network.subnets("protected")]
    assert endpoint["ServiceName"] == f"com.amazonaws.{REGION}.s3"
    assert set(endpoint["RouteTableIds"]) == {table["RouteTableId"] for table in tables}


# What moto does not show, from the template alone.


PULL = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
ENDPOINTS = {
    "events": [("events:PutEvents", "arn:aws:events:ap-northeast-1:123456789012:event-bus/kumiki-dev")],
    "ecr.api": [
        ("ecr:GetAuthorizationToken", "*"),
        (PULL, "arn:aws:ecr:ap-northeast-1:123456789012:repository/kumiki-dev"),
    ],
    "ecr.dkr": [
        ("ecr:GetAuthorizationToken", "*"),
        (PULL, "arn:aws:ecr:ap-northeast-1:123456789012:repository/kumiki-dev"),
    ],
    "logs": [
        (
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            "arn:aws:logs:ap-northeast-1:123456789012:log-group:/kumiki/dev/ecs/*",
        )
    ],
}
"""What each interface endpoint is for."""


def made(**parameters: str) -> Stack:
    return stack("infra/network.yaml", **{"Environment": "dev", "ZoneCount": "3", **parameters})


def check_s3_endpoint(network: Stack) -> None:
    endpoint = network.properties("S3Endpoint")
    assert (endpoint["VpcEndpointType"], endpoint["ServiceName"]) == ("Gateway", "com.amazonaws.ap-northeast-1.s3")
    assert endpoint["RouteTableIds"] == [f"${{ProtectedRouteTable{zone}}}" for zone in "ABC"]
    assert [
        (s["Effect"], s["Principal"], s["Action"], s["Resource"]) for s in endpoint["PolicyDocument"]["Statement"]
    ] == [
        ("Allow", "*", "s3:PutObject", "arn:aws:s3:::cloudformation-custom-resource-response-apnortheast1/*"),
        ("Allow", "*", "s3:GetObject", "arn:aws:s3:::prod-ap-northeast-1-starport-layer-bucket/*"),
    ]


def check_flow_logs(network: Stack) -> None:
    [flows] = network.of_type("AWS::EC2::FlowLog").values()
    assert (flows["ResourceType"], flows["ResourceId"], flows["TrafficType"]) == ("VPC", "${Vpc}", "ALL")
    assert (flows["LogDestinationType"], flows["LogGroupName"]) == ("cloud-watch-logs", "${FlowLogGroup}")
    assert flows["DeliverLogsPermissionArn"] == "${FlowLogRole.Arn}"
    assert flows["MaxAggregationInterval"] == 600
    group = network.properties("FlowLogGroup")
    assert (group["LogGroupName"], group["RetentionInDays"]) == ("/kumiki/dev/network/flows", "90")
    assert network.resources["FlowLogGroup"]["DeletionPolicy"] == "Delete"
    assert group["KmsKeyId"] == "${LogsKeyArn}"
    assert network.properties("FlowLogRole")["PermissionsBoundary"] == "${PermissionsBoundaryArn}"
    assert role(network, "FlowLogRole") == (
        ("vpc-flow-logs.amazonaws.com", "arn:aws:ec2:ap-northeast-1:123456789012:vpc-flow-log/*"),
        [
            (["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"], "${FlowLogGroup.Arn}"),
            ("logs:DescribeLogGroups", "*"),  # VPC's guide: at least these, and the making of a group that is there
        ],
    )


def check_default_group(network: Stack) -> None:
    runbook = "AWSConfigRemediation-RemoveVPCDefaultSecurityGroupRules"
    [association] = network.of_type("AWS::SSM::Association").values()
    assert (association["Name"], association["ScheduleExpression"]) == (runbook, "rate(1 day)")
    assert association["Parameters"] == {
        "GroupId": ["${Vpc.DefaultSecurityGroup}"],
        "AutomationAssumeRole": ["${DefaultGroupRole.Arn}"],
    }
    ec2, ssm = "arn:aws:ec2:ap-northeast-1:123456789012", "arn:aws:ssm:ap-northeast-1:"
    assert role(network, "DefaultGroupRole") == (
        ("ssm.amazonaws.com", "arn:aws:ssm:*:123456789012:automation-execution/*"),
        [
            (
                ["ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress"],
                f"{ec2}:security-group/${{Vpc.DefaultSecurityGroup}}",
            ),
            ("ec2:DescribeSecurityGroups", "*"),
            ("ssm:StartAutomationExecution", f"{ssm}:automation-definition/{runbook}:*"),
            ("ssm:GetAutomationExecution", f"{ssm}123456789012:automation-execution/*"),
        ],
    )


def role(network: Stack, name: str) -> tuple[tuple[str, str], list[tuple[Any, str]]]:
    """Whom a role trusts, the service and what it acts for, and what the role may."""
    properties = network.properties(name)
    assert set(properties) - {"PermissionsBoundary"} == {"AssumeRolePolicyDocument", "Policies"}
    [trust] = properties["AssumeRolePolicyDocument"]["Statement"]
    assert (trust["Effect"], trust["Action"]) == ("Allow", "sts:AssumeRole")
    assert set(trust["Condition"]) == {"StringEquals", "ArnLike"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    [policy] = properties["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    assert all(set(each) == {"Effect", "Action", "Resource"} and each["Effect"] == "Allow" for each in statements)
    trusted = trust["Principal"]["Service"], trust["Condition"]["ArnLike"]["aws:SourceArn"]
    return trusted, [(each["Action"], each["Resource"]) for each in statements]


def check_subnets_and_names(network: Stack) -> None:
    [vpc] = network.of_type("AWS::EC2::VPC").values()
    assert (vpc["CidrBlock"], vpc["EnableDnsSupport"], vpc["EnableDnsHostnames"]) == ("10.20.0.0/16", True, True)
    for name, subnet in network.of_type("AWS::EC2::Subnet").items():
        assert IPv4Network(subnet["CidrBlock"]).subnet_of(IPv4Network(vpc["CidrBlock"]))
        assert subnet["AvailabilityZone"] == f"ap-northeast-1{name[-1].lower()}"
        assert not subnet.get("MapPublicIpOnLaunch")
    assert network.of_type("AWS::EC2::Subnet").keys() == {
        f"{tier.capitalize()}Subnet{z}" for tier in TIERS for z in "ABC"
    }
    tagged = ("VPC", "InternetGateway", "Subnet", "RouteTable", "NatGateway", "EIP", "NetworkAcl", "FlowLog")
    for kind in tagged:
        names = [each["Tags"] for each in network.of_type(f"AWS::EC2::{kind}").values()]
        assert all(tags[0]["Key"] == "Name" and tags[0]["Value"].startswith("kumiki-dev") for tags in names)
        assert names, kind


def check_nat(network: Stack) -> None:
    addresses = [gateway["AllocationId"] for gateway in network.of_type("AWS::EC2::NatGateway").values()]
    assert len(set(addresses)) == len(addresses)
    assert set(addresses) == {f"${{{name}.AllocationId}}" for name in network.of_type("AWS::EC2::EIP")}
    assert all(each["Domain"] == "vpc" for each in network.of_type("AWS::EC2::EIP").values())
    for name in ("PublicRoute", *network.of_type("AWS::EC2::EIP")):
        assert network.resources[name]["DependsOn"] == "InternetGatewayAttachment"


def check_published(network: Stack) -> None:
    values = {each["Name"]: (each["Type"], each["Value"]) for each in network.of_type("AWS::SSM::Parameter").values()}
    tiers = {tier: ",".join(f"${{{tier.capitalize()}Subnet{zone}}}" for zone in "ABC") for tier in TIERS}
    assert values == {
        "/kumiki/dev/network/vpc-id": ("String", "${Vpc}"),
        "/kumiki/dev/network/protected-cidr": ("String", "10.20.64.0/18"),
        **{f"/kumiki/dev/network/{tier}-subnet-ids": ("StringList", ids) for tier, ids in tiers.items()},
    }


def check_protected_cidr(network: Stack) -> None:
    cidr = next(v["Value"] for v in network.of_type("AWS::SSM::Parameter").values() if v["Name"].endswith("-cidr"))
    subnets = network.of_type("AWS::EC2::Subnet").items()
    inside = {name for name, subnet in subnets if IPv4Network(subnet["CidrBlock"]).subnet_of(IPv4Network(cidr))}
    assert inside == {name for name, _ in subnets if name.startswith("Protected")}


def check_private_acl(network: Stack) -> None:
    """Below the security groups, which keep the same out: so what the ACL says is written here again."""
    entries = network.of_type("AWS::EC2::NetworkAclEntry").values()
    assert {(e["RuleAction"], e["Protocol"], e["NetworkAclId"]) for e in entries} == {("allow", 6, "${PrivateAcl}")}
    found = {(e.get("Egress", False), e["CidrBlock"], e["PortRange"]["From"], e["PortRange"]["To"]) for e in entries}
    protected, private = "10.20.64.0/18", "10.20.128.0/18"
    assert found == {
        (False, protected, 3306, 3306),
        (True, protected, 1024, 65535),
        (False, private, 1024, 65535),
        (True, private, 1024, 65535),
    }
    associations = network.of_type("AWS::EC2::SubnetNetworkAclAssociation").values()
    assert {each["SubnetId"] for each in associations} == {f"${{PrivateSubnet{zone}}}" for zone in "ABC"}


def check_two_zones(network: Stack) -> None:
    assert network.properties("S3Endpoint")["RouteTableIds"] == [f"${{ProtectedRouteTable{zone}}}" for zone in "AB"]
    lists = [p["Value"] for p in network.of_type("AWS::SSM::Parameter").values() if p["Type"] == "StringList"]
    assert lists == [f"${{{tier.capitalize()}SubnetA}},${{{tier.capitalize()}SubnetB}}" for tier in TIERS]
    assert not [name for name, each in network.resources.items() if name.endswith("C") or "SubnetC" in str(each)]


def test_with_two_zones_nothing_is_in_a_third() -> None:
    check_two_zones(made(ZoneCount="2"))


def check_vpc_is_that_of_all(network: Stack) -> None:
    for kind in ("Subnet", "RouteTable", "NetworkAcl", "VPCEndpoint", "VPCGatewayAttachment"):
        assert all(each["VpcId"] == "${Vpc}" for each in network.of_type(f"AWS::EC2::{kind}").values()), kind


CHECKS = [
    check_s3_endpoint, check_flow_logs, check_default_group, check_subnets_and_names, check_nat, check_published,
    check_protected_cidr, check_private_acl, check_vpc_is_that_of_all,
]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_the_template_is_as_it_should_be(check: Callable[[Stack], None]) -> None:
    check(made(NatGateways="one-per-zone"))


@pytest.mark.parametrize(
    ("environment", "asked", "count"),
    [
        ("dev", "by-environment", 1),
        ("prod", "by-environment", 3),
        ("prod", "one", 1),
        ("dev", "one-per-zone", 3),
    ],
)
def test_prod_has_nat_in_each_zone_and_others_one_for_all_unless_told(environment: str, asked: str, count: int) -> None:
    network = made(Environment=environment, NatGateways=asked)
    assert len(network.of_type("AWS::EC2::NatGateway")) == len(network.of_type("AWS::EC2::EIP")) == count


def test_flow_logs_show_what_is_asked_for_as_long_as_it_is() -> None:
    network = made(FlowLogTraffic="REJECT", FlowLogDays="365")
    assert network.properties("FlowLogGroup")["RetentionInDays"] == "365"
    assert network.properties("FlowLog")["TrafficType"] == "REJECT"


def endpoints(events: str = "true", containers: str = "true") -> Stack:
    return stack("infra/endpoints.yaml", Environment="dev", EventsEndpoint=events, ContainerEndpoints=containers)


def check_endpoints(made: Stack) -> None:
    found = {}
    for endpoint in made.of_type("AWS::EC2::VPCEndpoint").values():
        assert (endpoint["VpcEndpointType"], endpoint["PrivateDnsEnabled"]) == ("Interface", True)
        assert (endpoint["VpcId"], endpoint["SubnetIds"]) == ("${VpcId}", "${ProtectedSubnetIds}")
        assert endpoint["SecurityGroupIds"] == ["${EndpointSecurityGroup}"]
        statements = endpoint["PolicyDocument"]["Statement"]
        for each in statements:
            assert (each["Effect"], each["Principal"]) == ("Allow", "*")
            assert each["Condition"] == {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}
        name = endpoint["ServiceName"].removeprefix("com.amazonaws.ap-northeast-1.")
        found[name] = [(each["Action"], each["Resource"]) for each in statements]
    assert found == ENDPOINTS
    group = made.properties("EndpointSecurityGroup")
    assert (group["VpcId"], group["Tags"]) == ("${VpcId}", [{"Key": "Name", "Value": "kumiki-dev-endpoints"}])
    [rule] = group["SecurityGroupIngress"]
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule["CidrIp"]) == (
        "tcp",
        443,
        443,
        "${ProtectedCidr}",
    )
    assert group["SecurityGroupEgress"] == [{"IpProtocol": "-1", "CidrIp": "127.0.0.1/32"}]


def test_an_endpoint_admits_what_runs_in_protected_subnets_to_what_it_is_for() -> None:
    check_endpoints(endpoints())


@pytest.mark.parametrize(
    ("events", "containers", "services"),
    [
        ("false", "false", set()),
        ("true", "false", {"events"}),
        ("false", "true", {"ecr.api", "ecr.dkr", "logs"}),
    ],
)
def test_interface_endpoints_are_made_when_asked_for(events: str, containers: str, services: set[str]) -> None:
    made = endpoints(events, containers).of_type("AWS::EC2::VPCEndpoint").values()
    assert {e["ServiceName"] for e in made} == {f"com.amazonaws.ap-northeast-1.{service}" for service in services}


def test_endpoints_name_the_bus_the_image_and_the_logs_that_there_are() -> None:
    bus = stack("infra/bus.yaml", Environment="dev")
    assert [each["Name"] for each in bus.of_type("AWS::Events::EventBus").values()] == ["kumiki-dev"]
    repository = stack("ecs/repository.yaml", Environment="dev")
    assert [each["RepositoryName"] for each in repository.of_type("AWS::ECR::Repository").values()] == ["kumiki-dev"]
    design_of_containers = design("CLOUD_MAP")
    groups = [*design_of_containers.services.values(), design_of_containers.migrator]
    names = [each["LogGroupName"] for made in groups for each in made.of_type("AWS::Logs::LogGroup").values()]
    assert len(names) >= 7
    assert all(name.startswith("/kumiki/dev/ecs/") for name in names)


@pytest.mark.parametrize("path", ["infra/network.yaml", "infra/endpoints.yaml"])
def test_a_parameter_refuses_what_cannot_be_and_says_what_can(path: str) -> None:
    for name, parameter in load(path)["Parameters"].items():
        if not parameter["Type"].startswith("AWS::SSM::"):
            assert parameter.keys() & {"AllowedPattern", "AllowedValues"}, name
            assert parameter["ConstraintDescription"].endswith("."), name


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("Environment", ["dev", "prod"], ["", "Prod", "1st", "a" * 17]),
        (
            "VpcCidrPrefix",
            ["10.0", "10.255", "172.16", "172.31", "192.168"],
            ["10.256", "172.15", "172.32", "11.0", "10"],
        ),
    ],
)
def test_patterns_tell_good_values_from_bad(name: str, good: list[str], bad: list[str]) -> None:
    pattern = load("infra/network.yaml")["Parameters"][name]["AllowedPattern"]
    assert all(re.fullmatch(pattern, value) for value in good)
    assert not [value for value in bad if re.fullmatch(pattern, value)]
