"""An environment taken away again, in the order in which nothing is needed any more."""

import sys
from collections import Counter

from operations.question import agreed
from release import Refused, change, checks, interfaces, stack
from release.resources import Resource, of_stack
from release.stack import Stack
from release.target import DESIGNS, Target

LEFT_BY_AWS = (
    "the database's final snapshot, for good, and those of every day, until they are as old as it was to keep them",
    "log groups that AWS makes by itself: API Gateway's of executions, the proxy's, RDSOSMetrics",
    "the bucket where SAM keeps artifacts (stack aws-sam-cli-managed-default), which all environments share",
    "the account's keys, whatever they have encrypted: snapshots are read with them",
)


def destroy(target: Target, yes: str, account: bool) -> None:
    """`yes`: an answer beforehand; for prod it has to be its name. `account`: what all environments share goes as well.
    Raises Refused, boto3's errors."""
    print(f"{target.environment}: {checks.caller(target)}", flush=True)
    going = [each for each in _all(target, account) if change.settled(target, each.name)]
    if not going:
        print("  there is nothing of it")
        return
    if apart := _apart(target):
        raise Refused(f"{', '.join(apart)} of a service of its own would be left without a network: delete that first")
    for each in going:
        _tell(target, each)
    print("What stays in any case:", *LEFT_BY_AWS, sep="\n  ")
    _ask(target.environment, yes)
    for each in going:
        print(f"\n{each.name}", flush=True)
        if each.key.endswith("-database"):
            interfaces.wait(target, each.name)
        change.delete(target, each.name)


def _all(target: Target, account: bool) -> list[Stack]:
    """From the last to the first."""
    if target.environment == "local":
        return stack.application("local", "lambda")
    of_both = [each for design in DESIGNS for each in stack.application(target.environment, design)]
    shared = stack.account() if account else []
    if account and (others := _others(target)):
        raise Refused(f"other environments need what the account has: {', '.join(others)}")
    return [*shared, *stack.platform(target.environment), *of_both][::-1]


def _others(target: Target) -> list[str]:
    names = [s.name for e in {"dev", "prod"} - {target.environment} for s in stack.platform(e)]
    return [name for name in names if stack.described(target, name)]


def _apart(target: Target) -> list[str]:
    """What else has the environment's name, and is nested in no stack: of services that have left the shop's."""
    if target.environment == "local":
        return []
    pages = target.client("cloudformation").get_paginator("describe_stacks").paginate()
    names = {found["StackName"] for page in pages for found in page["Stacks"] if "ParentId" not in found}
    known = {each.name for each in _all(target, account=False)}
    return sorted(name for name in names - known if name.startswith(f"kumiki-{target.environment}-"))


def _tell(target: Target, each: Stack) -> None:
    resources = list(of_stack(target, each.name))
    going = Counter(r.kind for r in resources if not _stays(r))
    print(
        f"\n{each.name} goes: "
        + ", ".join(f"{count} {kind.removeprefix('AWS::')}" for kind, count in sorted(going.items()))
    )
    for resource in filter(_stays, resources):
        print(f"  stays: {resource.physical_id} ({resource.kind}, {resource.policy})")


def _stays(resource: Resource) -> bool:
    return resource.policy != "Delete" and resource.kind != "AWS::Lambda::Version"  # which goes with its function


def _ask(environment: str, yes: str) -> None:
    """Raises Refused."""
    if environment == "prod":
        said = yes or (input("  type prod to destroy it: ").strip() if sys.stdin.isatty() else "")
        if said != "prod":
            raise Refused("prod stays: type its name, or give YES=prod")
    elif not agreed(f"destroy {environment}?", bool(yes)):
        raise Refused("nothing was deleted")
