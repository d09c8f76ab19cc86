"""Whether the assertions about the ECS design notice what they are for: templates broken in one place at a time."""

import inspect
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.infrastructure import test_ecs_cluster, test_ecs_migrator, test_ecs_service
from tests.infrastructure.ecs_design import MODES, Design, Templates, design, production, templates

Path = tuple[str | int, ...]
MISSING = object()

PLANTED: list[tuple[str, str, Any]] = [
    # What linters were seen not to notice.
    ("service", "TaskDefinition/ContainerDefinitions/0/PortMappings/0/Name", "web"),
    ("service", "Tasks/ServiceConnectConfiguration/Fn::If/1/Services/0/PortName", "web"),
    ("service", "DiscoveryService/DnsConfig/DnsRecords/0/Type", "SRV"),
    ("service", "Tasks/ServiceRegistries/Fn::If/1/0/ContainerPort", 8080),
    ("service", "Tasks/LaunchType", "FARGATE"),
    ("service", "Tasks/ServiceName", "orders"),
    ("service", "Tasks/DesiredCount", 2),
    ("service", "TaskDefinition/ExecutionRoleArn", MISSING),
    ("service", "TaskDefinition/TaskRoleArn", {"Fn::GetAtt": ["ExecutionRole", "Arn"]}),
    ("service", "Tasks/ServiceConnectConfiguration/Fn::If/1/Services/0/ClientAliases/1", {"Port": 80}),
    ("service", "Tasks/ServiceConnectConfiguration/Fn::If/2", {"Ref": "AWS::NoValue"}),
    ("service", "Tasks/ServiceRegistries/Fn::If/2", {"Ref": "AWS::NoValue"}),
    ("service", "Tasks/ServiceConnectConfiguration/Fn::If/1/Services/0/DiscoveryName", {"Ref": "Service"}),
    ("service", "TaskDefinition/ContainerDefinitions/0/HealthCheck/Timeout", 3),
    ("service", "TaskDefinition/ContainerDefinitions/0/HealthCheck/Retries", 11),
    ("service", "TaskDefinition/ContainerDefinitions/0/HealthCheck/Command/0", "CMD-SHELL"),
    ("service", "TaskDefinition/ContainerDefinitions/0/StopTimeout", 30),
    ("service", "TaskDefinition/ContainerDefinitions/0/StopTimeout", 121),
    ("service", "TaskDefinition/ContainerDefinitions/0/User", "0"),
    ("service", "TaskDefinition/ContainerDefinitions/0/ReadonlyRootFilesystem", False),
    ("service", "TaskDefinition/ContainerDefinitions/0/LinuxParameters/Capabilities", {"Add": ["SYS_PTRACE"]}),
    ("service", "TaskDefinition/ContainerDefinitions/0/Environment/0", {"Name": "CLIENT_SECRET", "Value": "x"}),
    ("service", "TaskDefinition/ContainerDefinitions/0/Privileged", True),
    ("service", "Tasks/NetworkConfiguration/AwsvpcConfiguration/AssignPublicIp", "ENABLED"),
    ("service", "TargetGroup/TargetType", "instance"),
    ("service", "TaskRole/PermissionsBoundary", MISSING),
    ("service", "ExecutionRole/PermissionsBoundary", {"Ref": "LogsKeyArn"}),
    ("service", "LogGroup/KmsKeyId", MISSING),
    ("service", "LogGroup/RetentionInDays", MISSING),
    ("service", "LogGroup/LogGroupName/Fn::Sub", "/ecs/${Service}"),
    ("service", "Tasks/PropagateTags", "TASK_DEFINITION"),
    ("service", "Tasks/EnableExecuteCommand", True),
    ("service", "Tasks/CapacityProviderStrategy/0/Base", 0),
    ("service", "Scaling/MaxCapacity", 7),
    ("migrator", "TaskRole/PermissionsBoundary", MISSING),
    ("migrator", "LogGroup/KmsKeyId", MISSING),
    ("cluster", "OrdersClientSecret/KmsKeyId", MISSING),
    ("cluster", "Cluster/ClusterSettings", MISSING),
    ("cluster", "LoadBalancer/LoadBalancerAttributes/1/Value", "false"),
    ("cluster", "LoadBalancer/LoadBalancerAttributes/2/Value", "monitor"),
    ("cluster", "LoadBalancer/LoadBalancerAttributes/3/Value", "false"),
    ("cluster", "LoadBalancer/LoadBalancerAttributes/4/Value", "true"),
    ("cluster", "Cluster/ServiceConnectDefaults/Namespace", "shop.internal"),
    ("cluster", "PaymentsToOrders/SourceSecurityGroupId", {"Ref": "TaskSecurityGroup"}),
    ("cluster", "OrdersClient/AllowedOAuthScopes/5", "shop.internal/orders"),
    ("cluster", "LoadBalancer/Scheme", "internet-facing"),
    ("front_door", "Api/DefinitionBody/paths/~orders/get/security", [{"NONE": []}]),
]

