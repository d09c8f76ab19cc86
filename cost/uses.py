"""By the type of a resource, what it uses of what has a price."""

from collections.abc import Callable, Iterator

from cost import application, platform
from cost.bill import Traffic, Use
from cost.free import FREE
from cost.stacks import Resource

PRICED: dict[str, Callable[[Resource, Traffic], Iterator[Use]]] = {
    "AWS::EC2::NatGateway": platform.nat_gateway,
    "AWS::EC2::EIP": platform.address,
    "AWS::EC2::VPCEndpoint": platform.endpoint,
    "AWS::EC2::FlowLog": platform.flow_log,
    "AWS::RDS::DBInstance": platform.database,
    "AWS::RDS::DBProxy": platform.proxy,
    "AWS::KMS::Key": platform.key,
    "AWS::SecretsManager::Secret": platform.secret,
    "AWS::CloudWatch::Alarm": platform.alarm,
    "AWS::CloudWatch::Dashboard": platform.dashboard,
    "AWS::WAFv2::WebACL": platform.firewall,
    "AWS::ApiGateway::RestApi": application.api,
    "AWS::ApiGateway::Stage": application.stage,
    "AWS::Cognito::UserPool": application.user_pool,
    "AWS::Cognito::UserPoolClient": application.client,
    "AWS::Lambda::Function": application.function,
    "AWS::Scheduler::Schedule": application.schedule,
    "AWS::SQS::Queue": application.queue,
    "AWS::Events::EventBus": application.bus,
    "AWS::Events::Archive": application.archive,
    "AWS::ECS::Service": application.service,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": application.balancer,
    "AWS::ServiceDiscovery::PrivateDnsNamespace": application.zone,
    "AWS::ECR::Repository": application.repository,
}
FREE_WITH_ANOTHER = {"AWS::ServiceDiscovery::Service": "an instance of it is counted with its task"}


class Unknown(Exception):
    """A resource of a type of which nobody has said what it costs: it belongs into PRICED or into FREE."""


def uses(resource: Resource, traffic: Traffic) -> list[Use]:
    """Raises Unknown."""
    if resource.kind in PRICED:
        return list(PRICED[resource.kind](resource, traffic))
    if resource.kind in FREE | FREE_WITH_ANOTHER:
        return []
    raise Unknown(f"{resource.kind} of {resource.group} {resource.stack} {resource.name}")
