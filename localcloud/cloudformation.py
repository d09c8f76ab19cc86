"""The deployed stack, as CloudFormation knows it."""

import time
from typing import Any

from localcloud.aws import client
from localcloud.home import Home

STACK = "kumiki-local"


class Unsettled(Exception):
    """The stack is in the middle of something that does not end."""


def outputs(home: Home) -> dict[str, str]:
    """Raises botocore's ClientError when nothing was deployed."""
    stack = client(home, "cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def physical_ids(home: Home, kind: str) -> dict[str, str]:
    """By logical id, of the resources of one type."""
    pages = client(home, "cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
    resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return {
        found["LogicalResourceId"]: found["PhysicalResourceId"] for found in resources if found["ResourceType"] == kind
    }


def settle(home: Home, seconds: float = 120) -> None:
    """Wait for a deploy that was interrupted, and remove what a failed first one left. Raises Unsettled."""
    cloudformation, deadline = client(home, "cloudformation"), time.monotonic() + seconds
    while (status := _status(cloudformation)).endswith("_IN_PROGRESS"):
        if time.monotonic() > deadline:
            raise Unsettled(f"{STACK} stays in {status}: `make stop`, remove {home.root / 'ministack'}, try again")
        time.sleep(0.5)
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"):
        cloudformation.delete_stack(StackName=STACK)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})


def _status(cloudformation: Any) -> str:
    """Empty if there is no stack."""
    try:
        status: str = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]
    except cloudformation.exceptions.ClientError:
        return ""
    return status
