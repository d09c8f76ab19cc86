"""What `make deploy` asks before it changes anything, and what `make destroy` takes away first. What of AWS answers
here is held to its own description of its API, by botocore's stubs, or does no more than note what it was asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from release import Refused, checks, front_door, protection
from release.resources import Resource
from release.stack import application
from release.target import Target
from tests.infrastructure.templates import REGION, stack

SHOP = application("dev", "lambda")[0]
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


def account(limit: int, mail: Any = None) -> Target:
    lambda_ = boto3.client("lambda", region_name=REGION)
    stub = Stubber(lambda_)
    stub.add_response("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": limit}})
    stub.activate()
    verified = {"VerificationAttributes": {"example.com": {"VerificationStatus": "Success"}}}
    ses = SimpleNamespace(get_identity_verification_attributes=mail or (lambda Identities: verified))  # noqa: N803
    return Target("dev", clients={"lambda": lambda_, "ses": ses})


def test_an_account_that_may_do_enough_gets_no_warning() -> None:
    assert list(checks.warnings(account(1000), SHOP)) == []


def test_a_new_accounts_quota_is_a_warning() -> None:
    [warning] = checks.warnings(account(10), SHOP)
    assert "may run 10 functions at once" in warning


@pytest.mark.parametrize(("wanted", "limit"), [(50, 10), (901, 1000), (1, 100)])
def test_reservations_that_lambda_would_refuse_are_refused_before_it_does(
    wanted: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "reserved", lambda template, given: wanted)
    with pytest.raises(Refused, match=f"reserve {wanted} executions.*may have {limit} at once"):
        list(checks.warnings(account(limit), SHOP))


def test_reservations_that_leave_enough_to_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "reserved", lambda template, given: 900)
    assert list(checks.warnings(account(1000), SHOP)) == []


def test_what_functions_reserve_is_read_from_template_and_parameters(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(
        """
        Parameters: {Each: {Type: Number, Default: 5}}
        Conditions: {Reserves: !Not [!Equals [!Ref Each, 0]]}
        Globals: {Function: {ReservedConcurrentExecutions: !If [Reserves, !Ref Each, !Ref AWS::NoValue]}}
        Resources:
          One: {Type: AWS::Serverless::Function, Properties: {ReservedConcurrentExecutions: 2}}
          Two: {Type: AWS::Serverless::Function, Properties: {}}
          Three: {Type: AWS::Serverless::Function, Properties: {}}
          Queue: {Type: AWS::SQS::Queue, Properties: {}}
        """
    )
    assert checks.reserved(template, {}) == 12
    assert checks.reserved(template, {"Each": "7"}) == 16
    assert checks.reserved(template, {"Each": "0"}) == 2


@pytest.mark.parametrize("each", ["0", "25"])
def test_what_the_shop_reserves_is_what_its_functions_have_once_they_are_made(each: str) -> None:
    functions = stack("template.yaml", Environment="prod", ReservedConcurrency=each).of_type("AWS::Lambda::Function")
    made = sum(int(function.get("ReservedConcurrentExecutions", 0)) for function in functions.values())
    assert checks.reserved(checks.TEMPLATE, {"ReservedConcurrency": each}) == made
    assert (made == 0) == (each == "0")


def test_dev_reserves_nothing() -> None:
    assert checks.reserved(checks.TEMPLATE, SHOP.parameters) == 0


def test_who_may_not_ask_ses_is_told_that_it_was_not_asked() -> None:
    def refuse(Identities: list[str]) -> Any:  # noqa: N803
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "GetIdentityVerificationAttributes")

    [warning] = checks.warnings(account(1000, refuse), SHOP)
    assert "cannot be seen by this caller" in warning


def test_the_sender_that_is_asked_about_is_the_one_that_is_deployed() -> None:
    asked = list[str]()

    def note(Identities: list[str]) -> Any:  # noqa: N803
        asked.extend(Identities)
        return {"VerificationAttributes": {"shop@example.com": {"VerificationStatus": "Pending"}}}

    [warning] = checks.warnings(account(1000, note), SHOP)
    assert asked == ["shop@example.com", "example.com"]
    assert warning.startswith("SES has verified neither shop@example.com")


class Protected:
    """A stack with a database, a user pool and a load balancer, all of it protected, and what was asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: dict[str, Any] = {}
        found = [
            Resource("Database", "kumiki-prod", "AWS::RDS::DBInstance", "Snapshot", NOW),
            Resource("UserPool", "pool-1", "AWS::Cognito::UserPool", "Delete", NOW),
            Resource("LoadBalancer", "balancer-1", "AWS::ElasticLoadBalancingV2::LoadBalancer", "Delete", NOW),
        ]
        monkeypatch.setattr(protection, "of_stack", lambda target, name: iter(found))
        cognito = boto3.client("cognito-idp", region_name=REGION)
        pool = {
            "Id": "pool-1",
            "Name": "kumiki-prod",
            "DeletionProtection": "ACTIVE",
            "MfaConfiguration": "OPTIONAL",
            "Policies": {"PasswordPolicy": {"MinimumLength": 12, "TemporaryPasswordValidityDays": 7}},
            "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True, "UnusedAccountValidityDays": 7},
            "EstimatedNumberOfUsers": 3,
        }
        self.pool = Stubber(cognito)
        self.pool.add_response("describe_user_pool", {"UserPool": pool}, {"UserPoolId": "pool-1"})
        kept = {
            "UserPoolId": "pool-1",
            "DeletionProtection": "INACTIVE",
            "MfaConfiguration": "OPTIONAL",
            "Policies": pool["Policies"],
            "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True},
        }
        self.pool.add_response("update_user_pool", {}, kept | self.names(cognito))
        self.pool.activate()
        rds = SimpleNamespace(modify_db_instance=lambda **asked: self.asked.update(rds=asked))
        stack = SimpleNamespace(update_termination_protection=lambda **asked: self.asked.update(stack=asked))
        balancer = SimpleNamespace(modify_load_balancer_attributes=lambda **asked: self.asked.update(balancer=asked))
        clients = {"cognito-idp": cognito, "rds": rds, "cloudformation": stack, "elbv2": balancer}
        self.target = Target("prod", clients=clients)

    @staticmethod
    def names(cognito: Any) -> dict[str, str]:
        """The pool's name, where this boto3 lets it be given."""
        members = cognito.meta.service_model.operation_model("UpdateUserPool").input_shape.members
        return {"Name": "kumiki-prod"} if "Name" in members else {}


