"""Every resource of an environment's stacks in both designs, with the name and the ARN that AWS would give it."""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.infrastructure.ecs_design import IMAGE
from tests.infrastructure.templates import ACCOUNT, REGION, ROOT, Stack, load, stack

HERE = f"{REGION}:{ACCOUNT}"
RANDOM = "1ABCDEFGHIJK"  # what CloudFormation ends a name with
SWITCHED_ON = {
    "Image": IMAGE,
    "AccessLogBucket": "joiners-logs",
    "AlertEmail": "ops@example.com",
    "DomainName": "shop.example.com",
    "CertificateArn": f"arn:aws:acm:{HERE}:certificate/1",
    "HostedZoneId": "Z1",
}
"""What an environment has where somebody wants it."""

NAMED_BY = {
    "AWS::ApiGateway::DomainName": "DomainName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::CompositeAlarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::CodeDeploy::Application": "ApplicationName",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::ECS::TaskDefinition": "Family",
    "AWS::Events::Archive": "ArchiveName",
    "AWS::Events::EventBus": "Name",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::LayerVersion": "LayerName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SSM::Parameter": "Name",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::WAFv2::WebACL": "Name",
}
ARNS = {
    "AWS::ApiGateway::BasePathMapping": f"arn:aws:apigateway:{REGION}::/domainnames/{{DomainName}}/basepathmappings/1",
    "AWS::ApiGateway::Deployment": f"arn:aws:apigateway:{REGION}::/restapis/1/deployments/1",
    "AWS::ApiGateway::DomainName": f"arn:aws:apigateway:{REGION}::/domainnames/{{name}}",
    "AWS::ApiGateway::RestApi": f"arn:aws:apigateway:{REGION}::/restapis/1",
    "AWS::ApiGateway::Stage": f"arn:aws:apigateway:{REGION}::/restapis/1/stages/{{environment}}",
    "AWS::ApiGatewayV2::VpcLink": f"arn:aws:apigateway:{REGION}::/vpclinks/1",
    "AWS::ApplicationAutoScaling::ScalableTarget": f"arn:aws:application-autoscaling:{HERE}:scalable-target/1",
    "AWS::ApplicationAutoScaling::ScalingPolicy": f"arn:aws:application-autoscaling:{HERE}:scalable-target/1",
    "AWS::CloudFormation::Stack": f"arn:aws:cloudformation:{HERE}:stack/{{name}}/1",
    "AWS::CloudWatch::Alarm": f"arn:aws:cloudwatch:{HERE}:alarm:{{name}}",
    "AWS::CloudWatch::CompositeAlarm": f"arn:aws:cloudwatch:{HERE}:alarm:{{name}}",
    "AWS::CloudWatch::Dashboard": f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{{name}}",
    "AWS::CodeDeploy::Application": f"arn:aws:codedeploy:{HERE}:application:{{name}}",
    "AWS::CodeDeploy::DeploymentGroup": f"arn:aws:codedeploy:{HERE}:deploymentgroup:{{ApplicationName}}/{{name}}",
    "AWS::Cognito::UserPool": f"arn:aws:cognito-idp:{HERE}:userpool/1",
    "AWS::Cognito::UserPoolClient": f"arn:aws:cognito-idp:{HERE}:userpool/1",
    "AWS::Cognito::UserPoolDomain": f"arn:aws:cognito-idp:{HERE}:userpool/1",
    "AWS::Cognito::UserPoolGroup": f"arn:aws:cognito-idp:{HERE}:userpool/1",
    "AWS::Cognito::UserPoolResourceServer": f"arn:aws:cognito-idp:{HERE}:userpool/1",
    "AWS::EC2::SecurityGroup": f"arn:aws:ec2:{HERE}:security-group/1",
    "AWS::EC2::SecurityGroupEgress": f"arn:aws:ec2:{HERE}:security-group/1",
    "AWS::EC2::SecurityGroupIngress": f"arn:aws:ec2:{HERE}:security-group/1",
    "AWS::ECR::Repository": f"arn:aws:ecr:{HERE}:repository/{{name}}",
    "AWS::ECS::Cluster": f"arn:aws:ecs:{HERE}:cluster/{{name}}",
    "AWS::ECS::Service": f"arn:aws:ecs:{HERE}:service/kumiki-{{environment}}/{{name}}",
    "AWS::ECS::TaskDefinition": f"arn:aws:ecs:{HERE}:task-definition/{{name}}:1",
    "AWS::ElasticLoadBalancingV2::Listener": f"arn:aws:elasticloadbalancing:{HERE}:listener/app/1/1/1",
    "AWS::ElasticLoadBalancingV2::ListenerRule": f"arn:aws:elasticloadbalancing:{HERE}:listener-rule/app/1/1/1/1",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": f"arn:aws:elasticloadbalancing:{HERE}:loadbalancer/app/1/1",
    "AWS::ElasticLoadBalancingV2::TargetGroup": f"arn:aws:elasticloadbalancing:{HERE}:targetgroup/1/1",
    "AWS::Events::Archive": f"arn:aws:events:{HERE}:archive/{{name}}",
    "AWS::Events::EventBus": f"arn:aws:events:{HERE}:event-bus/{{name}}",
    "AWS::Events::Rule": f"arn:aws:events:{HERE}:rule/kumiki-{{environment}}/{{name}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{name}}",
    "AWS::Lambda::Alias": f"arn:aws:lambda:{HERE}:function:{{FunctionName}}:live",
    "AWS::Lambda::EventInvokeConfig": f"arn:aws:lambda:{HERE}:function:{{FunctionName}}",
    "AWS::Lambda::EventSourceMapping": f"arn:aws:lambda:{HERE}:event-source-mapping:1",
    "AWS::Lambda::Function": f"arn:aws:lambda:{HERE}:function:{{name}}",
    "AWS::Lambda::LayerVersion": f"arn:aws:lambda:{HERE}:layer:{{name}}:1",
    "AWS::Lambda::Permission": f"arn:aws:lambda:{HERE}:function:{{FunctionName}}",
    "AWS::Lambda::Version": f"arn:aws:lambda:{HERE}:function:{{FunctionName}}:1",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{HERE}:log-group:{{name}}",
    "AWS::Logs::MetricFilter": f"arn:aws:logs:{HERE}:log-group:{{LogGroupName}}",
    "AWS::Route53::RecordSet": "arn:aws:route53:::hostedzone/{HostedZoneId}",
    "AWS::SNS::Subscription": f"arn:aws:sns:{HERE}:{{TopicArn}}",
    "AWS::SNS::Topic": f"arn:aws:sns:{HERE}:{{name}}",
    "AWS::SNS::TopicPolicy": f"arn:aws:sns:{HERE}:{{Topics}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{HERE}:{{name}}",
    "AWS::SQS::QueuePolicy": f"arn:aws:sqs:{HERE}:{{Queues}}",
    "AWS::Scheduler::Schedule": f"arn:aws:scheduler:{HERE}:schedule/default/{{name}}",
    "AWS::SSM::Parameter": f"arn:aws:ssm:{HERE}:parameter{{name}}",
    "AWS::SecretsManager::Secret": f"arn:aws:secretsmanager:{HERE}:secret:{{logical_id}}-1-1",
    "AWS::ServiceDiscovery::PrivateDnsNamespace": f"arn:aws:servicediscovery:{HERE}:namespace/1",
    "AWS::ServiceDiscovery::Service": f"arn:aws:servicediscovery:{HERE}:service/1",
    "AWS::WAFv2::LoggingConfiguration": f"arn:aws:wafv2:{HERE}:regional/webacl/{{ResourceArn}}/1",
    "AWS::WAFv2::WebACL": f"arn:aws:wafv2:{HERE}:regional/webacl/{{name}}/1",
    "AWS::WAFv2::WebACLAssociation": f"arn:aws:wafv2:{HERE}:regional/webacl/{{WebACLArn}}/1",
    "Custom::Migrations": f"arn:aws:lambda:{HERE}:function:{{ServiceToken}}",
}
"""By type. What stands in braces is a property that names or refers to what the resource belongs to."""


