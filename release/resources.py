"""What is in a stack and in those that it nests, and what of it stays when the stack goes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from release.progress import NESTED
from release.target import Target


@dataclass(frozen=True)
class Resource:
    logical_id: str
    physical_id: str
    kind: str
    policy: str
    """Delete, Retain, RetainExceptOnCreate or Snapshot"""
    changed_at: datetime


def of_stack(target: Target, name: str) -> Iterator[Resource]:
    """All that exists."""
    cloudformation = target.client("cloudformation")
    body = cloudformation.get_template(StackName=name, TemplateStage="Processed")["TemplateBody"]
    template = _read(body)["Resources"]
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=name):
        for found in page["StackResourceSummaries"]:
            logical, kind, physical = found["LogicalResourceId"], found["ResourceType"], found.get("PhysicalResourceId")
            if not physical or found["ResourceStatus"] == "DELETE_COMPLETE":
                continue
            policy = template.get(logical, {}).get("DeletionPolicy", "Delete")
            yield Resource(logical, physical, kind, policy, found["LastUpdatedTimestamp"])
            if kind == NESTED:
                yield from of_stack(target, physical)


def _read(body: Any) -> dict[str, Any]:
    if isinstance(body, str):
        body = json.loads(body) if body.lstrip().startswith("{") else yaml_parse(body)
    return dict(body)