def test_protections_are_taken_away_and_a_user_pool_stays_as_it_is_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    protected = Protected(monkeypatch)
    protection.lift(protected.target, {"StackId": "stack-1", "EnableTerminationProtection": True})
    protected.pool.assert_no_pending_responses()
    assert protected.asked["stack"] == {"StackName": "stack-1", "EnableTerminationProtection": False}
    assert protected.asked["rds"] == {
        "DBInstanceIdentifier": "kumiki-prod",
        "DeletionProtection": False,
        "ApplyImmediately": True,
    }
    assert protected.asked["balancer"] == {
        "LoadBalancerArn": "balancer-1",
        "Attributes": [{"Key": "deletion_protection.enabled", "Value": "false"}],
    }


@pytest.mark.parametrize("seconds", [0.4, 0, -60], ids=["same second", "same moment", "a minute before"])
def test_an_api_that_was_deployed_as_it_is_stays_so(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    with api(monkeypatch, changed_at=NOW + timedelta(seconds=seconds)) as (target, _):
        assert not front_door.put_before_callers(target, "kumiki-dev")


def test_an_api_that_was_changed_since_is_deployed_to_its_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another AllowedOrigin does, of which SAM sees nothing."""
    with api(monkeypatch, changed_at=NOW + timedelta(seconds=1)) as (target, gateway):
        gateway.add_response(
            "create_deployment", {"id": "d2"}, {"restApiId": "a1", "stageName": "dev", "description": ANY}
        )
        assert front_door.put_before_callers(target, "kumiki-dev")


@contextmanager
def api(monkeypatch: pytest.MonkeyPatch, changed_at: datetime) -> Iterator[tuple[Target, Stubber]]:
    """In a stack of which nothing else matters. All that is expected of API Gateway was asked for at the end."""
    found = [
        Resource("Api", "a1", "AWS::ApiGateway::RestApi", "Delete", changed_at),
        Resource("ApiStage", "dev", "AWS::ApiGateway::Stage", "Delete", NOW),
    ]
    monkeypatch.setattr(front_door, "of_stack", lambda target, name: found)
    client = boto3.client("apigateway", region_name=REGION)
    with Stubber(client) as gateway:
        gateway.add_response("get_stage", {"deploymentId": "d1"}, {"restApiId": "a1", "stageName": "dev"})
        gateway.add_response("get_deployment", {"createdDate": NOW}, {"restApiId": "a1", "deploymentId": "d1"})
        yield Target("dev", clients={"apigateway": client}), gateway
        gateway.assert_no_pending_responses()
