"""What ecs/cluster.yaml and ecs/template.yaml promise: who calls whom, who people and services are, the front door."""

import ast
import json
import re
import tomllib
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from ecs.runtime import settings, wsgi
from tests import parts
from tests.infrastructure.ecs_design import EDGES, LISTENER, MODES, SERVICES, SHARED, Design, deployed_with, templates
from tests.infrastructure.ecs_design import design as made
from tests.infrastructure.ecs_design import production as in_production
from tests.infrastructure.templates import ROOT, Stack, load, stack

CALLERS = {caller for caller, _ in EDGES}
CLOSES_A_CIRCLE = {("shipping", "orders"), ("payments", "orders")}
METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture(scope="module", params=MODES)
def design(request: pytest.FixtureRequest) -> Design:
    return made(request.param)


@pytest.fixture(scope="module")
def production() -> Design:
    return in_production()


@cache
def the_lambda_design() -> Stack:
    given = {name: value for name, value in deployed_with("dev").items() if name in load("template.yaml")["Parameters"]}
    return stack("template.yaml", **given | {"Architecture": "arm64"})


def body(shop: Stack) -> dict[str, Any]:
    [api] = shop.of_type("AWS::ApiGateway::RestApi").values()
    return dict(api["Body"])


def operations(shop: Stack) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in body(shop)["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


# Who calls whom


def test_the_call_graph_is_the_one_of_the_code() -> None:
    """A service's module is found by its name, and what it imports of ecs/ belongs to it."""
    found = set()
    for service in SERVICES:
        seen, waiting = set(), [service]
        while waiting:
            module = waiting.pop()
            path = ROOT / "ecs" / f"{module}.py"
            if module in seen or not path.exists():
                continue
            seen.add(module)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Name(id="Neighbour"), args=[ast.Constant(value=called)]):
                        found.add((service, called))
                    case ast.ImportFrom(module="ecs", names=names):
                        waiting += [name.name for name in names]
                    case ast.ImportFrom(module=str(name)) if name.startswith("ecs."):
                        waiting.append(name.removeprefix("ecs."))
    assert found == EDGES