@dataclass(frozen=True)
class Resource:
    environment: str
    stack_name: str
    logical_id: str
    type: str
    properties: dict[str, Any]
    stack: Stack

    @property
    def name(self) -> str:
        generated = f"{self.stack_name}-{self.logical_id}-{RANDOM}"
        return str(self.properties.get(NAMED_BY.get(self.type, ""), generated))

    @property
    def arn(self) -> str:
        def part(found: re.Match[str]) -> str:
            match found[1]:
                case "name" | "environment" | "logical_id" as own:
                    return str(getattr(self, own))
                case other:
                    return self.of(self.properties[other])

        return re.sub(r"{(\w+)}", part, ARNS[self.type])

    def of(self, reference: Any) -> str:
        """The name of what a property refers to in the same stack; what comes from elsewhere stays as it is."""
        text = str(reference[0] if isinstance(reference, list) else reference)
        found = re.fullmatch(r"\${(\w+)(\.\w+)?}", text)
        return self.beside(found[1]).name if found and found[1] in self.stack.resources else text

    def beside(self, logical_id: str) -> "Resource":
        made = self.stack.resources[logical_id]
        properties = made.get("Properties", {})
        return Resource(self.environment, self.stack_name, logical_id, made["Type"], properties, self.stack)

    def roles(self) -> Iterator["Resource"]:
        """Which roles it is given."""
        for logical_id in sorted(set(re.findall(r"\${(\w+)\.Arn}", json.dumps(self.properties)))):
            if self.stack.resources.get(logical_id, {}).get("Type") == "AWS::IAM::Role":
                yield self.beside(logical_id)

    def __str__(self) -> str:
        return f"{self.type} {self.logical_id} of {self.stack_name}"


