"""Whether assertions about the Lambda design notice what they are for: its resources in prod, broken one at a time."""

import copy
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import pytest

from tests.infrastructure import (
    lambda_design,
    test_canaries,
    test_capacity,
    test_events,
    test_functions,
    test_names_and_tags,
    test_roles,
    test_subscription,
    test_template,
)
from tests.infrastructure.lambda_design import FUNCTIONS, Shop, shop_of
from tests.infrastructure.templates import Stack
from tests.infrastructure.test_ecs_mutations import MISSING, Path, at, breakings, change, name_of

MODULES = (
    test_template,
    test_roles,
    test_functions,
    test_events,
    test_subscription,
    test_capacity,
    test_canaries,
    test_names_and_tags,
)
TEMPLATE, SUBSCRIPTION, BUS = "", "ShippingSubscription", "Bus"

PLANTED: list[tuple[str, str, Any]] = [
    (TEMPLATE, "OrdersApiRole/PermissionsBoundary", MISSING),
    (TEMPLATE, "DeploymentRole/PermissionsBoundary", MISSING),
    (TEMPLATE, "ShippingConsumerSweepRole/PermissionsBoundary", MISSING),
    (TEMPLATE, "DeploymentRole/AssumeRolePolicyDocument/Statement/0/Condition", MISSING),
    (TEMPLATE, "OrdersApiRole/Policies/0/PolicyDocument/Statement/0/Resource", "*"),
    (TEMPLATE, "OrdersApiRole/Policies/0/PolicyDocument/Statement/1/Condition", MISSING),
    (TEMPLATE, "OrdersConsumerRole/Policies/1/PolicyDocument/Statement/0/Action/0", "sqs:SendMessage"),
    (TEMPLATE, "OrdersLog/KmsKeyId", MISSING),
    (TEMPLATE, "OrdersLog/RetentionInDays", MISSING),
    (TEMPLATE, "OrdersApi/TracingConfig", MISSING),
    (TEMPLATE, "OrdersApi/LoggingConfig/LogGroup", "${ShippingLog}"),
    (TEMPLATE, "OrdersApi/LoggingConfig/ApplicationLogLevel", "WARN"),
    (TEMPLATE, "OrdersApi/Timeout", 30),
    (TEMPLATE, "OrdersApi/ReservedConcurrentExecutions", "500"),
    (TEMPLATE, "OrdersConsumer/ReservedConcurrentExecutions", "20"),
    (TEMPLATE, "OrdersApi/VpcConfig/SecurityGroupIds/0", "${MigratorSecurityGroupId}"),
    (TEMPLATE, "OrdersApiDeploymentGroup/AlarmConfiguration/Alarms/1", MISSING),
    (TEMPLATE, "OrdersApiDeploymentGroup/AutoRollbackConfiguration/Events/1", MISSING),
    (TEMPLATE, "OrdersConsumerSweep/Name", "sweep"),
    (TEMPLATE, "OrdersConsumerEventInvokeConfig/MaximumRetryAttempts", 2),
    (TEMPLATE, "OrdersSubscription/Parameters/Concurrency", "100"),
    (TEMPLATE, "OrdersSubscription/Parameters/VisibilitySeconds", "25"),
    (TEMPLATE, "OrdersSubscription/Parameters/VisibilitySeconds", "200"),
    (SUBSCRIPTION, "Queue/KmsMasterKeyId", MISSING),
    (SUBSCRIPTION, "Rule/Targets/0/DeadLetterConfig", MISSING),
    (SUBSCRIPTION, "QueuePolicy/PolicyDocument/Statement/0/Condition", MISSING),
    (SUBSCRIPTION, "QueueToConsumer/ScalingConfig", MISSING),
    (BUS, "Bus/KmsKeyIdentifier", MISSING),
    (BUS, "Bus/DeadLetterConfig", MISSING),
    (BUS, "Archive/KmsKeyIdentifier", MISSING),
    (BUS, "DeadLetterQueuePolicy/PolicyDocument/Statement/1", MISSING),
]

OF_OTHERS = re.compile(r"^(Api|AccessLogs|Firewall|Domain|Identity|Monitoring|\w+Parameter)\b|^Api(Deployment|Stage)")
"""What other tests look after: the front door, identity, monitoring, and what a service in a stack of its own takes."""

