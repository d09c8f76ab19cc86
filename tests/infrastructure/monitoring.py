"""What monitoring watches in each design: its alarms and its dashboard, as they would be created in an environment."""

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from tests.infrastructure import ecs_design
from tests.infrastructure.templates import ROOT, Stack, stack

DESIGNS = ("functions", "containers")
WHERE = [(design, environment) for design in DESIGNS for environment in ("dev", "prod")]
SERVICES = ecs_design.SERVICES

Minute = Sequence[float]
"""The values that a metric was given in a minute; none, where nothing was said."""


class Metric(NamedTuple):
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    """By name. A value is empty where all that there are were searched for."""


@dataclass(frozen=True)
class Alarm:
    service: str | None
    logical_id: str
    properties: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.properties["AlarmName"])

    @property
    def metrics(self) -> list[Metric]:
        if "Metrics" not in self.properties:
            return [_metric(self.properties)]
        queries = [query["MetricStat"] for query in self.properties["Metrics"] if "MetricStat" in query]
        assert {(query["Stat"], query["Period"]) for query in queries} == {("Sum", 60)}
        return [_metric(query["Metric"]) for query in queries]

    def goes_off(self, minutes: Sequence[Minute], before: bool = False) -> bool:
        """Whether it is in alarm after these minutes. CloudWatch looks at the last `EvaluationPeriods`; what is missing
        there counts as `TreatMissingData` says; with `ignore` an alarm without any data stays as it was `before`."""
        given = self.properties
        assert given["Period"] == 60
        last = list(minutes)[-int(given["EvaluationPeriods"]) :]
        said = [self._breaches(minute) for minute in last if minute]
        missing = int(given["EvaluationPeriods"]) - len(said)
        match given["TreatMissingData"]:
            case "breaching":
                said += missing * [True]
            case "notBreaching":
                said += missing * [False]
            case "ignore" if not said:
                return before
            case "ignore":
                pass
            case unknown:
                raise ValueError(unknown)
        return sum(said) >= int(given.get("DatapointsToAlarm", given["EvaluationPeriods"]))

    def _breaches(self, minute: Minute) -> bool:
        value, threshold = self._statistic(sorted(minute)), float(self.properties["Threshold"])
        compare = {"GreaterThanThreshold": value > threshold, "LessThanThreshold": value < threshold}
        return compare[self.properties["ComparisonOperator"]]

    def _statistic(self, values: Sequence[float]) -> float:
        [(key, statistic)] = [(k, v) for k, v in self.properties.items() if k in ("Statistic", "ExtendedStatistic")]
        if key == "ExtendedStatistic":
            rank = float(statistic.removeprefix("p")) / 100 * len(values)
            return values[min(int(rank), len(values) - 1)]
        statistics = {"Sum": sum(values), "Average": sum(values) / len(values), "Maximum": values[-1]}
        return {**statistics, "Minimum": values[0]}[statistic]


@dataclass(frozen=True)
class Monitoring:
    """`outer` is the design's own stack, whose `given` parameters `stack` has, and each of `services` what it gave."""

    design: str
    environment: str
    outer: Stack
    given: dict[str, str]
    stack: Stack
    services: dict[str, Stack]

    @property
    def alarms(self) -> list[Alarm]:
        stacks = [(None, self.stack), *self.services.items()]
        return [
            Alarm(service, name, properties)
            for service, made in stacks
            for name, properties in made.of_type("AWS::CloudWatch::Alarm").items()
        ]

    def alarm(self, service: str | None, logical_id: str) -> Alarm:
        [found] = [alarm for alarm in self.alarms if (alarm.service, alarm.logical_id) == (service, logical_id)]
        return found

    @property
    def widgets(self) -> list[dict[str, Any]]:
        [dashboard] = self.stack.of_type("AWS::CloudWatch::Dashboard").values()
        return [widget["properties"] for widget in json.loads(dashboard["DashboardBody"])["widgets"]]

    @property
    def shown(self) -> list[Metric]:
        return [metric for widget in self.widgets for metric in _shown(widget)]


def monitoring(design: str, environment: str) -> Monitoring:
    outer = _outer(design, environment)
    nested = outer.properties("Monitoring")
    assert nested["TemplateURL"].removeprefix("./").removeprefix("../") == "infra/monitoring.yaml"
    given = {name: str(value) for name, value in nested["Parameters"].items()}
    made = stack("infra/monitoring.yaml", **given)
    services = {}
    for inner in made.of_type("AWS::CloudFormation::Stack").values():
        assert inner["TemplateURL"].removeprefix("./") == "service_alarms.yaml"
        services[inner["Parameters"]["Service"]] = stack("infra/service_alarms.yaml", **inner["Parameters"])
    return Monitoring(design, environment, outer, given, made, services)


