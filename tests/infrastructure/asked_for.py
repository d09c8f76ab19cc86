"""What making, changing and taking away a resource asks for, by AWS's own schemas, which cfn-lint ships."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import NamedTuple

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]

from tests.infrastructure.deployed import HERE, Resource
from tests.infrastructure.iam import TAG
from tests.infrastructure.templates import ACCOUNT, REGION


class Asked(NamedTuple):
    action: str
    arn: str
    context: dict[str, str]


NOT_ASKED = {
    # of properties that no template has
    "AWS::ApiGateway::RestApi": "s3:* apigateway:UpdateRestApiPolicy",
    "AWS::ApiGatewayV2::VpcLink": "iam:DeleteServiceLinkedRole iam:GetServiceLinkedRoleDeletionStatus",
    "AWS::ApplicationAutoScaling::*": "lambda:* cloudwatch:GetMetricData",
    "AWS::CodeDeploy::DeploymentGroup": "codedeploy:RegisterOnPremisesInstance",
    "AWS::Cognito::*": "kms:* cloudfront:* iam:*",
    "AWS::ECR::Repository": "kms:* ecr:SetRepositoryPolicy ecr:GetRepositoryPolicy ecr:DeleteRepositoryPolicy",
    "AWS::ECS::Cluster": "kms:* ecs:PutAccountSetting*",
    "AWS::ElasticLoadBalancingV2::*": "cognito-idp:* ec2:DescribeIpamPools",
    "AWS::IAM::Role": "iam:DeleteRolePermissionsBoundary iam:UpdateRoleDescription",
    "AWS::Lambda::EventSourceMapping": "kms:*",
    "AWS::Events::EventBus": "events:PutPermission events:RemovePermission",
    "AWS::Lambda::Function": "kms:* elasticfilesystem:* s3files:* lambda:GetCodeSigningConfig",
    "AWS::Logs::LogGroup": "s3:* firehose:* logs:*DataProtectionPolicy logs:*IndexPolic* logs:PutBearer* "
    "logs:*DeletionProtection logs:DeleteResourcePolicy",
    "AWS::SNS::*": "iam:*",
    "AWS::SecretsManager::Secret": "secretsmanager:Get* secretsmanager:*Replic*",
    "AWS::ServiceDiscovery::PrivateDnsNamespace": "ec2:DescribeRegions",
    "AWS::WAFv2::LoggingConfiguration": "s3:* firehose:* iam:* ",
    "AWS::WAFv2::WebACL": "payments:*",
    "AWS::WAFv2::WebACLAssociation": "amplify:* apprunner:* appsync:* bedrock-agentcore:* cognito-idp:* ec2:* "
    "elasticloadbalancing:* wafv2:*PermissionPolicy",
}
"""Patterns of actions that a schema lists and that are not needed here."""

OF_NO_RESOURCE = """
application-autoscaling:Describe* cloudwatch:DescribeAlarms codedeploy:StopDeployment cognito-idp:CreateUserPool
cognito-idp:DescribeUserPoolDomain ec2:Describe* ecs:DeregisterTaskDefinition ecs:DescribeTaskDefinition
ecs:RegisterTaskDefinition elasticloadbalancing:Describe* lambda:CreateEventSourceMapping logs:*LogDelivery
logs:*ResourcePolic* logs:DescribeLogGroups route53:GetChange route53:ListHostedZones* servicediscovery:*agResource
servicediscovery:CreatePrivateDnsNamespace servicediscovery:List* sns:*SubscriptionAttributes sns:Unsubscribe
""".split()
"""What the authorization reference of the service names no resource for, or one that is not there yet."""

LINKED = {
    "AWS::ApiGatewayV2::VpcLink": "ops.apigateway",
    "AWS::ApplicationAutoScaling::ScalableTarget": "ecs.application-autoscaling",
    "AWS::ECS::Cluster": "ecs",
}
RUN_BY = {
    "AWS::CodeDeploy::DeploymentGroup": "codedeploy",
    "AWS::ECS::Service": "ecs-tasks",
    "AWS::ECS::TaskDefinition": "ecs-tasks",
    "AWS::Lambda::Function": "lambda",
    "AWS::Scheduler::Schedule": "scheduler",
}


@cache
def listed(resource_type: str) -> frozenset[str]:
    """All that handlers of a type list, but for the listing of all there are."""
    if resource_type.startswith("Custom::"):
        return frozenset({"lambda:InvokeFunction"})
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, resource_type).schema["handlers"]
    named = {action for name, handler in handlers.items() if name != "list" for action in handler["permissions"]}
    assert named
    return frozenset(named)


def unneeded(resource_type: str, action: str) -> bool:
    return any(
        fnmatchcase(action, pattern)
        for types, patterns in NOT_ASKED.items()
        if fnmatchcase(resource_type, types)
        for pattern in patterns.split()
    )


def asked_for(resource: Resource) -> Iterator[Asked]:
    for action in sorted(listed(resource.type)):
        if not unneeded(resource.type, action):
            yield from _asked(resource, action)


def _asked(resource: Resource, action: str) -> Iterator[Asked]:
    service, untagged = action.split(":")[0], {"aws:RequestedRegion": REGION}
    tagged = untagged | {TAG: resource.environment}
    if action == "iam:PassRole":
        for role in resource.roles():
            yield Asked(action, role.arn, {"iam:PassedToService": f"{RUN_BY[resource.type]}.amazonaws.com"})
    elif action == "iam:GetRole" and resource.type != "AWS::IAM::Role":
        yield from (Asked(action, role.arn, {}) for role in resource.roles())
    elif action == "iam:CreateServiceLinkedRole":
        linked = f"{LINKED[resource.type]}.amazonaws.com"
        role_arn = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{linked}/AWSServiceRole"
        yield Asked(action, role_arn, {"iam:AWSServiceName": linked})
    elif service == "iam":
        yield Asked(
            action, resource.arn, {"iam:PermissionsBoundary": resource.properties.get("PermissionsBoundary", "")}
        )
    elif any(fnmatchcase(action, pattern) for pattern in OF_NO_RESOURCE):
        known = {"lambda:FunctionArn": _function(resource)} if "EventSourceMapping" in action else {}
        yield Asked(action, "*", untagged | known)
    elif service == "kms":
        yield Asked(action, "${MessagesKeyArn}", {"kms:ViaService": f"events.{REGION}.amazonaws.com"})
    elif service == "s3":
        yield Asked(action, "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1/code", {})
    elif service == "route53":
        yield Asked(action, "arn:aws:route53:::hostedzone/Z1", {"aws:RequestedRegion": "us-east-1"})
    elif resource.type == "AWS::ApplicationAutoScaling::ScalableTarget" and service == "cloudwatch":
        of_tasks = f"TargetTracking-service/kumiki-{resource.environment}/1-AlarmHigh-1"
        yield Asked(action, f"arn:aws:cloudwatch:{HERE}:alarm:{of_tasks}", tagged)
    elif action == "apigateway:SetWebACL":
        yield Asked(action, f"arn:aws:apigateway:{REGION}::/restapis/1/stages/{resource.environment}", tagged)
    elif resource.type == "AWS::Lambda::Alias" and service == "codedeploy":
        named = f"kumiki-{resource.environment}-ServerlessDeploymentApplication-1"
        kinds = {"GetDeploymentConfig": "deploymentconfig:CodeDeployDefault.1"}
        kind = kinds.get(action.split(":")[1], f"deploymentgroup:{named}/{named}")
        yield Asked(action, f"arn:aws:codedeploy:{HERE}:{kind}", tagged)
    elif action == "codedeploy:GetDeploymentConfig":
        yield Asked(action, f"arn:aws:codedeploy:{HERE}:deploymentconfig:CodeDeployDefault.1", tagged)
    elif action == "lambda:GetLayerVersion" and resource.type == "AWS::Lambda::Function":
        yield Asked(action, f"arn:aws:lambda:{HERE}:layer:kumiki-{resource.environment}-common:1", tagged)
    elif resource.type == "AWS::Lambda::EventSourceMapping":
        yield Asked(action, resource.arn, tagged | {"lambda:FunctionArn": _function(resource)})
    else:
        yield Asked(action, resource.arn, tagged)


def _function(mapping: Resource) -> str:
    return f"arn:aws:lambda:{HERE}:function:{mapping.of(mapping.properties['FunctionName'])}"