@cache
def deployed(environment: str) -> list[Resource]:
    roots = [("samconfig.toml", environment, "template.yaml")]
    for table, name in ((f"{environment}-{n}", n) for n in ("repository", "migrator")):
        roots.append(("ecs/samconfig.toml", table, f"ecs/{name}.yaml"))
    roots.append(("ecs/samconfig.toml", environment, "ecs/template.yaml"))
    found = [resource for root in roots for resource in _root(environment, *root)]
    assert len(found) > 300
    return found


def _root(environment: str, configuration: str, table: str, path: str) -> Iterator[Resource]:
    configured = tomllib.loads((ROOT / configuration).read_text(encoding="utf-8"))[table]["deploy"]["parameters"]
    given = dict(each.split("=", 1) for each in configured["parameter_overrides"])
    wanted = {name: value for name, value in SWITCHED_ON.items() if name in load(path)["Parameters"]}
    yield from _resources(environment, configured["stack_name"], path, given | wanted)


def _resources(environment: str, stack_name: str, path: str, given: dict[str, str]) -> Iterator[Resource]:
    made = stack(path, **given)
    for logical_id, resource in made.resources.items():
        properties = resource.get("Properties", {})
        found = Resource(environment, stack_name, logical_id, resource["Type"], properties, made)
        yield found
        if resource["Type"] == "AWS::CloudFormation::Stack":
            nested = os.path.normpath(Path(path).parent / properties["TemplateURL"])
            parameters = {name: _given(value, found) for name, value in properties.get("Parameters", {}).items()}
            yield from _resources(environment, found.name, nested, parameters)


def _given(value: Any, nested: Resource) -> str:
    """What a nested stack is given, with the names of what is beside it."""
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    beside = nested.stack.resources
    return re.sub(r"\${(\w+)}", lambda found: nested.beside(found[1]).name if found[1] in beside else found[0], text)
