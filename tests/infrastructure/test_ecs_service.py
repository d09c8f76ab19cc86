"""What ecs/service.yaml promises of each microservice, in each way of discovery: above all what no linter sees."""

import math
import re
from typing import Any

import msgspec
import pytest

from common.configuration import Configuration
from ecs import probe
from ecs.runtime import listener, settings, wsgi
from tests.infrastructure.ecs_design import EDGES, IMAGE, MODES, SERVICES, Design, deployed_with
from tests.infrastructure.ecs_design import design as made
from tests.infrastructure.templates import ROOT, stack

CALLERS = {caller for caller, _ in EDGES}
SMALLEST_CLASS_CONNECTIONS = 85  # of db.t4g.micro, by RDS's formula
CLOUD_MAP_SECONDS = 5  # until a task that ECS has taken out is gone from Route 53


@pytest.fixture(scope="module", params=MODES)
def design(request: pytest.FixtureRequest) -> Design:
    return made(request.param)


def statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    assert "ManagedPolicyArns" not in role
    return [s for policy in role["Policies"] for s in policy["PolicyDocument"]["Statement"]]


def rights(role: dict[str, Any]) -> set[tuple[str, str]]:
    assert {s["Effect"] for s in statements(role)} == {"Allow"}
    return {(a, r) for s in statements(role) for a in listed(s["Action"]) for r in listed(s["Resource"])}


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def tasks(design: Design, service: str) -> dict[str, Any]:
    return design.services[service].properties("Tasks")


# The container


