"""One stack brought up to date: its change set is made by SAM and shown, asked for, and followed to its end."""

import os
import subprocess
import time
from typing import Any

from botocore.exceptions import ClientError

from localcloud.home import child_environment, virtual_environment
from operations.question import agreed
from release import Refused, checks, progress, protection
from release.stack import Stack, described
from release.target import Target

FIRST_FAILED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
SAM_SECONDS = 1800  # uploads and a change set; not what comes of it


def bring_up(target: Target, stack: Stack, yes: bool) -> bool:
    """Create or update the stack. Whether there was anything to change. Whatever ended an earlier attempt, this goes on
    from what it finds. Raises Refused, CalledProcessError, boto3's errors."""
    print(f"\n{stack.name}", flush=True)
    found = settled(target, stack.name)
    status = str(found["StackStatus"]) if found else ""
    if status in FIRST_FAILED:
        _remove_failed(target, stack.name, status, yes)
    elif status.endswith("_FAILED"):
        raise Refused(f"{stack.name} is in {status}, out of which only somebody who looks at it can bring it")
    checks.published(target, stack)
    if (change := _prepared(target, stack)) is None:
        print("  is as it should be")
        return False
    try:
        wanted = agreed(f"change {stack.name} in this way?", yes)
    except KeyboardInterrupt:
        discard(target, change)
        raise
    if not wanted:
        discard(target, change)
        raise Refused(f"{stack.name} stays as it is, and nothing that comes after it was looked at")
    story = progress.Story(target, change["StackId"])
    # What is made now and would be retained goes with a rollback all the same, or it would be in the way of the next
    # attempt: of the same code Lambda publishes no second version, which CloudFormation takes for a failure.
    target.client("cloudformation").execute_change_set(ChangeSetName=change["ChangeSetId"], RetainExceptOnCreate=True)
    ended(story, stack.name)
    return True


def there(target: Target, name: str) -> bool:
    """Whether it was ever created to the end."""
    found = settled(target, name)
    return found is not None and found["StackStatus"] not in FIRST_FAILED


def settled(target: Target, name: str) -> Any | None:
    """The stack once nothing is at work on it. Raises Refused when that takes hours."""
    told, deadline = "", time.monotonic() + progress.PATIENCE
    while found := described(target, name):
        status = str(found["StackStatus"])
        if status == "REVIEW_IN_PROGRESS":  # a change set without a stack
            return None
        if not status.endswith("_IN_PROGRESS"):
            return found
        if time.monotonic() > deadline:
            raise Refused(f"{name} stays in {status}")
        if status != told:
            print(f"  {name} is in {status}: waiting for its end", flush=True)
        told = status
        time.sleep(progress.PAUSE)
    return None


def delete(target: Target, name: str) -> None:
    """The stack is gone when this returns. Raises Refused."""
    if (found := settled(target, name)) is None:
        return
    protection.lift(target, found)
    story = progress.Story(target, found["StackId"])
    target.client("cloudformation").delete_stack(StackName=found["StackId"])
    ended(story, name)


def ended(story: progress.Story, name: str) -> None:
    """Raises Refused unless it ended well."""
    if (status := story.follow()) not in progress.GOOD:
        raise Refused(f"{name} ended in {status}. The first that failed: {story.failure()}")


def discard(target: Target, change: Any) -> None:
    """A change set that nobody wants; with it the empty stack that it was to fill."""
    cloudformation = target.client("cloudformation")
    cloudformation.delete_change_set(ChangeSetName=change["ChangeSetId"])
    found = described(target, change["StackId"])
    if found and found["StackStatus"] == "REVIEW_IN_PROGRESS":
        cloudformation.delete_stack(StackName=change["StackId"])


def _remove_failed(target: Target, name: str, status: str, yes: bool) -> None:
    print(f"  {status}: its first creation failed, and it has to go before the next")
    if not agreed(f"delete what is left of {name}?", yes):
        raise Refused(f"{name} stays in {status}")
    delete(target, name)


def _prepared(target: Target, stack: Stack) -> Any | None:
    """The change set that SAM made and showed, or None where there is nothing to change."""
    before = _change_sets(target, stack.name).keys()
    command = [
        str(virtual_environment("sam") / "bin" / "sam"),
        "deploy",
        f"--config-file={stack.configuration}",
        f"--config-env={stack.key}",
    ]
    command += [f"--template-file={stack.template}", "--no-execute-changeset", "--no-confirm-changeset", *stack.options]
    if (
        stack.parameters
    ):  # what stands on the command line replaces what stands in the file, which is therefore repeated
        command += ["--parameter-overrides", *(f"{key}={value}" for key, value in stack.parameters.items())]
    environment = child_environment(**target.variables) if target.variables else dict(os.environ)
    environment |= {"SAM_CLI_TELEMETRY": "0"}
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=True, timeout=SAM_SECONDS)
    made = [each for name, each in _change_sets(target, stack.name).items() if name not in before]
    for empty in [each for each in made if each["ExecutionStatus"] == "UNAVAILABLE"]:  # a stack takes a thousand
        target.client("cloudformation").delete_change_set(ChangeSetName=empty["ChangeSetId"])
    return next((each for each in made if each["ExecutionStatus"] == "AVAILABLE"), None)


def _change_sets(target: Target, name: str) -> dict[str, Any]:
    pages = target.client("cloudformation").get_paginator("list_change_sets").paginate(StackName=name)
    try:
        return {each["ChangeSetId"]: each for page in pages for each in page["Summaries"]}
    except ClientError as error:
        if "does not exist" in str(error):
            return {}
        raise
