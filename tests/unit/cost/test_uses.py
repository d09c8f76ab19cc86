"""Each formula by a case small enough to be worked out by hand, at prices that are round."""

from typing import Any

import pytest

from cost import bill
from cost.bill import Traffic, Use, sum_of
from cost.stacks import Resource
from cost.uses import Unknown, uses

TRAFFIC = Traffic(
    counted={"events": 2, "messages": {"orders": 3}, "mails": 1},
    assumed={
        "requests": {"orders": 5, "catalog": 15},
        "orders_of_a_customer": 4,
        "calls": 4,
        "api_ms": 100,
        "consumer_ms": 200,
        "sweep_ms": 10,
        "answer": 50_000_000,
        "event": 10_000_000,
        "put_events": 100_000_000,
        "mail": 300_000_000,
        "log_of_an_invocation": 1_000_000,
        "log_of_an_access": 500_000,
        "flows_of_an_order": 1_000_000_000,
        "flows_of_an_hour": 10_000_000,
        "figures_of_a_database_minute": 100_000,
        "key_requests": 6,
        "traced": 0.1,
        "polls_of_a_minute": 10,
        "image_gb": 0.5,
        "images": 4,
        "workers": 3,
    },
)
HOURS, MINUTES = 730, 43_800
NAT = {"Type": "AWS::EC2::NatGateway", "Properties": {}}
KEY = {"Type": "AWS::KMS::Key", "Properties": {}}
DATABASE = {"DBInstanceClass": "db.t4g.micro", "MultiAZ": False, "AllocatedStorage": "20"}
SWEEP = {"ScheduleExpression": "rate(1 minute)", "Target": {"Arn": "${OrdersConsumer.Arn}"}}
FUNCTION = {"MemorySize": 512, "Architectures": ["arm64"]}
OWN = {"Namespace": "Kumiki/dev", "MetricName": "Parked", "Dimensions": []}
TASKS = {
    "Task": {
        "Type": "AWS::ECS::TaskDefinition",
        "Properties": {"Cpu": "512", "Memory": "2048", "RuntimePlatform": {"CpuArchitecture": "ARM64"}},
    },
    "Scaling": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": {"MinCapacity": 2}},
}


def used(kind: str, properties: Any = None, name: str = "It", stack: str = "", **beside: Any) -> dict[str, Use]:
    """By price, what a resource of that type uses."""
    resource = {"Type": kind, "Properties": properties or {}}
    found = uses(Resource("group", stack, name, kind, properties or {}, {name: resource, **beside}), TRAFFIC)
    assert len({use.price for use in found}) == len(found)
    return {use.price: use for use in found}


def amounts(kind: str, properties: Any = None, **how: Any) -> dict[str, tuple[float, float]]:
    found = used(kind, properties, **how)
    return {price: (pytest.approx(use.fixed), pytest.approx(use.per_order)) for price, use in found.items()}  # type: ignore[misc]


def test_nat_is_paid_by_the_hour_and_by_what_goes_out_of_which_each_has_its_share() -> None:
    # two events of 100 MB and a mail of 300 MB are 0.5 GB
    assert amounts("AWS::EC2::NatGateway") == {"nat-hour": (HOURS, 0), "nat-gb": (0, 0.5)}
    assert amounts("AWS::EC2::NatGateway", B=NAT)["nat-gb"] == (0, 0.25)


def test_an_address_is_paid_by_the_hour_an_endpoint_by_hour_and_zone_and_a_gateway_not_at_all() -> None:
    assert amounts("AWS::EC2::EIP") == {"public-address-hour": (HOURS, 0)}
    assert amounts("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Interface"}) == {"endpoint-hour": (2 * HOURS, 0)}
    assert amounts("AWS::EC2::VPCEndpoint", {"VpcEndpointType": "Gateway"}) == {}


def test_flows_are_paid_as_logs() -> None:
    assert amounts("AWS::EC2::FlowLog") == {"log-gb": (7.3, 1)}


def test_a_database_in_two_zones_is_paid_twice_its_figures_once() -> None:
    log = {"log-gb": (4.38, 0)}  # 43,800 minutes of 0.1 MB
    one = {"rds-db-t4g-micro": (HOURS, 0), "rds-gp3-gb": (20, 0)}
    two = {"rds-db-t4g-micro": (2 * HOURS, 0), "rds-gp3-gb": (40, 0), "secret-month": (1, 0)}
    assert amounts("AWS::RDS::DBInstance", DATABASE) == one | log
    assert amounts("AWS::RDS::DBInstance", DATABASE | {"MultiAZ": True, "ManageMasterUserPassword": True}) == two | log


