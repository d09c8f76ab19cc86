"""The Lambda design as it would be created: template.yaml and all that it nests, each with what it is given."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Any

from tests.infrastructure.templates import ROOT, Stack, stack

ENVIRONMENTS = ("local", "dev", "prod")
SERVICES = {
    name.capitalize(): name for name in ("catalog", "orders", "inventory", "payments", "shipping", "notifications")
}
CONSUMERS = {f"{name}Consumer": name for name in SERVICES}
APIS = {f"{name}Api": name for name in SERVICES}
FUNCTIONS = APIS | CONSUMERS
SUBSCRIBERS = SERVICES.keys() - {"Catalog"}
SILENT = {"InventoryApi", "NotificationsApi", "NotificationsConsumer"}
"""Functions that publish nothing."""


@dataclass(frozen=True)
class Shop(Stack):
    """template.yaml of one environment, and by logical id what it nests, and what that nests."""

    environment: str
    nested: dict[str, Stack]

    @property
    def functions(self) -> dict[str, Any]:
        return self.of_type("AWS::Lambda::Function")

    @property
    def on_aws(self) -> bool:
        return self.environment != "local"

    def role(self, function: str) -> dict[str, Any]:
        return self.properties(self.functions[function]["Role"].removeprefix("${").removesuffix(".Arn}"))

    def variables(self, function: str) -> dict[str, str]:
        return dict(self.functions[function]["Environment"]["Variables"])

    def rights(self, function: str) -> set[tuple[str, str]]:
        """(action, resource) of everything that a function's role allows by its own policies."""
        found = statements(self.role(function))
        assert {statement["Effect"] for statement in found} <= {"Allow"}
        return {
            (action, resource) for s in found for action in listed(s["Action"]) for resource in listed(s["Resource"])
        }


def parameters_of(environment: str) -> dict[str, str]:
    """What samconfig.toml deploys an environment with."""
    configuration = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    overrides = configuration[environment]["deploy"]["parameters"]["parameter_overrides"]
    return dict(override.split("=", 1) for override in overrides)


@cache
def shop_of(environment: str) -> Shop:
    template = stack("template.yaml", **parameters_of(environment))
    return shop(environment, template.resources, template.outputs)


def shop(environment: str, resources: dict[str, Any], outputs: dict[str, Any]) -> Shop:
    return Shop(resources, outputs, environment, dict(_nested(Stack(resources, outputs), PurePath())))


def _nested(parent: Stack, folder: PurePath) -> Iterator[tuple[str, Stack]]:
    for name, properties in parent.of_type("AWS::CloudFormation::Stack").items():
        path = folder / properties["TemplateURL"]
        child = _rendered(str(path), tuple(properties.get("Parameters", {}).items()))
        yield name, child
        for below, made in _nested(child, path.parent):
            yield f"{name}/{below}", made


@cache
def _rendered(path: str, given: tuple[tuple[str, Any], ...]) -> Stack:
    return stack(path, **{name: str(value) for name, value in given})


def statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    return [s for policy in role.get("Policies", []) for s in policy["PolicyDocument"]["Statement"]]


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def logical_id(reference: str) -> str:
    """The function that a reference to it, its version or its alias means."""
    found = re.fullmatch(r"\$\{(\w+?)(?:Alias\w+|Version\w+)?(?:\.Arn)?\}", reference)
    assert found, reference
    return found[1]


def tags(properties: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
