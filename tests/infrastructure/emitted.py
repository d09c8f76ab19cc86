"""Metrics that there are: what our code counts, found in it and looked at as it is written, and what AWS says that its
services tell. An alarm on anything else would never go off."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.infrastructure.templates import ROOT

COUNTED = "import common.observability as o; o.count('Counted', 2); o.flush()"


def _alike(names: str, *dimensions: tuple[str, ...]) -> dict[str, set[tuple[str, ...]]]:
    return {name: set(dimensions) for name in names.split()}


# Dimensions by which AWS says that each can be asked for, of several those that we mean.
AWS: dict[str, dict[str, set[tuple[str, ...]]]] = {
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    "AWS/ApiGateway": _alike("Count 4XXError 5XXError Latency", ("ApiName", "Stage")),
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": {
        "Errors": {("FunctionName",)},
        "Throttles": {("FunctionName",), ()},
        "ConcurrentExecutions": {()},
    },
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": _alike(
        "ApproximateAgeOfOldestMessage ApproximateNumberOfMessagesVisible NumberOfMessagesDeleted", ("QueueName",)
    ),
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html, and of the proxy, in the same namespace,
    # where dimension set 1 is the proxy's name alone:
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.monitoring.html
    "AWS/RDS": {
        "CPUUtilization": {("DBInstanceIdentifier",)},
        "FreeStorageSpace": {("DBInstanceIdentifier",)},
        "DatabaseConnections": {("DBInstanceIdentifier",), ("ProxyName",)},
        "MaxDatabaseConnectionsAllowed": {("ProxyName",)},
        "DatabaseConnectionsCurrentlySessionPinned": {("ProxyName",)},
        "DatabaseConnectionsBorrowLatency": {("ProxyName",)},
        "ClientConnections": {("ProxyName",)},
    },
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
    "AWS/ApplicationELB": _alike(
        "HTTPCode_Target_5XX_Count HealthyHostCount UnHealthyHostCount", ("LoadBalancer", "TargetGroup")
    ),
}


@cache
def counted() -> dict[str, set[str]]:
    """Names of our own metrics, and the files that count them."""
    found: dict[str, set[str]] = {}
    for folder in ("services", "layers", "ecs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for name in _counted(ast.parse(path.read_text(encoding="utf-8"))):
                found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return found


def _counted(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name("count"), args=[ast.Constant(str(name)), *_]):
                yield name
            case ast.Call(func=ast.Name("count"), args=[ast.Subscript(value=ast.Name(table)), *_]):  # one of a table
                yield from _values(module, table)
            case ast.Call(func=ast.Name("count"), args=[other, *_]):
                raise ValueError(f"cannot tell which metric this is: {ast.unparse(other)}")


def _values(module: ast.Module, table: str) -> list[str]:
    for node in ast.walk(module):
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=ast.Dict(values=values)) if name == table:
                return [str(ast.literal_eval(value)) for value in values]
    raise ValueError(f"no table {table}")


@cache
def services_that_count(metric: str, design: str) -> set[str]:
    """Those whose functions, or tasks, have the code that counts it."""
    services, found = {path.parent.name for path in ROOT.glob("services/*/__init__.py")}, set()
    for file in counted().get(metric, set()):
        folder, name = Path(file).parts[:2]
        if folder == "services":
            found.add(name)
        elif folder == "layers":
            found |= services
        elif design == "containers":
            found |= {service for service in services if _reaches(service, Path(file).stem)}
    if counted().get(metric) == {"layers/common/consumer.py"}:  # where there are messages to consume
        subscribing = {
            path.parent.name for path in ROOT.glob("services/*/consumer.py") if "@consumer.on(" in path.read_text()
        }
        return found & subscribing if design == "functions" else set()
    return found


def _reaches(service: str, module: str) -> bool:
    """Whether a service's own code in ecs/ imports a module, itself or through others."""
    seen: set[str] = set()
    left = [service]
    while left:
        name = left.pop()
        seen.add(name)
        paths = [path for path in (ROOT / f"ecs/{name}.py", ROOT / f"ecs/runtime/{name}.py") if path.exists()]
        text = "".join(path.read_text(encoding="utf-8") for path in paths)
        imported = re.findall(r"^from ecs(?:\.runtime)?\.(\w+) import", text, re.MULTILINE)
        for names in re.findall(r"^from ecs(?:\.runtime)? import (.+)", text, re.MULTILINE):
            imported += re.findall(r"\w+", names)
        left += [each for each in imported if each not in seen]
    return module in seen


@cache
def written(namespace: str, service: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Namespace and dimensions of what a function or task with these settings writes: our code run, its line read."""
    settings = {"POWERTOOLS_METRICS_NAMESPACE": namespace, "POWERTOOLS_SERVICE_NAME": service, "PYTHONPATH": "layers"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POWERTOOLS")} | settings
    line = subprocess.run(
        [sys.executable, "-c", COUNTED], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return read(json.loads(line.stdout))["Counted"]


def read(line: dict[str, object]) -> dict[str, tuple[str, tuple[tuple[str, str], ...]]]:
    """Namespace and dimensions, by name, of the metrics in a line of the embedded metric format."""
    [directive] = line["_aws"]["CloudWatchMetrics"]  # type: ignore[index]
    [names] = directive["Dimensions"]
    dimensions = tuple(sorted((name, str(line[name])) for name in names))
    return {metric["Name"]: (directive["Namespace"], dimensions) for metric in directive["Metrics"]}