def test_the_proxy_is_paid_by_the_processors_of_its_database() -> None:
    database = {"Type": "AWS::RDS::DBInstance", "Properties": DATABASE}
    assert amounts("AWS::RDS::DBProxy", Database=database) == {"rds-proxy-processor-hour": (2 * HOURS, 0)}


def test_keys_share_their_requests() -> None:
    assert amounts("AWS::KMS::Key", B=KEY, C=KEY) == {"key-month": (1, 0), "key-request": (0, 2)}
    assert amounts("AWS::SecretsManager::Secret") == {"secret-month": (1, 0)}


def test_an_alarm_is_paid_by_its_metrics_and_a_metric_of_our_own_once() -> None:
    aws = {"Namespace": "AWS/SQS", "MetricName": "Age", "Dimensions": []}
    computed = {"Metrics": [{"Expression": "a/b"}, {"MetricStat": {}}, {"MetricStat": {}}]}
    another = {"Type": "AWS::CloudWatch::Alarm", "Properties": OWN}
    assert amounts("AWS::CloudWatch::Alarm", aws) == {"alarm-month": (1, 0)}
    assert amounts("AWS::CloudWatch::Alarm", computed) == {"alarm-month": (2, 0)}
    assert amounts("AWS::CloudWatch::Alarm", OWN, A=another) == {"alarm-month": (1, 0), "metric-month": (1, 0)}
    first = Resource("", "", "It", "AWS::CloudWatch::Alarm", OWN, {"A": another, "It": {**another}})
    assert [use.price for use in uses(first, TRAFFIC)] == ["alarm-month"]
    assert amounts("AWS::CloudWatch::Dashboard") == {"dashboard-month": (1, 0)}


def test_a_firewall_is_paid_by_its_rules_and_by_the_request() -> None:
    expected = {"firewall-month": (1, 0), "firewall-rule-month": (2, 0), "firewall-request": (0, 20)}
    assert amounts("AWS::WAFv2::WebACL", {"Rules": [{}, {}]}) == expected


def test_the_front_door_is_paid_by_the_request_and_by_what_it_answers() -> None:
    assert amounts("AWS::ApiGateway::RestApi") == {"api-request": (0, 20), "transfer-out-gb": (0, 1)}
    assert amounts("AWS::ApiGateway::Stage") == {}
    logged = {"AccessLogSetting": {}, "TracingEnabled": True}
    assert amounts("AWS::ApiGateway::Stage", logged) == {"log-gb": (0, 0.01), "trace": (0, 2)}


def test_metrics_of_methods_are_paid_by_the_hour_in_which_there_are_any() -> None:
    api = {
        "Type": "AWS::ApiGateway::RestApi",
        "Properties": {"Body": {"paths": {"/a": {"get": 1, "options": 1}, "/b": {"put": 1}}}},
    }
    [metrics] = used("AWS::ApiGateway::Stage", {"MethodSettings": [{"MetricsEnabled": True}]}, Api=api).values()
    assert [metrics.of(orders) for orders in (0, 7.3, 1_000)] == pytest.approx(
        [0, 1, 10]
    )  # 7.3 orders are 146 requests, of 730 hours
    assert used("AWS::ApiGateway::Stage", {"MethodSettings": [{"MetricsEnabled": False}]}, Api=api) == {}


def test_users_are_paid_by_who_signs_in_and_by_the_pools_tier() -> None:
    assert amounts("AWS::Cognito::UserPool") == {"user-month-essentials": (0, 0.25)}
    assert amounts("AWS::Cognito::UserPool", {"UserPoolTier": "LITE"}) == {"user-month-lite": (0, 0.25)}


def test_tokens_of_services_are_paid_by_callee_and_never_more_than_each_worker_keeps_in_an_hour() -> None:
    assert used("AWS::Cognito::UserPoolClient") == {}
    client = {"AllowedOAuthFlows": ["client_credentials"], "AllowedOAuthScopes": ["a", "b"]}
    [token] = used("AWS::Cognito::UserPoolClient", client).values()
    assert (token.of(0), token.of(10), token.of(1_000_000)) == (0, 20, 2 * HOURS * 2 * 3)


