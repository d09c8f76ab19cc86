"""The ECS design as it would be created: ecs/template.yaml with what it nests, each with the parameters given to it."""

import json
import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from tests.infrastructure.templates import ROOT, Stack, load, render, stack

MODES = ("CLOUD_MAP", "BOTH", "SERVICE_CONNECT")
SERVICES = ("catalog", "orders", "inventory", "payments", "shipping", "notifications")
EDGES = {
    *(("orders", called) for called in ("catalog", "inventory", "payments", "shipping", "notifications")),
    *(("shipping", called) for called in ("orders", "inventory")),
    ("payments", "orders"),
    ("inventory", "catalog"),
}
"""Who calls whom."""

IMAGE = "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/kumiki-dev@sha256:" + 64 * "0"
LISTENER = "arn:aws:elasticloadbalancing:ap-northeast-1:123456789012:listener/app/name/1/2"
NAMES = ("template", "cluster", "front_door", "service", "migrator", "repository")
SHARED = {"Identity": "../infra/identity.yaml", "Cluster": "cluster.yaml", "FrontDoor": "front_door.yaml"}
"""What ecs/template.yaml nests beside a stack a service."""
Templates = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Design:
    mode: str
    template: Stack
    cluster: Stack
    identity: Stack
    front_door: Stack
    services: dict[str, Stack]
    parameters: dict[str, dict[str, str]]
    migrator: Stack
    repository: Stack

    def container(self, service: str) -> dict[str, Any]:
        [container] = self.services[service].properties("TaskDefinition")["ContainerDefinitions"]
        return dict(container)

    def environment(self, service: str) -> dict[str, str]:
        pairs = self.container(service)["Environment"]
        assert len({pair["Name"] for pair in pairs}) == len(pairs)
        return {pair["Name"]: pair["Value"] for pair in pairs}

    def logical_id(self, service: str) -> str:
        return next(name for name, given in self.parameters.items() if given["Service"] == service)


def deployed_with(key: str) -> dict[str, str]:
    """What a table of ecs/samconfig.toml gives."""
    configuration = tomllib.loads((ROOT / "ecs/samconfig.toml").read_text(encoding="utf-8"))
    return dict(each.split("=", 1) for each in configuration[key]["deploy"]["parameters"]["parameter_overrides"])


@cache
def _text(name: str) -> str:
    return json.dumps(load(f"ecs/{name}.yaml"), default=dict)


def templates() -> Templates:
    """All of them, to be changed at will."""
    return {name: json.loads(_text(name)) for name in NAMES}


@lru_cache(64)
def _rendered(text: str, given: tuple[tuple[str, str], ...]) -> Stack:
    return render(json.loads(text), **dict(given))


def production(made_of: Templates | None = None) -> Design:
    """As it is deployed, and with what may be asked for: the load balancer's log, figures of tasks."""
    return design("CLOUD_MAP", made_of, "prod", AccessLogBucket="joiners-logs", ContainerInsights="enhanced")


def design(mode: str, made_of: Templates | None = None, environment: str = "dev", **others: str) -> Design:
    """What `environment` is deployed with, but for `others`."""
    texts = {name: json.dumps(template) for name, template in (made_of or templates()).items()}

    def rendered(name: str, given: dict[str, str]) -> Stack:
        return _rendered(texts[name], tuple(given.items()))

    given = {**deployed_with(environment), "DiscoveryMode": mode, "Image": IMAGE, **others}
    template = rendered("template", given)
    nested = template.of_type("AWS::CloudFormation::Stack")
    outputs: dict[str, dict[str, Any]] = {}

    def passed(name: str) -> dict[str, str]:
        return {key: _filled(value, outputs) for key, value in nested[name]["Parameters"].items()}

    identity = stack("infra/identity.yaml", **passed("Identity"))
    outputs["Identity"] = identity.outputs
    cluster = rendered("cluster", passed("Cluster"))
    outputs["Cluster"] = {**cluster.outputs, "ListenerArn": LISTENER}
    front_door = rendered("front_door", passed("FrontDoor"))
    parameters = {name: passed(name) for name in nested if name not in (*SHARED, "Monitoring")}
    services = {each["Service"]: rendered("service", each) for each in parameters.values()}
    migrator = rendered("migrator", {**deployed_with(f"{environment}-migrator"), "Image": IMAGE})
    repository = rendered("repository", deployed_with(f"{environment}-repository"))
    return Design(mode, template, cluster, identity, front_door, services, parameters, migrator, repository)


def _filled(value: Any, outputs: dict[str, dict[str, Any]]) -> str:
    return re.sub(r"\$\{(\w+)\.Outputs\.(\w+)\}", lambda found: str(outputs[found[1]][found[2]]), str(value))
