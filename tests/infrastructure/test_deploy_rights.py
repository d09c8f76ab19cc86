"""Whether who deploys an environment may make, change and take away all that its stacks hold, and nothing of others."""

import tomllib
from fnmatch import fnmatchcase

import pytest

from tests.infrastructure.asked_for import NOT_ASKED, asked_for, listed, unneeded
from tests.infrastructure.deployed import ARNS, HERE, deployed
from tests.infrastructure.iam import TAG, allows
from tests.infrastructure.templates import REGION, ROOT
from tests.infrastructure.test_bootstrap import DELIVERY, DEPLOY

ENVIRONMENTS = ("dev", "prod")
CHANGES_NOTHING = ("Describe", "Get", "List", "GET", "Batch")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_who_deploys_may_do_to_every_resource_of_its_stacks_what_cloudformation_asks_for(environment: str) -> None:
    missing: dict[str, set[str]] = {}
    for resource in deployed(environment):
        for action, arn, context in asked_for(resource):
            if not allows(DEPLOY, action, arn, environment, context):
                missing.setdefault(f"{action} of {resource.type}", set()).add(f"{arn} {context}")
    assert not missing, "\n".join(f"{what}: {min(of)} and {len(of) - 1} more" for what, of in sorted(missing.items()))


UNTOLD = """
codedeploy:StopDeployment cognito-idp:CreateUserPool ecs:DeregisterTaskDefinition ecs:RegisterTaskDefinition
iam:CreateServiceLinkedRole kms:Decrypt kms:Encrypt kms:GenerateDataKey kms:GenerateDataKeyWithoutPlaintext
kms:ReEncrypt kms:ReEncryptFrom kms:ReEncryptTo logs:CreateLogDelivery logs:DeleteLogDelivery
logs:PutResourcePolicy route53:ChangeResourceRecordSets route53:CreateHostedZone
servicediscovery:CreatePrivateDnsNamespace servicediscovery:TagResource servicediscovery:UntagResource
sns:SetSubscriptionAttributes sns:Unsubscribe
"""
"""What names neither resource nor tag, or is the account's: a key, roles that AWS makes, zones that hold many names."""


def test_who_deploys_one_environment_changes_of_the_other_only_what_aws_does_not_tell_apart() -> None:
    """Where a stack is tagged: without its tag, what is named by AWS is not told apart."""
    possible = {
        asked.action
        for mine, others in (ENVIRONMENTS, ENVIRONMENTS[::-1])
        for resource in deployed(others)
        for asked in asked_for(resource)
        if not asked.action.split(":")[1].startswith(CHANGES_NOTHING)
        and allows(DEPLOY, asked.action, asked.arn, mine, asked.context)
    }
    assert sorted(possible) == UNTOLD.split()


BY_OTHERS = {
    "sam deploy": "cloudformation:GetTemplateSummary cloudformation:ValidateTemplate s3:CreateBucket "
    "s3:GetBucketLocation s3:GetBucketPolicy s3:ListBucket s3:PutBucketPolicy s3:PutBucketPublicAccessBlock "
    "s3:PutBucketTagging s3:PutBucketVersioning s3:PutEncryptionConfiguration s3:PutObject",
    "make image": "ecr:BatchCheckLayerAvailability ecr:BatchGetImage ecr:CompleteLayerUpload "
    "ecr:GetAuthorizationToken ecr:InitiateLayerUpload ecr:UploadLayerPart",
    "make deploy": "ecs:RunTask iam:ListRoles lambda:GetAccountSettings ses:GetIdentityVerificationAttributes",
    "make smoke": "cognito-idp:AdminAddUserToGroup cognito-idp:AdminCreateUser cognito-idp:AdminDeleteUser "
    "cognito-idp:AdminInitiateAuth cognito-idp:AdminSetUserPassword",
    "people who look": "iam:ListRoleTags lambda:ListEventSourceMappings",
    "services in the deployer's name, for access logs, load balancers and namespaces": "logs:GetLogDelivery "
    "logs:ListLogDeliveries logs:UpdateLogDelivery ec2:DescribeAvailabilityZones ec2:DescribeInternetGateways "
    "route53:AssociateVPCWithHostedZone route53:DeleteHostedZone servicediscovery:Get*",
}


def test_without_any_one_of_its_rights_a_deploy_fails_but_for_those_that_its_commands_use() -> None:
    asked = {
        (asked.action, asked.arn, environment, tuple(asked.context.items()))
        for environment in ENVIRONMENTS
        for resource in deployed(environment)
        for asked in asked_for(resource)
    }
    spare = set()
    for number, statement in enumerate(DEPLOY):
        for right in statement["Action"] if statement["Effect"] == "Allow" else []:
            others = [action for action in statement["Action"] if action != right]
            without = [*DEPLOY[:number], statement | {"Action": others}, *DEPLOY[number + 1 :]]
            if all(
                allows(without, action, arn, environment, dict(context))
                for action, arn, environment, context in asked
                if fnmatchcase(action.lower(), right.lower())
            ):
                spare.add(right)
    assert spare == {right for rights in BY_OTHERS.values() for right in rights.split()}


SMOKE = "AdminCreateUser AdminSetUserPassword AdminAddUserToGroup AdminInitiateAuth AdminDeleteUser".split()
POOL = f"arn:aws:cognito-idp:{HERE}:userpool/1"


@pytest.mark.parametrize("action", SMOKE)
def test_a_user_is_made_for_an_order_in_a_pool_that_says_that_it_is_of_this_environment(action: str) -> None:
    for pools, may in (({TAG: "dev"}, True), ({TAG: "prod"}, False), ({}, False)):
        assert allows(DEPLOY, f"cognito-idp:{action}", POOL, "dev", pools) is may


def test_who_deploys_takes_no_pool_away_that_says_that_it_is_of_another_environment() -> None:
    for pools, may in (({TAG: "dev"}, True), ({TAG: "prod"}, False), ({}, True)):
        assert allows(DEPLOY, "cognito-idp:DeleteUserPool", POOL, "dev", pools) is may


@pytest.mark.parametrize("path", ["account", "apikeys", "usageplans/1", "clientcertificates/1"])
def test_who_deploys_keeps_off_what_api_gateway_has_once_an_account(path: str) -> None:
    for action in ("PATCH", "PUT", "DELETE", "POST"):
        assert not allows(DEPLOY, f"apigateway:{action}", f"arn:aws:apigateway:{REGION}::/{path}", "dev", {})


def test_stacks_are_tagged_as_the_roles_that_deploy_them() -> None:
    for configuration in ("samconfig.toml", "ecs/samconfig.toml"):
        tables = tomllib.loads((ROOT / configuration).read_text(encoding="utf-8"))
        for environment in ENVIRONMENTS:
            tags = tables[environment]["deploy"]["parameters"]["tags"].split()
            role = DELIVERY.properties(f"Deploy{environment.title()}Role")
            assert f"environment={role['Tags'][0]['Value']}" in tags


def test_what_is_not_asked_for_is_listed_by_a_schema_and_every_arn_is_of_a_type_that_is_deployed() -> None:
    types = {resource.type for environment in ENVIRONMENTS for resource in deployed(environment)}
    unused = {
        f"{of}: {pattern}"
        for of, patterns in NOT_ASKED.items()
        for pattern in patterns.split()
        if not any(unneeded(t, a) for t in types for a in listed(t))
    }
    assert not unused
    assert types <= ARNS.keys()