def test_functions_are_paid_by_request_and_gigabyte_second() -> None:
    # five requests of 0.1 s at half a GB
    api = {"lambda-request": (0, 5), "lambda-gb-second-arm64": (0, 0.25), "log-gb": (0, 0.005)}
    assert amounts("AWS::Lambda::Function", FUNCTION, name="OrdersApi") == api
    # a sweep a minute of 0.01 s, three messages of 0.2 s
    sweep = {"Type": "AWS::Scheduler::Schedule", "Properties": SWEEP}
    consumer = {"lambda-request": (MINUTES, 3), "lambda-gb-second-arm64": (219, 0.3), "log-gb": (43.8, 0.003)}
    assert amounts("AWS::Lambda::Function", FUNCTION, name="OrdersConsumer", Sweep=sweep) == consumer
    assert amounts("AWS::Lambda::Function", FUNCTION, name="CatalogConsumer", Sweep=sweep)["lambda-request"] == (0, 0)
    assert amounts("AWS::Lambda::Function", FUNCTION, name="NotificationsConsumer")["mail"] == (0, 1)
    traced = {**FUNCTION, "TracingConfig": {"Mode": "Active"}}
    assert amounts("AWS::Lambda::Function", traced, name="OrdersConsumer", Sweep=sweep)["trace"] == (MINUTES, 0.3)
    assert "trace" not in amounts("AWS::Lambda::Function", traced, name="OrdersApi")
    assert "lambda-gb-second-x86_64" in amounts("AWS::Lambda::Function", {**FUNCTION, "Architectures": ["x86_64"]})


@pytest.mark.parametrize(
    ("expression", "times"),
    [("rate(1 minute)", MINUTES), ("rate(5 minutes)", MINUTES / 5), ("rate(2 hours)", 365), ("rate(1 day)", 730 / 24)],
)
def test_schedules_are_paid_by_the_time(expression: str, times: float) -> None:
    assert amounts("AWS::Scheduler::Schedule", {"ScheduleExpression": expression}) == {"schedule": (times, 0)}


def test_a_schedule_of_another_form_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="cron"):
        used("AWS::Scheduler::Schedule", {"ScheduleExpression": "cron(0 3 * * ? *)"})


def test_queues_are_paid_by_polls_and_three_requests_a_message_and_dead_letters_wait_for_free() -> None:
    queue = {"QueueName": "kumiki-dev-orders", "RedrivePolicy": {}}
    assert amounts("AWS::SQS::Queue", queue) == {"queue-request": (10 * MINUTES, 9)}
    assert amounts("AWS::SQS::Queue", {"QueueName": "kumiki-dev-orders-dead-letters"}) == {}


def test_events_are_paid_when_sent_and_when_kept() -> None:
    assert amounts("AWS::Events::EventBus") == {"event": (0, 2)}
    kept = amounts("AWS::Events::Archive", {"RetentionDays": "15"})
    assert kept == {"archive-gb": (0, 0.02), "archive-gb-month": (0, 0.01)}


def test_tasks_are_paid_by_processor_and_memory() -> None:
    found = amounts("AWS::ECS::Service", stack="Orders", **TASKS)
    assert found["fargate-processor-hour-arm64"] == (2 * HOURS * 0.5, 0)
    assert found["fargate-gb-hour-arm64"] == (2 * HOURS * 2, 0)
    assert found["instance-month"] == (2, 0)
    assert found["log-gb"] == (0, 24 * 0.001 / 6)
    assert "mail" not in found
    assert amounts("AWS::ECS::Service", stack="Notifications", **TASKS)["mail"] == (0, 1)


def test_a_load_balancer_is_paid_by_hour_and_by_connections() -> None:
    found = amounts("AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert found == {"balancer-hour": (HOURS, 0), "balancer-capacity-hour": (0, 20 / 90_000)}


def test_a_zone_and_the_images_are_paid_by_the_month() -> None:
    assert amounts("AWS::ServiceDiscovery::PrivateDnsNamespace") == {"zone-month": (1, 0)}
    assert amounts("AWS::ECR::Repository") == {"image-gb": (2, 0)}


def test_what_nobody_has_said_the_price_of_is_not_free() -> None:
    with pytest.raises(Unknown, match="AWS::EKS::Cluster"):
        used("AWS::EKS::Cluster")
    assert used("AWS::IAM::Role") == {}


def test_a_bill_is_price_times_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bill, "prices", lambda: {"hour": {"usd": 2}, "piece": {"usd": 0.5}})
    month = [Use("hour", 10), Use("piece", 4, 3), Use("piece", per_order=1, most=8)]
    assert [sum_of(month, orders) for orders in (0, 2, 100)] == [20 + 2, 20 + 5 + 1, 20 + 152 + 4]
