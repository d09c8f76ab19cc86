"""Whether assertions about accounts and databases notice what they are for: templates broken in one place at a time."""

import copy
import inspect
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from tests.infrastructure import templates
from tests.infrastructure.everything import everything
from tests.infrastructure.templates import ROOT, load
from tests.infrastructure.test_ecs_mutations import MISSING, Path, at, breakings, change, name_of

CHECKED_BY = {
    "bootstrap": "test_bootstrap",
    "delivery": "test_bootstrap test_deploy_rights",
    "database": "test_database",
}
CHECKED_BY |= {"monitoring": "test_monitoring", "service_alarms": "test_monitoring"}
PLANTED: list[tuple[str, str, Any]] = [
    ("database", "Database/KmsKeyId", MISSING),
    ("database", "Database/MultiAZ", False),
    ("database", "Database/DeletionProtection", False),
    ("database", "Database/EnableCloudwatchLogsExports/2", "slowquery"),
    ("database", "ProxyTargets/ConnectionPoolConfigurationInfo/ConnectionBorrowTimeout", 30),
    ("database", "MonitoringRole/PermissionsBoundary", MISSING),
    ("bootstrap", "DataKey/KeyPolicy/Statement/1/Condition", MISSING),
    ("bootstrap", "DataKey/KeyPolicy/Statement/0/Action", "kms:*"),
    ("bootstrap", "LogsKey/KeyPolicy/Statement/1/Condition", MISSING),
    ("bootstrap", "MessagesKey/KeyPolicy/Statement/1", MISSING),
    ("bootstrap", "MessagesKey/KeyPolicy/Statement/2/Condition", {"StringEquals": {"aws:SourceAccount": "1"}}),
    ("bootstrap", "MessagesKey/KeyPolicy/Statement/3/Action/2", MISSING),
    ("bootstrap", "MessagesKey/KeyPolicy/Statement/3/Condition", MISSING),
    ("bootstrap", "Boundary/PolicyDocument/Statement/0/Action/0", "iam:*"),
    ("bootstrap", "Boundary/PolicyDocument/Statement/1/Action/0", "logs:CreateLogGroup"),
    ("bootstrap", "EcsRole", MISSING),
    ("bootstrap", "Budget/Budget/BudgetName", "kumiki"),
    ("delivery", "DeployProdRole/AssumeRolePolicyDocument/Statement/0/Condition", MISSING),
    ("delivery", "DeployDevRole/Tags/0/Value", "prod"),
    ("delivery", "DeployRoles/PolicyDocument/Statement/0/Condition", MISSING),
    ("delivery", "DeployRoles/PolicyDocument/Statement/2/Condition", MISSING),
    ("delivery", "DeployRoles/PolicyDocument/Statement/5", MISSING),
    # Alarms that could never go off, or too late, or tell nobody.
    ("service_alarms", "RequestsFailed/Namespace/Fn::Sub", "Kumiki"),
    ("service_alarms", "OutboxAge/MetricName", "OutboxAge"),
    ("service_alarms", "OutboxAge/Dimensions/0/Name", "Service"),
    ("service_alarms", "OutboxAge/TreatMissingData", "notBreaching"),
    ("service_alarms", "ApiErrors/Dimensions", MISSING),
    ("service_alarms", "ApiErrors/Dimensions/0/Value/Ref", "ConsumerFunction"),
    ("service_alarms", "QueueAge/Statistic", "Average"),
    ("service_alarms", "QueueAge/Threshold", 900),
    ("service_alarms", "DeadLetters/Dimensions/0/Value/Fn::Sub", "kumiki-${Environment}-${Service}-dead"),
    ("service_alarms", "DeadLetters/AlarmActions", []),
    ("service_alarms", "MessagesFailed/DatapointsToAlarm", 5),
    ("service_alarms", "TasksMissing/TreatMissingData", "missing"),
    ("service_alarms", "JournalAge/AlarmDescription/Fn::Sub", "It grows. docs/operations.md#journals"),
    ("monitoring", "PinnedSessions/Dimensions/0/Name", "DBProxyName"),
    ("monitoring", "ApiLatency/Dimensions/1", MISSING),
    ("monitoring", "ApiFailures/Statistic", "Sum"),
    ("monitoring", "DatabaseConnections/Metrics/2/ReturnData", True),
    ("monitoring", "Topic/KmsMasterKeyId", "alias/aws/sns"),
    ("monitoring", "TopicPolicy/PolicyDocument/Statement/0/Condition/ArnLike", MISSING),
    ("monitoring", "Orders/Parameters/ApiFunction/Fn::Select/0", 0),
    ("monitoring", "Catalog/Parameters/Subscribes", "true"),
    *(
        ("monitoring", f"Dashboard/DashboardBody/{place}", (old, new))
        for place, old, new in (
            ("Fn::Sub/0", "5XXError", "5xxError"),
            ("Fn::Sub/0", "OutboxAgeSeconds", "OutboxAge"),
            ("Fn::Sub/0", '"ProxyName"', '"DBProxyName"'),
            ("Fn::Sub/1/OfThisDesign/Fn::If/1/Fn::Sub", "-dead-letters", "-dlq"),
            ("Fn::Sub/1/OfThisDesign/Fn::If/2/Fn::Sub", "LoadBalancer,TargetGroup", "TargetGroup"),
        )
    ),
]