def test_a_task_runs_the_one_image_on_fargate_for_the_architecture_that_was_asked_for(design: Design) -> None:
    for service in SERVICES:
        task = design.services[service].properties("TaskDefinition")
        assert (task["RequiresCompatibilities"], task["NetworkMode"]) == (["FARGATE"], "awsvpc")
        assert task["RuntimePlatform"] == {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"}
        assert design.container(service)["Image"] == IMAGE
        assert design.container(service)["Essential"] is True
        assert "Command" not in design.container(service)
        assert "EntryPoint" not in design.container(service)


def test_processor_and_memory_are_a_pair_that_fargate_has(design: Design) -> None:
    for service in SERVICES:
        task = design.services[service].properties("TaskDefinition")
        assert (task["Cpu"], task["Memory"]) == ("512", "1024")


def test_a_container_has_no_rights_on_its_machine(design: Design) -> None:
    for service in SERVICES:
        container = design.container(service)
        assert container["User"] == "10001:10001"  # of no group, it would be of root's
        assert container["ReadonlyRootFilesystem"] is True
        assert container["LinuxParameters"] == {"Capabilities": {"Drop": ["ALL"]}, "InitProcessEnabled": True}
        assert not container.get("Privileged")
        assert not {"MountPoints", "VolumesFrom"} & container.keys()
        assert "Volumes" not in design.services[service].properties("TaskDefinition")


def test_an_end_is_waited_for_until_the_server_has_finished(design: Design) -> None:
    for service in SERVICES:
        lame = float(design.environment(service)["LAME_SECONDS"])
        stop = design.container(service)["StopTimeout"]
        [deregistration] = [
            int(a["Value"])
            for a in design.services[service].properties("TargetGroup")["TargetGroupAttributes"]
            if a["Key"] == "deregistration_delay.timeout_seconds"
        ]
        assert lame + listener.TO_END_SECONDS < stop <= 120  # which is the most that Fargate allows
        assert wsgi.FRONT_MILLIS / 1000 < deregistration < stop
        assert wsgi.FRONT_MILLIS / 1000 < listener.TO_END_SECONDS


def test_a_task_serves_on_for_longer_than_it_is_found(design: Design) -> None:
    for service in SERVICES:
        [record] = design.services[service].properties("DiscoveryService")["DnsConfig"]["DnsRecords"]
        assert float(design.environment(service)["LAME_SECONDS"]) > record["TTL"] + CLOUD_MAP_SECONDS


def test_the_container_is_probed_in_exec_form_by_the_servers_own_probe_and_not_for_less_than_a_failover(
    design: Design,
) -> None:
    assert (ROOT / "ecs/probe.py").exists()
    for service in SERVICES:
        check = design.container(service)["HealthCheck"]
        assert check["Command"] == ["CMD", "python", "-m", "ecs.probe"]
        assert probe.SECONDS < check["Timeout"] <= 60
        assert 5 <= check["Interval"] <= 300
        assert 1 <= check["Retries"] <= 10
        assert 0 < check["StartPeriod"] <= 300
        assert check["Retries"] * check["Interval"] >= 100


# Its environment


def test_the_environment_is_what_the_container_reads_and_nothing_else(design: Design) -> None:
    kinds = (settings.Settings, Configuration)
    read = {field.encode_name for kind in kinds for field in msgspec.structs.fields(kind)}
    others = {"AWS_DEFAULT_REGION", "ALLOWED_ORIGIN", "RES_OPTIONS", "ORDER_DEADLINE_SECONDS", "MAIL_SENDER"}
    others |= {f"POWERTOOLS_{name}" for name in ("SERVICE_NAME", "METRICS_NAMESPACE", "LOG_LEVEL")}
    for service in SERVICES:
        found = design.environment(service)
        assert found.keys() <= read | others
        assert not [value for value in found.values() if value == ""]


def test_the_container_starts_with_its_environment(design: Design) -> None:
    for service in SERVICES:
        found = {**design.environment(service), "DATABASE_PORT": "3306"}
        config = msgspec.convert(found, settings.Settings, strict=False)
        assert (config.service, config.port) == (service, 8080)
        database = msgspec.convert(found, Configuration, strict=False)
        assert (database.database_host, database.aws_region) == ("${DatabaseProxyEndpoint}", "ap-northeast-1")
        assert design.environment(service)["DATABASE_PORT"] == "${DatabasePort}"
        assert found["AWS_DEFAULT_REGION"] == "ap-northeast-1"
        assert found["RES_OPTIONS"] == "timeout:1 attempts:2"
        assert found["POWERTOOLS_SERVICE_NAME"] == service
        assert (found["POWERTOOLS_METRICS_NAMESPACE"], found["POWERTOOLS_LOG_LEVEL"]) == ("Kumiki/dev", "INFO")


def test_people_are_known_by_the_shops_own_pool_and_client(design: Design) -> None:
    for service in SERVICES:
        found = design.environment(service)
        assert found["TOKEN_ISSUER"] == "https://cognito-idp.ap-northeast-1.amazonaws.com/${UserPool}"
        assert found["USER_CLIENT_ID"] == "${UserPoolClient}"


def test_who_calls_has_a_client_of_its_own_and_nobody_else_has_any(design: Design) -> None:
    for service in SERVICES:
        name, found = service.capitalize(), design.environment(service)
        if service in CALLERS:
            assert found["CLIENT_ID"] == f"${{{name}Client}}"
            assert found["TOKEN_URL"] == (
                "https://${UserPoolDomain}.auth.ap-northeast-1.amazoncognito.com/oauth2/token"
            )
            secret = {"Name": "CLIENT_SECRET", "ValueFrom": f"${{{name}ClientSecret}}"}
            assert design.container(service)["Secrets"] == [secret]
        else:
            assert not {"CLIENT_ID", "TOKEN_URL"} & found.keys()
            assert "Secrets" not in design.container(service)


def test_nothing_secret_stands_in_the_environment(design: Design) -> None:
    for service in SERVICES:
        assert not [n for n in design.environment(service) if re.search("SECRET|PASSWORD|KEY", n)]
        assert not [v for v in design.environment(service).values() if "Secret" in v or "resolve:" in v]


def test_orders_alone_knows_a_deadline_and_notifications_alone_a_sender(design: Design) -> None:
    deadline = {s: design.environment(s).get("ORDER_DEADLINE_SECONDS") for s in SERVICES}
    sender = {s: design.environment(s).get("MAIL_SENDER") for s in SERVICES}
    assert deadline == dict.fromkeys(SERVICES) | {"orders": "900"}
    assert sender == dict.fromkeys(SERVICES) | {"notifications": "Kumiki <shop@example.com>"}


# Rights


def test_starting_a_task_and_being_one_are_different_roles_and_each_service_has_its_own(design: Design) -> None:
    for service in SERVICES:
        task = design.services[service].properties("TaskDefinition")
        assert (task["ExecutionRoleArn"], task["TaskRoleArn"]) == ("${ExecutionRole.Arn}", "${TaskRole.Arn}")
        for role in design.services[service].of_type("AWS::IAM::Role").values():
            [trust] = role["AssumeRolePolicyDocument"]["Statement"]
            assert (trust["Effect"], trust["Action"]) == ("Allow", "sts:AssumeRole")
            assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
            assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
            assert role["PermissionsBoundary"] == "${PermissionsBoundaryArn}"


def test_a_task_may_connect_as_its_own_user_and_notifications_mail_from_the_one_address(design: Design) -> None:
    mails = {("ses:SendRawEmail", "arn:aws:ses:ap-northeast-1:123456789012:identity/*")}
    for service in SERVICES:
        role = design.services[service].properties("TaskRole")
        user = f"arn:aws:rds-db:ap-northeast-1:123456789012:dbuser:${{DatabaseProxyResourceId}}/{service}"
        assert rights(role) == {("rds-db:connect", user)} | (mails if service == "notifications" else set())
        for statement in statements(role):
            if statement["Action"] == "ses:SendRawEmail":
                assert statement["Condition"] == {"StringEquals": {"ses:FromAddress": "shop@example.com"}}


def test_starting_a_task_takes_its_image_its_log_and_its_own_secret(design: Design) -> None:
    repository = "arn:aws:ecr:ap-northeast-1:123456789012:repository/kumiki-dev"
    pulls = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
    for service in SERVICES:
        secret = {("secretsmanager:GetSecretValue", f"${{{service.capitalize()}ClientSecret}}")}
        assert rights(design.services[service].properties("ExecutionRole")) == (
            {("ecr:GetAuthorizationToken", "*"), *((action, repository) for action in pulls)}
            | {("logs:CreateLogStream", "${LogGroup.Arn}"), ("logs:PutLogEvents", "${LogGroup.Arn}")}
            | (secret if service in CALLERS else set())
        )
    [made_there] = design.repository.of_type("AWS::ECR::Repository").values()
    assert repository.endswith(f"/{made_there['RepositoryName']}")


def test_a_log_that_cannot_be_written_keeps_no_request_waiting(design: Design) -> None:
    for service in SERVICES:
        logs = [design.container(service)["LogConfiguration"]]
        if design.mode != "CLOUD_MAP":
            logs.append(tasks(design, service)["ServiceConnectConfiguration"]["LogConfiguration"])
        for log in logs:
            options = dict(log["Options"])
            assert log["LogDriver"] == "awslogs"
            assert options.pop("awslogs-stream-prefix")
            assert options == {
                "awslogs-group": "${LogGroup}",
                "awslogs-region": "ap-northeast-1",
                "mode": "non-blocking",
                "max-buffer-size": "25m",
            }
        group = design.services[service].properties("LogGroup")
        name = f"/kumiki/dev/ecs/{service}"
        assert group == {"LogGroupName": name, "RetentionInDays": "30", "KmsKeyId": "${LogsKeyArn}"}


# Discovery


def test_the_port_has_one_name_wherever_it_is_meant(design: Design) -> None:
    for service in SERVICES:
        [port] = design.container(service)["PortMappings"]
        assert port == {"Name": "http", "ContainerPort": 8080, "Protocol": "tcp", "AppProtocol": "http"}
        assert design.environment(service)["PORT"] == "8080"
        connect = tasks(design, service)["ServiceConnectConfiguration"]
        assert {s["PortName"] for s in connect.get("Services", [])} <= {port["Name"]}


def test_what_a_mode_does_not_have_is_switched_off_and_not_left_out(design: Design) -> None:
    for service in SERVICES:
        registries, connect = (tasks(design, service)[k] for k in ("ServiceRegistries", "ServiceConnectConfiguration"))
        # A record of type A takes neither container nor port.
        in_cloud_map = [{"RegistryArn": "${DiscoveryService.Arn}"}]
        assert registries == ([] if design.mode == "SERVICE_CONNECT" else in_cloud_map)
        assert connect["Enabled"] is (design.mode != "CLOUD_MAP")
        if not connect["Enabled"]:
            assert connect == {"Enabled": False}


def test_urls_are_the_same_in_every_mode(design: Design) -> None:
    [namespace] = design.cluster.of_type("AWS::ServiceDiscovery::PrivateDnsNamespace").values()
    for service in SERVICES:
        urls = {design.environment(caller)["NEIGHBOUR_URL"].format(service=service) for caller in SERVICES}
        assert urls == {settings.Settings("", "", "").neighbour_url.format(service=service)}
        found = {f"http://{design.services[service].properties('DiscoveryService')['Name']}.{namespace['Name']}:8080"}
        for endpoint in tasks(design, service)["ServiceConnectConfiguration"].get("Services", []):
            [alias] = endpoint["ClientAliases"]
            found.add(f"http://{alias['DnsName']}:{alias['Port']}")
        assert found == urls


def test_a_name_is_the_addresses_of_all_healthy_tasks_and_is_not_kept_for_long(design: Design) -> None:
    for service in SERVICES:
        found = design.services[service].properties("DiscoveryService")
        assert found["DnsConfig"] == {"RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "A", "TTL": 10}]}
        assert found["NamespaceId"] == "${Namespace}"
        assert "HealthCheckConfig" not in found
        assert found["HealthCheckCustomConfig"] == {"FailureThreshold": 1}


def test_in_service_connect_a_name_of_its_own_keeps_each_service_apart_from_all_that_cloud_map_has(
    design: Design,
) -> None:
    if design.mode == "CLOUD_MAP":
        return
    taken = [design.services[s].properties("DiscoveryService")["Name"] for s in SERVICES]
    for service in SERVICES:
        [endpoint] = tasks(design, service)["ServiceConnectConfiguration"]["Services"]
        taken.append(endpoint["DiscoveryName"])
        assert wsgi.FRONT_MILLIS / 1000 < endpoint["Timeout"]["PerRequestTimeoutSeconds"] <= 60
        assert endpoint["DiscoveryName"] == f"{service}-connect"
        assert "IngressPortOverride" not in endpoint
    assert len(set(taken)) == 2 * len(SERVICES)


def test_whom_discovery_knows_stays_when_the_mode_changes() -> None:
    ids = [{n for n, r in made(m).services["orders"].resources.items() if "Discovery" in r["Type"]} for m in MODES]
    assert ids == [{"DiscoveryService"}] * 3


# Behind the load balancer


def test_the_load_balancer_asks_tasks_by_address_whether_they_can_serve(design: Design) -> None:
    for service in SERVICES:
        group = design.services[service].properties("TargetGroup")
        assert (group["TargetType"], group["Protocol"], group["Port"]) == ("ip", "HTTP", 8080)
        assert (group["HealthCheckPath"], group["Matcher"]) == ("/health", {"HttpCode": "200"})
        assert group["VpcId"] == "${VpcId}"
        assert group["HealthCheckTimeoutSeconds"] < group["HealthCheckIntervalSeconds"] <= 30
        assert 2 <= group["HealthyThresholdCount"] <= 3
        assert group["UnhealthyThresholdCount"] <= 10
        assert group["HealthCheckIntervalSeconds"] * group["UnhealthyThresholdCount"] >= 100
        attributes = {a["Key"]: a["Value"] for a in group["TargetGroupAttributes"]}
        assert attributes["load_balancing.algorithm.type"] == "least_outstanding_requests"
        [target] = tasks(design, service)["LoadBalancers"]
        assert target == {"ContainerName": service, "ContainerPort": 8080, "TargetGroupArn": "${TargetGroup}"}
        assert design.container(service)["Name"] == service
        assert design.services[service].resources["Tasks"]["DependsOn"] == "ListenerRule"


PUBLIC = {
    "catalog": ["/products", "/products/1", "/health/catalog"],
    "inventory": ["/stock/1", "/health/inventory"],
    "orders": ["/orders", "/orders/1", "/orders/1/cancel", "/health/orders"],
    "payments": ["/payments/1", "/payments/1/refund", "/health/payments"],
    "shipping": ["/shipments/1", "/shipments/1/dispatch", "/shipments/1/deliver", "/health/shipping"],
    "notifications": ["/health/notifications"],
}
CLOSED = ["/", "/health", "/sweep", "/internal/products", "/internal/orders/1/refunded", "/ordersx", "/prod/orders"]


def test_public_paths_lead_to_their_service_and_internal_ones_nowhere(design: Design) -> None:
    rules = {}
    for service in SERVICES:
        rule = design.services[service].properties("ListenerRule")
        assert rule["Actions"] == [{"Type": "forward", "TargetGroupArn": "${TargetGroup}"}]
        [condition] = rule["Conditions"]
        assert condition["Field"] == "path-pattern"
        [rules[service]] = condition["PathPatternConfig"]["RegexValues"]
        assert len(rules[service]) <= 128
    for service, paths in PUBLIC.items():
        for path in [*paths, *(f"/dev{path}" for path in paths)]:
            assert [s for s, pattern in rules.items() if re.search(pattern, path)] == [service]
    for path in [*CLOSED, *(f"/dev{path}" for path in CLOSED)]:
        assert not [s for s, pattern in rules.items() if re.search(pattern, path)], path


def test_rules_do_not_share_a_priority(design: Design) -> None:
    priorities = {design.services[s].properties("ListenerRule")["Priority"] for s in SERVICES}
    assert len(priorities) == len(SERVICES)


def test_a_service_never_sees_the_stage(design: Design) -> None:
    for service in SERVICES:
        [transform] = design.services[service].properties("ListenerRule")["Transforms"]
        [rewrite] = transform["UrlRewriteConfig"]["Rewrites"]
        assert transform["Type"] == "url-rewrite"
        for path in PUBLIC[service]:
            for asked in (path, f"/dev{path}"):
                assert re.sub(rewrite["Regex"], rewrite["Replace"].replace("$", "\\"), asked) == path


# How tasks come and go


def test_a_bad_image_is_rolled_back_and_a_good_one_takes_over_without_a_gap(design: Design) -> None:
    for service in SERVICES:
        assert tasks(design, service)["DeploymentConfiguration"] == {
            "MinimumHealthyPercent": 100,
            "MaximumPercent": 200,
            "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
        }
        assert 30 <= tasks(design, service)["HealthCheckGracePeriodSeconds"] <= 120
        assert tasks(design, service)["TaskDefinition"] == "${TaskDefinition}"


def test_two_tasks_of_a_service_are_never_interrupted(design: Design) -> None:
    for service in SERVICES:
        found = tasks(design, service)
        assert "LaunchType" not in found
        strategy = {each["CapacityProvider"]: each for each in found["CapacityProviderStrategy"]}
        assert strategy.keys() == {"FARGATE", "FARGATE_SPOT"}
        assert strategy["FARGATE"]["Base"] == 2
        assert [each["Weight"] for each in strategy.values()] == [1, 1]


def test_a_service_can_be_replaced_and_a_deploy_leaves_alone_how_many_tasks_there_are(design: Design) -> None:
    for service in SERVICES:
        assert not {"ServiceName", "DesiredCount"} & tasks(design, service).keys()
        assert tasks(design, service)["PropagateTags"] == "SERVICE"
        assert tasks(design, service)["EnableECSManagedTags"] is True


def test_nobody_gets_a_shell_in_a_task(design: Design) -> None:
    """Which would also want a root file system that can be written to."""
    for service in SERVICES:
        assert tasks(design, service)["EnableExecuteCommand"] is False
        assert not [action for action, _ in rights(design.services[service].properties("TaskRole")) if "ssm" in action]


def test_tasks_run_in_the_protected_subnets_and_wear_their_groups_and_no_public_address(design: Design) -> None:
    for service in SERVICES:
        assert tasks(design, service)["Cluster"] == "${Cluster}"
        network = tasks(design, service)["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["AssignPublicIp"] == "DISABLED"
        assert network["Subnets"] == ["${ProtectedSubnetIds}"]
        groups = [f"${{{service.capitalize()}SecurityGroup}}", "${TaskSecurityGroup}", "${ClientSecurityGroupId}"]
        assert network["SecurityGroups"] == groups


def test_a_service_grows_with_its_load_and_never_below_two(design: Design) -> None:
    for service in SERVICES:
        [target] = design.services[service].of_type("AWS::ApplicationAutoScaling::ScalableTarget").values()
        assert (target["ServiceNamespace"], target["ScalableDimension"]) == ("ecs", "ecs:service:DesiredCount")
        assert target["ResourceId"] == "service/${Cluster}/${Tasks.Name}"
        assert 2 <= target["MinCapacity"] < target["MaxCapacity"]
        policies = design.services[service].of_type("AWS::ApplicationAutoScaling::ScalingPolicy").values()
        measured = {}
        for policy in policies:
            assert (policy["PolicyType"], policy["ScalingTargetId"]) == ("TargetTrackingScaling", "${Scaling}")
            tracking = policy["TargetTrackingScalingPolicyConfiguration"]
            metric = tracking["PredefinedMetricSpecification"]
            measured[metric["PredefinedMetricType"]] = (metric.get("ResourceLabel"), tracking["TargetValue"])
            assert tracking["ScaleOutCooldown"] < tracking["ScaleInCooldown"]
        assert len({policy["PolicyName"] for policy in policies}) == 2
        assert measured == {
            "ECSServiceAverageCPUUtilization": (None, 60),
            "ALBRequestCountPerTarget": ("app/name/1/${TargetGroup.TargetGroupFullName}", 400),
        }


def test_all_tasks_together_at_their_most_fit_into_the_smallest_database_without_any_sharing_of_connections(
    design: Design,
) -> None:
    most = sum(design.services[s].properties("Scaling")["MaxCapacity"] for s in SERVICES)
    workers = settings.Settings("", "", "").workers
    pool = stack("infra/database.yaml", Environment="dev").properties("ProxyTargets")
    percent = pool["ConnectionPoolConfigurationInfo"]["MaxConnectionsPercent"]
    assert most * workers <= math.floor(SMALLEST_CLASS_CONNECTIONS * percent / 100)


def test_production_has_the_same_but_for_its_names_and_what_is_kept() -> None:
    given = deployed_with("prod")
    assert {k: v.replace("/prod/", "/dev/") for k, v in given.items()} == {
        **deployed_with("dev"),
        "Environment": "prod",
        "LogRetentionDays": "90",
        "Mfa": "OPTIONAL",
        "UserPoolDeletionProtection": "ACTIVE",
    }
    assert made("CLOUD_MAP", environment="prod").services["orders"].properties("LogGroup")["RetentionInDays"] == "90"
    assert made("CLOUD_MAP", environment="prod").services.keys() == set(SERVICES)