OF_TASTE = re.compile(
    r"""
      Description$ | PolicyName$ | PolicyDocument/Version$ | Sid$ | Tags/\d+$ | Tags/\d+/Key$ | Targets/0/Id$
    | ^Bus/Tags | Subscription/Tags/0 | ServerlessDeploymentApplication | DestinationConfig$
    | S3Bucket | CompatibleRuntimes | CompatibleArchitectures        # as `sam build` makes them, for tests of artifacts
    | Permission                                                  # SAM's, one a route
    """,
    re.VERBOSE,
)
"""Where another value would do as well, or none, or where SAM alone decides."""


@cache
def checks() -> list[Callable[[Shop], None]]:
    """Every test that asks for the shop alone, or for it and one thing that it is repeated for."""
    found: list[Callable[[Shop], None]] = []
    for module in MODULES:
        for name, test in vars(module).items():
            if name.startswith("test_") and inspect.isfunction(test):
                found += _with_values(test)
    return found


def _with_values(test: Callable[..., None]) -> Iterator[Callable[[Shop], None]]:
    wanted = list(inspect.signature(test).parameters)
    marks = {m.args[0]: m.args[1] for m in getattr(test, "pytestmark", []) if m.name == "parametrize"}
    others = [name for name in wanted if name not in ("shop", "subscription", "environment")]
    if not set(wanted) & {"shop", "subscription"} and wanted and "environment" not in wanted:
        return
    if any(name not in marks for name in others) or len(others) > 1:
        return
    for value in marks[others[0]] if others else [None]:

        def check(shop: Shop, value: Any = value) -> None:
            given = {"shop": shop, "environment": "prod", "subscription": shop.nested.get(SUBSCRIPTION)}
            test(**{name: given.get(name, value) for name in wanted})

        yield check


def noticed(breaking: Callable[[], Shop], monkeypatch: pytest.MonkeyPatch) -> bool:
    try:
        broken = breaking()
    except Exception:  # what cannot even be put together has been noticed too
        return True

    def other(environment: str) -> Shop:
        return broken if environment == "prod" else shop_of(environment)

    with monkeypatch.context() as patched:
        for module in (lambda_design, *MODULES):
            if hasattr(module, "shop_of"):
                patched.setattr(module, "shop_of", other)
        try:
            for check in checks():
                check(broken)
        except Exception:
            return True
    return False


def changed(where: str, path: Path, value: Any) -> Shop:
    """Prod with one thing other than it is, and all that is nested with what it is given then."""
    whole = shop_of("prod")
    if where == TEMPLATE:
        resources = copy.deepcopy(whole.resources)
        change(resources, path, value)
        return lambda_design.shop("prod", resources, whole.outputs)
    below = copy.deepcopy(whole.nested[where])
    change(below.resources, path, value)
    return Shop(whole.resources, whole.outputs, "prod", whole.nested | {where: below})


def places(where: str) -> Iterator[tuple[Path, Any]]:
    """All of two services for all six, since blocks are alike; of the rest, each."""
    made: Stack = shop_of("prod") if where == TEMPLATE else shop_of("prod").nested[where]
    others = tuple(set(FUNCTIONS.values()) - {"Orders", "Notifications"})
    resources = {
        name: {**resource, "Properties": resource.get("Properties", {})}
        for name, resource in made.resources.items()
        if where != TEMPLATE or not (OF_OTHERS.search(name) or name.startswith(others))
    }
    yield from breakings(resources)


def test_what_is_whole_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(checks()) > 60
    assert not noticed(lambda: shop_of("prod"), monkeypatch)


@pytest.mark.parametrize(
    ("where", "path", "value"), PLANTED, ids=[f"{w} {p} {'gone' if v is MISSING else v}" for w, p, v in PLANTED]
)
def test_a_planted_fault_is_noticed(where: str, path: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert noticed(lambda: changed(where, at(path), value), monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("where", [TEMPLATE, SUBSCRIPTION, BUS], ids=["template", "subscription", "bus"])
def test_whatever_is_taken_away_or_changed_is_noticed(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    survived, count = [], 0
    for path, value in places(where):
        if not OF_TASTE.search(name_of(path)):
            count += 1
            if not noticed(partial(changed, where, path, value), monkeypatch):
                survived.append(f"{name_of(path)} {'gone' if value is MISSING else value}")
    print(f"{count} faults in {where or 'template.yaml'}")
    assert not survived, "\n".join(survived)