OF_TASTE = re.compile(
    r"""
      (?<!Alarm)Description$ | SecurityGroup/Tags | PolicyName$ | /Version$ | (?<!Alarm)Description/Fn::Sub$
    | PolicyDocument/Statement/\d+/Sid$ | DatabaseConnections/Metrics/\d+/Label$
    # Single rights that a deploy or a role takes: whether one is missing, only AWS shows.
    | (Deploy(Functions|Containers|Roles)|Boundary)/PolicyDocument/Statement/\d+/(Action|Resource)/\d+
    | DeployUnnamed/PolicyDocument/Statement/0/Resource/(3|9)(/|$) # tags of APIs; a group's VPC
    """,
    re.VERBOSE,
)
"""Where another value would do as well, or none."""


@cache
def whole(template: str) -> dict[str, Any]:
    return load(f"infra/{template}.yaml")


def checks(template: str) -> Iterator[Callable[[], None]]:
    """Every test of the modules that look after a template, with each of its parameters, read anew."""
    for module in CHECKED_BY[template].split():
        yield from _checks(runpy.run_path(str(ROOT / f"tests/infrastructure/{module}.py")))


def _checks(module: dict[str, Any]) -> Iterator[Callable[[], None]]:
    for name, test in module.items():
        if name.startswith("test_") and inspect.isfunction(test):
            marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
            for values in marks[0].args[1] if marks else [()]:
                given = values if isinstance(values, tuple) else (values,)
                yield lambda test=test, given=given: test(*given)  # type: ignore[misc]


def noticed(template: str, broken: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> bool:
    def loaded(path: str) -> dict[str, Any]:
        return copy.deepcopy(broken) if path == f"infra/{template}.yaml" else load(path)

    with monkeypatch.context() as patched:
        patched.setattr(templates, "load", loaded)
        patched.delitem(sys.modules, "tests.infrastructure.test_bootstrap", raising=False)  # has read the whole one
        try:
            for check in checks(template):
                check()
        except ImportError:  # a check that cannot be imported has noticed nothing
            raise
        except Exception:  # a template that cannot even be rendered has been noticed too
            return True
    return False


def changed(template: str, path: Path, value: Any) -> dict[str, Any]:
    broken = copy.deepcopy(whole(template))
    change(broken["Resources"], path, value)
    return broken


@pytest.mark.parametrize("template", CHECKED_BY)
def test_what_is_whole_passes(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    everything()
    assert len(list(checks(template))) > 20
    assert not noticed(template, whole(template), monkeypatch)


def test_a_check_that_cannot_be_read_is_no_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tests.infrastructure.everything", None)
    with pytest.raises(ImportError):
        noticed("bootstrap", whole("bootstrap"), monkeypatch)


@pytest.mark.parametrize(("template", "path", "value"), PLANTED, ids=[f"{t} {p}" for t, p, _ in PLANTED])
def test_a_planted_fault_is_noticed(template: str, path: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert noticed(template, changed(template, at(path), value), monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("template", CHECKED_BY)
def test_whatever_is_taken_away_or_changed_is_noticed(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    survived, count = [], 0
    for path, value in breakings(whole(template)["Resources"]):
        if not OF_TASTE.search(name_of(path)):
            count += 1
            if not noticed(template, changed(template, path, value), monkeypatch):
                survived.append(f"{name_of(path)} {'gone' if value is MISSING else value}")
    print(f"{count} faults in infra/{template}.yaml")
    assert not survived, "\n".join(survived)