def admitted(cluster: Stack) -> list[tuple[str, str, str, Any, Any]]:
    rules = [(rule["GroupId"], rule) for rule in cluster.of_type("AWS::EC2::SecurityGroupIngress").values()]
    for name, group in cluster.of_type("AWS::EC2::SecurityGroup").items():
        rules += [(f"${{{name}}}", rule) for rule in group.get("SecurityGroupIngress", [])]
    assert not [rule for _, rule in rules if {"CidrIp", "CidrIpv6", "SourcePrefixListId"} & rule.keys()]
    return [
        (rule["SourceSecurityGroupId"], to, rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for to, rule in rules
    ]


def test_one_rule_an_edge_lets_a_caller_in_and_the_load_balancer_reaches_all(design: Design) -> None:
    group = "${{{}SecurityGroup}}".format
    wanted = [(group(a.capitalize()), group(b.capitalize()), "tcp", 8080, 8080) for a, b in EDGES]
    wanted += [(group("LoadBalancer"), group(s.capitalize()), "tcp", 8080, 8080) for s in SERVICES]
    wanted += [(group("Link"), group("LoadBalancer"), "tcp", 80, 80)]
    assert sorted(admitted(design.cluster)) == sorted(wanted)


def test_nothing_goes_out_but_from_gateway_to_load_balancer_to_tasks_and_between_tasks(design: Design) -> None:
    out = set()
    for name, group in design.cluster.of_type("AWS::EC2::SecurityGroup").items():
        assert group["SecurityGroupEgress"], "an empty list is AWS's rule for everything"
        for rule in group["SecurityGroupEgress"]:
            if rule != {"IpProtocol": "-1", "CidrIp": "127.0.0.1/32"}:
                to = rule["DestinationSecurityGroupId"]
                out.add((f"${{{name}}}", to, rule["IpProtocol"], rule["FromPort"], rule["ToPort"]))
    for rule in design.cluster.of_type("AWS::EC2::SecurityGroupEgress").values():
        to = rule["DestinationSecurityGroupId"]
        out.add((rule["GroupId"], to, rule["IpProtocol"], rule["FromPort"], rule["ToPort"]))
    assert out == {
        ("${LinkSecurityGroup}", "${LoadBalancerSecurityGroup}", "tcp", 80, 80),
        ("${LoadBalancerSecurityGroup}", "${TaskSecurityGroup}", "tcp", 8080, 8080),
        ("${TaskSecurityGroup}", "${TaskSecurityGroup}", "tcp", 8080, 8080),
    }


def test_groups_are_of_the_vpc_and_are_told_apart_by_name(design: Design) -> None:
    groups = design.cluster.of_type("AWS::EC2::SecurityGroup").values()
    assert {group["VpcId"] for group in groups} == {"${VpcId}"}
    assert len({tag["Value"] for group in groups for tag in group["Tags"] if tag["Key"] == "Name"}) == len(groups)
    texts = [group["GroupDescription"] for group in groups]
    assert not [text for text in texts if not re.fullmatch(r"[\w .:/()#,@\[\]+=&;{}!$*-]{1,255}", text)]


def test_a_service_starts_after_those_that_it_calls_but_for_the_edges_that_close_a_circle(design: Design) -> None:
    for service in SERVICES:
        after = design.template.resources[design.logical_id(service)].get("DependsOn", [])
        called = {b for a, b in EDGES - CLOSES_A_CIRCLE if a == service}
        assert {name.lower() for name in after} == called


# Cluster and names


def test_the_cluster_connects_services_in_the_private_namespace_that_is_there(design: Design) -> None:
    [cluster] = design.cluster.of_type("AWS::ECS::Cluster").values()
    assert cluster["CapacityProviders"] == ["FARGATE", "FARGATE_SPOT"]
    assert cluster["DefaultCapacityProviderStrategy"] == [{"CapacityProvider": "FARGATE", "Weight": 1}]
    assert cluster["ServiceConnectDefaults"] == {"Namespace": "${Namespace.Arn}"}
    namespace = design.cluster.properties("Namespace")
    assert (namespace["Name"], namespace["Vpc"]) == ("shop.internal", "${VpcId}")
    assert namespace["Properties"] == {"DnsProperties": {"SOA": {"TTL": 5}}}
    assert cluster["ClusterName"] == "kumiki-dev"
    assert cluster["ClusterSettings"] == [{"Name": "containerInsights", "Value": "disabled"}]


def test_container_insights_are_what_was_asked_for_and_the_migrator_has_none(production: Design) -> None:
    asked_for = [{"Name": "containerInsights", "Value": "enhanced"}]
    assert production.cluster.properties("Cluster")["ClusterSettings"] == asked_for
    migrators = production.migrator.properties("Cluster")
    assert migrators["ClusterSettings"] == [{"Name": "containerInsights", "Value": "disabled"}]
    assert migrators["CapacityProviders"] == ["FARGATE"]


# Identities


def test_people_are_as_in_the_lambda_design(design: Design) -> None:
    theirs, ours = (shop.properties("Identity") for shop in (the_lambda_design(), design.template))
    assert ours["Parameters"] == theirs["Parameters"]
    assert ours["TemplateURL"].removeprefix("../") == theirs["TemplateURL"].removeprefix("./")


def test_customers_do_not_go_with_a_stack_and_a_first_deploy_that_fails_can_be_undone(
    design: Design, production: Design
) -> None:
    protected = [each.identity.properties("UserPool")["DeletionProtection"] for each in (design, production)]
    assert protected == ["INACTIVE", "ACTIVE"]


def test_each_service_that_calls_gets_tokens_for_those_that_it_calls_and_for_nobody_else(design: Design) -> None:
    server = design.cluster.properties("ResourceServer")
    assert server["UserPoolId"] == "${UserPool}"
    assert settings.scope("orders") == f"{server['Identifier']}/orders"
    assert sorted(scope["ScopeName"] for scope in server["Scopes"]) == sorted(SERVICES)
    clients = design.cluster.of_type("AWS::Cognito::UserPoolClient")
    assert clients.keys() == {f"{caller.capitalize()}Client" for caller in CALLERS}
    for caller in CALLERS:
        client = clients[f"{caller.capitalize()}Client"]
        assert client["UserPoolId"] == "${UserPool}"
        assert sorted(client["AllowedOAuthScopes"]) == sorted(f"shop.internal/{b}" for a, b in EDGES if a == caller)
        assert (client["AllowedOAuthFlows"], client["GenerateSecret"]) == (["client_credentials"], True)
        assert client["AllowedOAuthFlowsUserPoolClient"] is True
        assert client["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]
        assert client["ClientName"] == caller
        assert (client["AccessTokenValidity"], client["TokenValidityUnits"]) == (60, {"AccessToken": "minutes"})
        assert design.cluster.resources[f"{caller.capitalize()}Client"]["DependsOn"] == "ResourceServer"


def test_a_clients_secret_is_kept_in_secrets_manager_and_shown_nowhere(design: Design) -> None:
    secrets = design.cluster.of_type("AWS::SecretsManager::Secret")
    assert {name: secret["SecretString"] for name, secret in secrets.items()} == {
        f"{caller.capitalize()}ClientSecret": f"${{{caller.capitalize()}Client.ClientSecret}}" for caller in CALLERS
    }
    assert {secret["KmsKeyId"] for secret in secrets.values()} == {"${DataKeyArn}"}
    assert not [value for value in design.cluster.outputs.values() if ".ClientSecret" in str(value)]
    assert not [value for value in design.template.outputs.values() if "Secret" in str(value)]


def test_tokens_are_had_at_a_domain_that_no_other_account_has(design: Design) -> None:
    domain = design.cluster.properties("UserPoolDomain")
    assert domain == {"UserPoolId": "${UserPool}", "Domain": "kumiki-dev-123456789012"}
    assert not re.search("aws|amazon|cognito", domain["Domain"])


# Front door


def test_routes_are_those_of_the_lambda_design_and_open_to_the_same(design: Design) -> None:
    def who(shop: Stack) -> dict[tuple[str, str], Any]:
        return {route: operation["security"] for route, operation in operations(shop).items()}

    assert who(design.front_door) == who(the_lambda_design())
    assert len(who(design.front_door)) == 22


def test_what_the_gateway_answers_by_itself_is_as_in_the_lambda_design(design: Design) -> None:
    for part in ("x-amazon-apigateway-gateway-responses", "components"):
        theirs = json.dumps(body(the_lambda_design())[part]).replace("Identity.Outputs.UserPoolArn", "UserPool.Arn")
        assert body(design.front_door)[part] == json.loads(theirs)


def test_a_request_is_proxied_as_it_is_through_the_link_to_the_load_balancer(design: Design) -> None:
    for (method, path), operation in operations(design.front_door).items():
        integration = dict(operation["x-amazon-apigateway-integration"])
        names = re.findall(r"{(\w+)}", path)
        identifiers = {f"integration.request.path.{name}": f"method.request.path.{name}" for name in names}
        number = {"integration.request.header.X-Request-Id": "context.requestId"}  # whatever the caller says it is
        assert integration.pop("requestParameters") == number | identifiers
        assert operation.get("parameters", []) == [  # of the method itself, or mapping it might be refused
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
        assert integration == {
            "type": "http_proxy",  # with all headers, Authorization too
            "httpMethod": method,
            "uri": f"http://${{LoadBalancer.DNSName}}{path}",
            "connectionType": "VPC_LINK",
            "connectionId": "${Link}",
            "integrationTarget": "${LoadBalancer}",
            "timeoutInMillis": 26000,
        }


def test_time_outs_nest(design: Design) -> None:
    integrations = [o["x-amazon-apigateway-integration"] for o in operations(design.front_door).values()]
    [gateway] = {integration["timeoutInMillis"] for integration in integrations}
    [idle] = [
        int(attribute["Value"])
        for attribute in design.cluster.properties("LoadBalancer")["LoadBalancerAttributes"]
        if attribute["Key"] == "idle_timeout.timeout_seconds"
    ]
    nested = [wsgi.INTERNAL_MILLIS, wsgi.FRONT_MILLIS, gateway, 29_000]
    assert all(inner < outer for inner, outer in pairwise(nested))
    assert gateway < idle * 1000


def test_the_link_and_the_load_balancer_are_in_the_protected_subnets_and_not_public(design: Design) -> None:
    [link] = design.front_door.of_type("AWS::ApiGatewayV2::VpcLink").values()
    assert link["SubnetIds"] == ["${ProtectedSubnetIds}"]
    assert link["SecurityGroupIds"] == ["${LinkSecurityGroup}"]
    balancer = design.cluster.properties("LoadBalancer")
    assert (balancer["Scheme"], balancer["Type"]) == ("internal", "application")
    assert balancer["Subnets"] == ["${ProtectedSubnetIds}"]
    assert balancer["SecurityGroups"] == ["${LoadBalancerSecurityGroup}"]


def attributes(cluster: Stack) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in cluster.properties("LoadBalancer")["LoadBalancerAttributes"]}


def test_the_load_balancer_takes_no_header_or_request_that_two_might_read_differently(design: Design) -> None:
    assert attributes(design.cluster)["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert attributes(design.cluster)["routing.http.desync_mitigation_mode"] == "defensive"


def test_the_load_balancer_of_production_is_not_deleted_by_mistake(design: Design, production: Design) -> None:
    assert attributes(design.cluster)["deletion_protection.enabled"] == "false"
    assert attributes(production.cluster)["deletion_protection.enabled"] == "true"


def test_who_asked_the_load_balancer_for_what_is_written_where_a_bucket_was_named(
    design: Design, production: Design
) -> None:
    assert attributes(design.cluster)["access_logs.s3.enabled"] == "false"
    assert not {"access_logs.s3.bucket", "access_logs.s3.prefix"} & attributes(design.cluster).keys()
    found = attributes(production.cluster).items()
    logs = {key.removeprefix("access_logs.s3."): value for key, value in found if "access_logs" in key}
    assert logs == {"enabled": "true", "bucket": "joiners-logs", "prefix": "kumiki-prod"}


def test_what_no_service_has_a_rule_for_is_not_found(design: Design) -> None:
    [listener] = design.cluster.of_type("AWS::ElasticLoadBalancingV2::Listener").values()
    assert (listener["Port"], listener["Protocol"], listener["LoadBalancerArn"]) == (80, "HTTP", "${LoadBalancer}")
    [action] = listener["DefaultActions"]
    assert action["Type"] == "fixed-response"
    answer = action["FixedResponseConfig"]
    assert (answer["StatusCode"], answer["ContentType"]) == ("404", "application/json")
    assert json.loads(answer["MessageBody"])["status"] == 404
    for service in SERVICES:
        assert design.services[service].properties("ListenerRule")["ListenerArn"] == LISTENER


def test_the_api_has_one_stage_and_no_other_leads_past_it(design: Design) -> None:
    [api_stage] = design.front_door.of_type("AWS::ApiGateway::Stage").values()
    assert api_stage["StageName"] == "dev"
    [api] = design.front_door.of_type("AWS::ApiGateway::RestApi").values()
    assert (api["Name"], api["EndpointConfiguration"]) == ("kumiki-ecs-dev", {"Types": ["REGIONAL"]})
    assert not [d for d in design.front_door.of_type("AWS::ApiGateway::Deployment").values() if "StageName" in d]


# The whole


def test_what_is_nested_is_what_services_share_and_each_service_once(design: Design) -> None:
    nested = design.template.of_type("AWS::CloudFormation::Stack")
    assert design.template.resources.keys() == nested.keys()
    assert nested.pop("Monitoring")["TemplateURL"] == "../infra/monitoring.yaml"
    assert {name: stack["TemplateURL"] for name, stack in nested.items()} == SHARED | dict.fromkeys(
        map(str.capitalize, SERVICES), "service.yaml"
    )
    assert {given["Service"].capitalize(): given["DiscoveryMode"] for given in design.parameters.values()} == (
        dict.fromkeys(map(str.capitalize, SERVICES), design.mode)
    )


def test_whatever_is_referred_to_is_there(design: Design) -> None:
    shared = design.identity.resources.keys() | design.cluster.resources.keys()
    checked = {"cluster": design.cluster, "front_door": design.front_door, "service": design.services["orders"]}
    for name, made_there in checked.items():
        known = made_there.resources.keys() | templates()[name]["Parameters"].keys() | shared
        known |= templates()["template"]["Parameters"].keys() | {"AWS::URLSuffix"}
        text = json.dumps([made_there.resources, made_there.outputs])
        assert set(re.findall(r"\$\{([\w:]+)", text)) <= known


def test_what_users_need_to_know_is_told(design: Design) -> None:
    assert design.template.outputs == {
        "ApiUrl": "${FrontDoor.Outputs.ApiUrl}",
        "UserPoolId": "${Identity.Outputs.UserPoolId}",
        "UserPoolClientId": "${Identity.Outputs.UserPoolClientId}",
    }
    assert design.front_door.outputs["ApiUrl"] == "https://${Api}.execute-api.ap-northeast-1.${AWS::URLSuffix}/dev"


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_what_is_taken_from_parameter_store_is_published_there_by_the_stacks_below(environment: str) -> None:
    below = [stack(f"infra/{name}.yaml", Environment=environment) for name in ("network", "database")]
    below.append(stack("infra/bootstrap.yaml", AlertEmail="ops@example.com"))
    published = {p["Name"] for shop in below for p in shop.of_type("AWS::SSM::Parameter").values()}
    keys = {"template": environment, "migrator": f"{environment}-migrator", "repository": f"{environment}-repository"}
    for template, declaring in templates().items():
        declared = declaring["Parameters"]
        taken = {name for name, parameter in declared.items() if parameter["Type"].startswith("AWS::SSM::")}
        given = deployed_with(keys[template]) if template in keys else {}
        assert taken or template == "repository"
        assert {given.get(name, declared[name].get("Default")) for name in taken} <= published
        if template not in keys:
            continue
        required = {name for name, parameter in declared.items() if "Default" not in parameter} - {"Image"}
        assert required <= given.keys() <= declared.keys()
    assert {each["Type"] for t in templates().values() for each in t["Parameters"].values()} <= KINDS


KINDS = {"String", "Number", "CommaDelimitedList", "AWS::EC2::VPC::Id"} | {
    f"AWS::SSM::Parameter::Value<{kind}>" for kind in ("String", "CommaDelimitedList", "AWS::EC2::VPC::Id")
}
"""`List<AWS::EC2::Subnet::Id>` refuses to be empty."""


@pytest.mark.parametrize(
    ("template", "name", "good", "bad"),
    [
        ("template", "Image", f"repository@sha256:{64 * 'a'}", "repository:latest repository @sha256:1"),
        ("migrator", "Image", f"repository@sha256:{64 * 'a'}", "repository:latest repository @sha256:1"),
        ("template", "MailSender", "shop@example.com", "shop Shop<shop@example.com> shop@"),
        ("template", "AccessLogBucket", "joiners-logs a.b.c", "a- -a Logs s3://logs arn:aws:s3:::logs"),
        ("service", "Service", "orders", "Orders order-s"),
    ],
)
def test_a_parameter_takes_what_it_should_and_says_what_that_is(template: str, name: str, good: str, bad: str) -> None:
    pattern = templates()[template]["Parameters"][name]["AllowedPattern"]
    assert all(re.fullmatch(pattern, value) for value in good.split())
    assert not any(re.fullmatch(pattern, value) for value in bad.split())


def test_whoever_deploys_is_told_what_a_parameter_wants() -> None:
    """What is nested is given what has been looked at before."""
    for name in ("template", "migrator", "repository"):
        for parameter, declared in templates()[name]["Parameters"].items():
            constrained = {"AllowedPattern", "MinValue", "MaxValue"} & declared.keys()
            assert constrained or "AllowedValues" in declared or declared["Type"].startswith("AWS::SSM::"), parameter
            assert not constrained or declared["ConstraintDescription"]


def test_every_stack_is_tagged_with_whose_it_is_and_of_which_environment() -> None:
    configured = tomllib.loads((ROOT / "ecs/samconfig.toml").read_text(encoding="utf-8"))
    tags = {key: table["deploy"]["parameters"]["tags"] for key, table in configured.items() if key != "version"}
    assert len(tags) == 6
    assert tags == {key: f"project=kumiki environment={key.split('-')[0]}" for key in tags}


# What is written


def test_templates_are_short_enough_to_be_read() -> None:
    most = {"template": 270, "cluster": 300, "front_door": 200, "service": 270, "migrator": 110, "repository": 40}
    for name, lines in most.items():
        assert len((ROOT / f"ecs/{name}.yaml").read_text(encoding="utf-8").splitlines()) <= lines


def test_every_template_is_linted() -> None:
    assert {ROOT / f"ecs/{name}.yaml" for name in templates()} <= set(parts.STACKS)


def test_no_template_has_aliases_but_the_one_that_sam_cli_writes_out() -> None:
    for name in templates().keys() - {"front_door"}:
        text = (ROOT / f"ecs/{name}.yaml").read_text(encoding="utf-8")
        assert not re.search(r"(: |- )[&*][A-Za-z]|<<:", text)
