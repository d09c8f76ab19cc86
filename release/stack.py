"""The stacks of an account and of an environment, in the order in which they come."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from localcloud.home import REPOSITORY
from release.target import CONFIGURATIONS, Target, table

INFRA = REPOSITORY / "infra"
BUILD = REPOSITORY / ".aws-sam"


@dataclass(frozen=True)
class Stack:
    """A stack that `sam deploy` makes of `template` and of the table `key` of a samconfig.toml."""

    key: str
    template: Path
    configuration: Path = INFRA / "samconfig.toml"
    options: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return str(table(self.configuration, self.key)["stack_name"])

    @property
    def region(self) -> str:
        return str(table(self.configuration, self.key)["region"])

    @property
    def parameters(self) -> dict[str, str]:
        """As it is to be deployed; what is not among them stays as it was."""
        configured = table(self.configuration, self.key).get("parameter_overrides", [])
        return dict(each.split("=", 1) for each in (*configured, *self.overrides))

    def given(self, **parameters: str) -> "Stack":
        return replace(self, overrides=(*self.overrides, *(f"{k}={v}" for k, v in parameters.items() if v)))


def account() -> list[Stack]:
    return [Stack(f"account-{name}", INFRA / f"{name}.yaml") for name in ("bootstrap", "delivery")]


def platform(environment: str) -> list[Stack]:
    return [Stack(f"{environment}-{name}", INFRA / f"{name}.yaml") for name in ("network", "endpoints", "database")]


def application(environment: str, design: str) -> list[Stack]:
    """Of the ECS design: what has the image, what migrates, what serves."""
    if design == "lambda":
        return [Stack(environment, BUILD / "build" / "template.yaml", CONFIGURATIONS[design])]
    parts = {f"{environment}-repository": "repository", f"{environment}-migrator": "migrator", environment: "template"}
    folder = REPOSITORY / "ecs"
    return [Stack(key, folder / f"{name}.yaml", CONFIGURATIONS[design]) for key, name in parts.items()]


def described(target: Target, name: str) -> Any | None:
    """The stack as CloudFormation describes it, or None where there is none."""
    try:
        [found] = target.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return found


def outputs(target: Target, name: str) -> dict[str, str]:
    """Empty where there is no stack."""
    found = described(target, name) or {}
    return {str(each["OutputKey"]): str(each["OutputValue"]) for each in found.get("Outputs", [])}


def parameters(target: Target, name: str) -> dict[str, str]:
    """With which the stack was deployed last; empty where that never came to an end."""
    found = described(target, name)
    if found is None or found["StackStatus"] in ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"):
        return {}
    return {str(each["ParameterKey"]): str(each.get("ParameterValue", "")) for each in found.get("Parameters", [])}


def refused(error: ClientError) -> bool:
    """Whether the caller may not do that at all."""
    return str(error.response["Error"]["Code"]) in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