@cache
def _outer(design: str, environment: str) -> Stack:
    if design == "containers":
        return ecs_design.design("CLOUD_MAP", environment=environment).template
    configured = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))[environment]["deploy"]
    given = dict(each.split("=", 1) for each in configured["parameters"]["parameter_overrides"])
    return stack("template.yaml", **given)


@cache
def things(design: str, environment: str) -> dict[str, set[str]]:
    """Names of what the other stacks make, by the dimension under which it can be watched."""
    outer, database = _outer(design, environment), stack("infra/database.yaml", Environment=environment)
    given = outer.properties("Monitoring")["Parameters"]
    published = {p["Name"]: p["Value"] for p in database.of_type("AWS::SSM::Parameter").values()}
    types = {f"${{{name}}}": resource["Type"] for name, resource in database.resources.items()}
    assert types[published[given["DatabaseName"]]] == "AWS::RDS::DBInstance"
    assert types[published[given["DatabaseProxyName"]]] == "AWS::RDS::DBProxy"
    there = {"DBInstanceIdentifier": {"${DatabaseName}"}, "ProxyName": {"${DatabaseProxyName}"}}
    there |= {"Stage": {environment}}
    if design == "containers":
        made = ecs_design.design("CLOUD_MAP", environment=environment)
        assert made.cluster.outputs["LoadBalancerName"] == "${LoadBalancer.LoadBalancerFullName}"
        assert {s.outputs["TargetGroup"] for s in made.services.values()} == {"${TargetGroup.TargetGroupFullName}"}
        assert made.front_door.outputs["ApiName"] == _api_name(made.front_door, environment)
        return there | {
            "ApiName": {"${FrontDoor.Outputs.ApiName}"},
            "LoadBalancer": {"${Cluster.Outputs.LoadBalancerName}"},
            "TargetGroup": {f"${{{s.capitalize()}.Outputs.TargetGroup}}" for s in SERVICES},
        }
    queues = set()
    for name, nested in outer.of_type("AWS::CloudFormation::Stack").items():
        if name.endswith("Subscription") or name == "Bus":
            made_of = stack(nested["TemplateURL"], **{k: str(v) for k, v in nested["Parameters"].items()})
            queues |= {queue["QueueName"] for queue in made_of.of_type("AWS::SQS::Queue").values()}
    functions = {f"${{{name}}}" for name in outer.of_type("AWS::Lambda::Function")}
    return there | {
        "ApiName": {_api_name(outer, environment)},
        "QueueName": queues,
        "FunctionName": functions,
    }


def _api_name(made: Stack, environment: str) -> str:
    [api] = made.of_type("AWS::ApiGateway::RestApi").values()
    assert [stage["StageName"] for stage in made.of_type("AWS::ApiGateway::Stage").values()] == [environment]
    return str(api["Name"])


def _metric(given: dict[str, Any]) -> Metric:
    dimensions = sorted((each["Name"], each["Value"]) for each in given.get("Dimensions", []))
    return Metric(given["Namespace"], given["MetricName"], tuple(dimensions))


def _shown(widget: dict[str, Any]) -> Iterator[Metric]:
    """Metrics of a widget, with its shorthand written out: "." repeats what stood there, "..." all that came before."""
    before: list[str] = []
    for row in widget["metrics"]:
        words = [word for word in row if isinstance(word, str)]
        options = [word for word in row if not isinstance(word, str)]
        if not words:
            yield _searched(options[0]["expression"])
            continue
        if words[0] == "...":
            words = before[: len(before) - len(words) + 1] + words[1:]
        words = [before[place] if word == "." else word for place, word in enumerate(words)]
        before = words
        yield Metric(words[0], words[1], tuple(sorted(zip(words[2::2], words[3::2], strict=True))))


def _searched(expression: str) -> Metric:
    form = r"SEARCH\('\{([^,}]+),([^}]+)\} MetricName=\"(\w+)\"(?: (\w+)=\"([^\"]+)\")?', '\w+', 60\)"
    found = re.fullmatch(form, expression)
    assert found, expression
    namespace, names, metric, name, value = found.groups()
    dimensions = sorted((each, value if each == name else "") for each in names.split(","))
    assert name is None or name in names.split(",")
    return Metric(namespace, metric, tuple(dimensions))
