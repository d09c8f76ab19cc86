"""The resources of an environment, rendered from its templates with the parameters that it is deployed with."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from localcloud.home import REPOSITORY
from release import stack as deployed
from release.target import CONFIGURATIONS
from tests.infrastructure.templates import Stack, load, render


class Resource(NamedTuple):
    group: str
    """What is deployed together: account, network, endpoints, database, application."""
    stack: str
    """The nested stack that it is in, by its logical id; empty at the top."""
    name: str
    kind: str
    properties: dict[str, Any]
    beside: dict[str, Any]
    """All resources of its stack."""


@cache
def resources(environment: str, design: str) -> list[Resource]:
    account = [("account", each) for each in deployed.account()]
    platform = [(each.template.stem, each) for each in deployed.platform(environment)]
    application = deployed.application(environment, design)
    if design == "lambda":
        application = [deployed.Stack(environment, REPOSITORY / "template.yaml", CONFIGURATIONS[design])]
    return [
        resource
        for group, stack in [*account, *platform, *(("application", each) for each in application)]
        for resource in _of(group, "", stack.template, stack.parameters)
    ]


def _of(group: str, name: str, template: Path, given: dict[str, str]) -> Iterator[Resource]:
    loaded = load(str(template.relative_to(REPOSITORY)))
    missing = {key: "x" for key, each in loaded.get("Parameters", {}).items() if "Default" not in each}
    made: Stack = render(
        loaded, **{key: each for key, each in (missing | given).items() if key in loaded["Parameters"]}
    )
    for logical_id, resource in made.resources.items():
        properties = resource.get("Properties", {})
        yield Resource(group, name, logical_id, resource["Type"], properties, made.resources)
        if resource["Type"] == "AWS::CloudFormation::Stack":
            parameters = {key: str(value) for key, value in properties.get("Parameters", {}).items()}
            yield from _of(group, logical_id, (template.parent / properties["TemplateURL"]).resolve(), parameters)