OF_TASTE = re.compile(
    r"""
      Description$ | /Tags | /Family | AddDefaultAuthorizerToCorsPreflight$
    | PolicyName$ | PolicyDocument/Version | AssumeRolePolicyDocument/Version
    | /Name/Fn::Sub | Link/Name | ResourceServer/Name | /info | /responses | Cooldown$ | awslogs-stream-prefix$
    | ContainerDefinitions/0/Protocol | Protocol$
    """,
    re.VERBOSE,
)
"""Where another value would do as well, or none."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)  # of the translator, at each template
    yield
    logging.disable(logging.NOTSET)


def checks() -> Iterator[tuple[list[str], Callable[..., None]]]:
    """Every assertion about a design, and which ones it takes."""
    for module in (test_ecs_service, test_ecs_cluster, test_ecs_migrator):
        for name, test in vars(module).items():
            if name.startswith("test_"):
                taken = list(inspect.signature(test).parameters)
                if taken and set(taken) <= {"design", "production"}:
                    yield taken, test


def noticed(made_of: Templates) -> bool:
    try:
        live = production(made_of)
        for mode in MODES:
            broken: dict[str, Design] = {"design": design(mode, made_of), "production": live}
            for taken, check in checks():
                if mode == MODES[0] or "design" in taken:
                    check(*(broken[name] for name in taken))
    except Exception:  # a template that cannot even be rendered has been noticed too
        return True
    return False


def at(path: str) -> Path:
    names = path.replace("~", "\0").split("/")
    return tuple(int(name) if name.isdigit() else name.replace("\0", "/") for name in names)


def changed(template: str, path: Path, value: Any) -> Templates:
    made_of = templates()
    change(made_of[template]["Resources"], path, value)
    return made_of


def change(resources: dict[str, Any], path: Path, value: Any) -> None:
    """Break `resources` at one place: a logical id, and below it what its properties hold."""
    place: Any = resources[str(path[0])]["Properties"] if len(path) > 1 else resources
    for name in path[1:-1] if len(path) > 1 else ():
        place = place[name]
    if value is MISSING:
        del place[path[-1]]
    elif isinstance(place, list) and path[-1] == len(place):
        place.append(value)
    elif isinstance(value, tuple):  # other words in a text
        assert value[0] in place[path[-1]]
        place[path[-1]] = place[path[-1]].replace(*value)
    else:
        place[path[-1]] = value


def breakings(resources: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Each property gone, and each value another."""

    def within(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, child in children:
            below = (*path, name)
            if not str(name).startswith(("Fn::", "Ref")) and "Fn::If" not in path[-1:]:
                yield below, MISSING
            match child:
                case bool():
                    yield below, not child
                case int():
                    yield below, child + 1000
                case str() if path[-1] not in ("Fn::If", "Fn::GetAtt") or name == 2:
                    yield below, f"{child}x"
            if name != "Fn::GetAtt":
                yield from within(child, below)

    for logical_id, resource in resources.items():
        yield (logical_id,), MISSING
        yield from within(resource["Properties"], (logical_id,))


def name_of(path: Path) -> str:
    return "/".join(map(str, path))


def test_what_is_whole_passes() -> None:
    assert len(list(checks())) > 45
    assert not noticed(templates())


@pytest.mark.parametrize(("template", "path", "value"), PLANTED, ids=[f"{t} {p}" for t, p, _ in PLANTED])
def test_a_planted_fault_is_noticed(template: str, path: str, value: Any) -> None:
    assert noticed(changed(template, at(path), value))


@pytest.mark.long
@pytest.mark.parametrize("template", ["service", "cluster", "migrator", "repository"])
def test_whatever_is_taken_away_or_changed_is_noticed(template: str) -> None:
    survived, count = [], 0
    for path, value in breakings(templates()[template]["Resources"]):
        if not OF_TASTE.search(name_of(path)):
            count += 1
            if not noticed(changed(template, path, value)):
                survived.append(f"{name_of(path)} {'gone' if value is MISSING else value}")
    print(f"{count} faults in ecs/{template}.yaml")
    assert not survived, "\n".join(survived)
