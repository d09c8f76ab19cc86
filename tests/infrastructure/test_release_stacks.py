"""Stacks as `make deploy` and `make destroy` treat them: the real SAM, and infra/network.yaml in an account of moto's.
What becomes of a stack that is there already is seen in tests/e2e: moto knows neither an empty change set nor one with
other parameters."""

from collections.abc import Iterator
from datetime import UTC, datetime

import boto3
import pytest

from release import Refused, change, destroy, progress, stack
from release.resources import Resource, of_stack
from release.target import Target
from tests.infrastructure import aws

NETWORK = stack.platform("dev")[0]


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    monkeypatch.setattr(progress, "PAUSE", 0.05)
    with aws.account(monkeypatch):
        yield Target("dev")


def nat_gateways() -> list[str]:
    return [found["State"] for found in boto3.client("ec2").describe_nat_gateways()["NatGateways"]]


def small_stack(name: str) -> None:
    resources = "{Topic: {Type: AWS::SNS::Topic, DeletionPolicy: Retain}, Queue: {Type: AWS::SQS::Queue}}"
    boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=f"Resources: {resources}")


def stacks() -> list[str]:
    return [found["StackName"] for found in boto3.client("cloudformation").describe_stacks()["Stacks"]]


def test_a_stack_is_shown_and_made(target: Target, capfd: pytest.CaptureFixture[str]) -> None:
    assert change.bring_up(target, NETWORK, yes=True)
    shown = capfd.readouterr().out
    assert "NatGatewayA" in shown, "the change set"
    assert shown.rstrip().endswith("kumiki-dev-network (AWS::CloudFormation::Stack)"), "what came of it"
    assert nat_gateways() == ["available"]


def test_what_a_change_makes_does_not_outlive_its_own_rollback(target: Target) -> None:
    asked: list[dict[str, object]] = []
    events = target.client("cloudformation").meta.events
    events.register("provide-client-params.cloudformation.ExecuteChangeSet", lambda params, **_: asked.append(params))
    assert change.bring_up(target, NETWORK, yes=True)
    assert [each.get("RetainExceptOnCreate") for each in asked] == [True]


def test_a_stack_is_taken_away_and_once_more(target: Target) -> None:
    small_stack("some")
    change.delete(target, "some")
    assert stacks() == []
    change.delete(target, "some")  # once more


def test_what_nobody_agreed_to_leaves_nothing(target: Target, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Refused, match="stays as it is"):
        change.bring_up(target, NETWORK, yes=False)
    assert "NatGatewayA" in capfd.readouterr().out
    assert (stacks(), nat_gateways()) == ([], [])


def test_a_question_that_is_broken_off_leaves_nothing(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_off(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(change, "agreed", broken_off)
    with pytest.raises(KeyboardInterrupt):
        change.bring_up(target, NETWORK, yes=False)
    assert (stacks(), nat_gateways()) == ([], [])


def test_a_stack_whose_values_nobody_has_published_is_not_begun(
    target: Target, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refused, match="/kumiki/dev/network/private-subnet-ids, /kumiki/dev/network/vpc-id"):
        change.bring_up(target, stack.platform("dev")[2], yes=True)
    assert "Deploying" not in capfd.readouterr().out
    assert stacks() == []


def test_what_goes_is_told_before_anybody_is_asked(target: Target, capfd: pytest.CaptureFixture[str]) -> None:
    small_stack(NETWORK.name)
    with pytest.raises(Refused, match="nothing was deleted"):
        destroy.destroy(target, "", account=False)
    told = capfd.readouterr().out
    assert "kumiki-dev-network goes: " in told
    assert "1 SQS::Queue" in told
    assert "(AWS::SNS::Topic, Retain)" in told
    assert "final snapshot" in told
    assert stacks() == [NETWORK.name]

    destroy.destroy(target, "1", account=False)
    assert stacks() == []
    destroy.destroy(target, "1", account=False)  # once more


def test_a_version_is_not_said_to_stay_without_its_function(
    target: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_stack(NETWORK.name)
    version = Resource("OrdersApiVersion", "shop:7", "AWS::Lambda::Version", "Retain", datetime.now(UTC))
    monkeypatch.setattr(destroy, "of_stack", lambda target, name: [*of_stack(target, name), version])
    with pytest.raises(Refused, match="nothing was deleted"):
        destroy.destroy(target, "", account=False)
    assert "1 Lambda::Version" in (told := capsys.readouterr().out)
    assert "shop:7" not in told


@pytest.mark.parametrize("said", ["", "1", "yes", "dev"])
def test_prod_is_destroyed_by_its_name_alone(target: Target, said: str) -> None:
    small_stack(stack.platform("prod")[0].name)
    with pytest.raises(Refused, match="type its name"):
        destroy.destroy(Target("prod"), said, account=False)
    destroy.destroy(Target("prod"), "prod", account=False)
    assert stacks() == []


def test_what_an_account_has_once_stays_while_another_environment_is_there(target: Target) -> None:
    small_stack(stack.platform("prod")[0].name)
    with pytest.raises(Refused, match="kumiki-prod-network"):
        destroy.destroy(target, "1", account=True)


def test_a_service_with_a_stack_of_its_own_goes_before_what_it_stands_on(target: Target) -> None:
    for name in (NETWORK.name, "kumiki-dev-notifications", "kumiki-prod-notifications"):
        small_stack(name)
    with pytest.raises(Refused, match=r"^kumiki-dev-notifications of a service"):
        destroy.destroy(target, "1", account=False)
    change.delete(target, "kumiki-dev-notifications")
    destroy.destroy(target, "1", account=False)
    assert stacks() == ["kumiki-prod-notifications"]


def test_what_is_kept_is_known_by_its_policy(target: Target) -> None:
    small_stack("some")
    policies = {each.logical_id: each.policy for each in of_stack(target, "some")}
    assert policies == {"Topic": "Retain", "Queue": "Delete"}
