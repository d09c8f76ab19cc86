"""What is told while CloudFormation works, and why it failed. Events come as it gives them: newest first, in pages."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from release import Refused, change, interfaces, progress
from release.resources import Resource
from release.stack import platform
from release.target import Target

SHOP, NESTED = "arn:shop", "arn:nested"
START = datetime(2026, 11, 24, tzinfo=UTC)
CANCELLED = "Resource creation cancelled"
EMBEDDED = f"Embedded stack {NESTED} was not successfully created: The following resource(s) failed to create: [Queue]."


class CloudFormation:
    """Each question for events finds `ahead` more of them; so does each one for the stack's status."""

    def __init__(self, *events: tuple[str, str, str, str, str, str], ahead: int = 2) -> None:
        self.ahead, self.now = ahead, 0
        self.events = [
            {
                "EventId": str(at),
                "Timestamp": START + timedelta(seconds=at // 2),  # two may be of one moment
                "StackId": stack,
                "LogicalResourceId": name,
                "PhysicalResourceId": physical,
                "ResourceType": kind,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
            for at, (stack, name, physical, kind, status, reason) in enumerate(events)
        ]

    def describe_stack_events(self, StackName: str, NextToken: str = "0") -> dict[str, Any]:  # noqa: N803
        if NextToken == "0" and StackName == SHOP:
            self.now += self.ahead
        happened = [e for e in self.events[: self.now] if e["StackId"] == StackName][::-1]
        page = {"StackEvents": happened[int(NextToken) : int(NextToken) + 3]}
        return page | ({"NextToken": str(int(NextToken) + 3)} if int(NextToken) + 3 < len(happened) else {})

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        self.now += 1
        return {"Stacks": [{"StackStatus": self.events[min(self.now, len(self.events)) - 1]["ResourceStatus"]}]}


def own(status: str, reason: str = "") -> tuple[str, str, str, str, str, str]:
    return SHOP, "kumiki-dev", SHOP, "AWS::CloudFormation::Stack", status, reason


def queue(status: str, reason: str = "", stack: str = SHOP, name: str = "Queue") -> tuple[str, str, str, str, str, str]:
    return stack, name, f"{name}-1", "AWS::SQS::Queue", status, reason


def nested(status: str, reason: str = "") -> tuple[str, str, str, str, str, str]:
    return SHOP, "Subscription", NESTED, "AWS::CloudFormation::Stack", status, reason


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PAUSE", 0)
    monkeypatch.setattr(progress, "PATIENCE", 10)  # in place of hours, so that what is wrong ends


@pytest.fixture
def listen() -> Callable[[CloudFormation], progress.Story]:
    return lambda cloudformation: progress.Story(Target("dev", clients={"cloudformation": cloudformation}), SHOP)


Listen = Callable[[CloudFormation], progress.Story]


@pytest.mark.parametrize("ahead", [1, 2, 5, 50])
def test_each_event_is_told_once_in_order_those_of_an_earlier_deploy_not_at_all(
    listen: Listen, ahead: int, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = [own("CREATE_IN_PROGRESS"), *[queue("CREATE_COMPLETE", name="Earlier")] * 2, own("CREATE_COMPLETE")]
    now = [
        own("UPDATE_IN_PROGRESS"),
        *(queue("UPDATE_COMPLETE", name=f"Queue{number}") for number in range(5)),
        queue("UPDATE_COMPLETE", stack="another"),
        own("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
        queue("DELETE_SKIPPED", name="Kept"),
        own("UPDATE_COMPLETE"),
    ]
    cloudformation = CloudFormation(*earlier, *now, ahead=len(earlier))
    story = listen(cloudformation)
    cloudformation.ahead = ahead
    assert story.follow() == "UPDATE_COMPLETE"
    told = [line.split()[2] for line in capsys.readouterr().out.splitlines()]
    assert told == ["Queue0", "Queue1", "Queue2", "Queue3", "Queue4", "Kept", "kumiki-dev"]


@pytest.mark.parametrize("ahead", [1, 4, 50])
def test_what_failed_first_is_named_with_its_reason_though_it_is_nested(
    listen: Listen, ahead: int, capsys: pytest.CaptureFixture[str]
) -> None:
    cloudformation = CloudFormation(
        own("CREATE_IN_PROGRESS"),
        nested("CREATE_IN_PROGRESS"),
        queue("CREATE_IN_PROGRESS", stack=NESTED),
        queue("CREATE_FAILED", CANCELLED, name="Other"),
        queue("CREATE_FAILED", "the name is taken", stack=NESTED),
        nested("CREATE_FAILED", EMBEDDED),
        own("ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Subscription]."),
        queue("DELETE_FAILED", "something else"),
        own("ROLLBACK_COMPLETE"),
        ahead=0,
    )
    story = listen(cloudformation)
    cloudformation.ahead = ahead
    with pytest.raises(Refused) as refusal:
        change.ended(story, "kumiki-dev")
    assert str(refusal.value) == (
        "kumiki-dev ended in ROLLBACK_COMPLETE. The first that failed: Queue (AWS::SQS::Queue): the name is taken"
    )
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert len(told) == 5
    assert told == sorted(told) or ahead < len(cloudformation.events), "what is found together is told in order"


def test_a_failure_of_the_stack_alone_is_told_in_its_words(listen: Listen) -> None:
    cloudformation = CloudFormation(
        own("UPDATE_ROLLBACK_IN_PROGRESS", "Rate exceeded"), own("UPDATE_ROLLBACK_COMPLETE")
    )
    cloudformation.ahead = 0
    story = listen(cloudformation)
    cloudformation.ahead = 1
    assert story.follow() == "UPDATE_ROLLBACK_COMPLETE"
    assert story.failure() == "Rate exceeded"


def test_what_takes_long_is_named(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SILENCE", -1)
    cloudformation = CloudFormation(
        own("CREATE_IN_PROGRESS"), queue("CREATE_IN_PROGRESS", name="Slow"), own("CREATE_COMPLETE")
    )
    cloudformation.ahead = 0
    story = listen(cloudformation)
    cloudformation.ahead = 1
    story.follow()
    assert "still at kumiki-dev for" in (told := capsys.readouterr().out)
    assert ", Slow for" in told


def test_what_takes_too_long_is_left_to_cloudformation(listen: Listen) -> None:
    cloudformation = CloudFormation(own("CREATE_IN_PROGRESS"), ahead=1)
    with pytest.raises(Refused, match="still at work; the same command waits on"):
        listen(cloudformation).follow(patience=0)


def test_a_deploy_that_was_interrupted_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    cloudformation = CloudFormation(own("UPDATE_IN_PROGRESS"), own("UPDATE_IN_PROGRESS"), own("UPDATE_COMPLETE"))
    found = change.settled(Target("dev", clients={"cloudformation": cloudformation}), "kumiki-dev")
    assert found == {"StackStatus": "UPDATE_COMPLETE"}
    assert capsys.readouterr().out.count("is in UPDATE_IN_PROGRESS: waiting for its end") == 1


def test_a_change_set_that_was_never_executed_is_no_stack() -> None:
    cloudformation = CloudFormation(own("REVIEW_IN_PROGRESS"))
    target = Target("dev", clients={"cloudformation": cloudformation})
    assert change.settled(target, "kumiki-dev") is None
    assert not change.there(target, "kumiki-dev")


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_FAILED", "DELETE_FAILED"])
def test_what_only_a_person_can_mend_is_not_touched(status: str) -> None:
    cloudformation = CloudFormation(own(status))
    with pytest.raises(Refused, match=f"is in {status}"):
        change.bring_up(Target("dev", clients={"cloudformation": cloudformation}), platform("dev")[0], yes=True)


# The functions' network interfaces


class Ec2:
    """Functions' interfaces that go one by one."""

    def __init__(self, left: int) -> None:
        self.left, self.asked = left, list[Any]()

    def describe_network_interfaces(self, Filters: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.asked = Filters
        self.left -= 1
        return {"NetworkInterfaces": [{}] * self.left}


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> None:

    found = [
        Resource("Client", "sg-1", "AWS::EC2::SecurityGroup", "Delete", START),
        Resource("Q", "q", "AWS::SQS::Queue", "Delete", START),
    ]
    monkeypatch.setattr(interfaces, "of_stack", lambda target, name: iter(found))
    monkeypatch.setattr(interfaces, "PAUSE", 0)


def test_a_database_waits_until_functions_have_left_its_security_groups(
    groups: None, capsys: pytest.CaptureFixture[str]
) -> None:
    interfaces.wait(Target("dev", clients={"ec2": (ec2 := Ec2(4))}), "kumiki-dev-database")
    assert ec2.asked[0] == {"Name": "group-id", "Values": ["sg-1"]}
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == ["3", "2", "1"]
    assert all("it takes 25 to 40" in line for line in told)


def test_interfaces_that_never_go_are_not_waited_for_for_ever(groups: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interfaces, "PATIENCE", -1)
    with pytest.raises(Refused, match="3 network interfaces of functions are still in sg-1"):
        interfaces.wait(Target("dev", clients={"ec2": Ec2(4)}), "kumiki-dev-database")
