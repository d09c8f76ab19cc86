"""What CloudFormation is doing, told as it happens, and why it failed."""

import time
from datetime import UTC, datetime
from typing import Any

from release import Refused
from release.target import Target

GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE", "IMPORT_COMPLETE")
PAUSE = 3.0
SILENCE = 20.0
PATIENCE = 2 * 3600.0
NESTED = "AWS::CloudFormation::Stack"
Event = dict[str, Any]


class Story:
    """The events of a stack, and of those that it nests, from when this is made."""

    def __init__(self, target: Target, stack_id: str) -> None:
        self._cloudformation, self.stack_id = target.client("cloudformation"), stack_id
        self._stacks, self._told = {stack_id}, set[str]()
        before = self._page(stack_id)["StackEvents"]
        self._since = max((e["Timestamp"] for e in before), default=datetime.min.replace(tzinfo=UTC))
        self._told |= {event["EventId"] for event in before}  # others may have the newest one's time
        self.events: list[Event] = []
        self._underway: dict[str, datetime] = {}

    def follow(self, patience: float = PATIENCE) -> str:
        """Tell what happens until the stack has come to an end, and return its status. Raises Refused when that takes
        longer than `patience` seconds."""
        deadline = heard = time.monotonic()
        deadline += patience
        while True:
            for event in self._new():
                heard = time.monotonic()
                self._tell(event)
                if event["PhysicalResourceId"] == self.stack_id and ended(event["ResourceStatus"]):
                    return str(event["ResourceStatus"])
            if time.monotonic() > deadline:
                raise Refused("CloudFormation is still at work; the same command waits on")
            if time.monotonic() > heard + SILENCE:
                heard = time.monotonic()
                now = datetime.now(UTC)
                waits = [f"{name} for {(now - since).seconds // 60} min" for name, since in self._underway.items()]
                print(f"  {now:%H:%M:%S}  still at {', '.join(waits)}", flush=True)
            time.sleep(PAUSE)

    def failure(self) -> str:
        """The first resource that failed, in whichever stack, and its reason. What was cancelled for it, and the stacks
        around it, only say that something failed."""
        self._new()  # a nested stack may have been asked a moment before its parent had come to an end
        for event in sorted(self.events, key=lambda event: event["Timestamp"]):
            reason = str(event.get("ResourceStatusReason", ""))
            failed = event["ResourceStatus"].endswith("_FAILED") and event["ResourceType"] != NESTED
            if failed and "cancelled" not in reason:
                return f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}"
        reasons = [e["ResourceStatusReason"] for e in self.events if e.get("ResourceStatusReason")]
        return str(reasons[0]) if reasons else "no reason was given"

    def _new(self) -> list[Event]:
        """In the order in which they happened. A nested stack that is met is listened to from then on."""
        found: list[Event] = []
        asked = set[str]()
        while waiting := self._stacks - asked:
            for stack_id in sorted(waiting):
                asked.add(stack_id)
                found += (events := self._of(stack_id))
                self._stacks |= {e["PhysicalResourceId"] for e in events if e["ResourceType"] == NESTED} - {"", None}
        found.sort(key=lambda event: event["Timestamp"])
        self.events += found
        return found

    def _of(self, stack_id: str) -> list[Event]:
        found: list[Event] = []
        token: dict[str, str] = {}
        while True:
            page = self._page(stack_id, **token)
            fresh = [e for e in page["StackEvents"] if e["Timestamp"] >= self._since and e["EventId"] not in self._told]
            self._told |= {event["EventId"] for event in fresh}
            found += fresh
            if len(fresh) < len(page["StackEvents"]) or "NextToken" not in page:
                return found[::-1]
            token = {"NextToken": page["NextToken"]}

    def _page(self, stack_id: str, **token: str) -> Any:
        return self._cloudformation.describe_stack_events(StackName=stack_id, **token)

    def _tell(self, event: Event) -> None:
        """Only what has ended: what has begun is told when it takes long."""
        status, name = event["ResourceStatus"], event["LogicalResourceId"]
        if not ended(status):
            self._underway.setdefault(name, event["Timestamp"])
            return
        self._underway.pop(name, None)
        reason = f": {event.get('ResourceStatusReason')}" if status.endswith("_FAILED") else ""
        moment = event["Timestamp"].astimezone(UTC)
        print(f"  {moment:%H:%M:%S}  {status:<28}{name} ({event['ResourceType']}){reason}", flush=True)


def ended(status: str) -> bool:
    return status.endswith(("_COMPLETE", "_FAILED", "_SKIPPED"))
