"""What template.yaml promises once SAM has transformed it, with the parameters of each environment of samconfig."""

import re
from typing import Any

import pytest

from tests.infrastructure.lambda_design import FUNCTIONS, SERVICES, Shop, listed, logical_id, parameters_of
from tests.infrastructure.templates import ROOT, load, stack

ROUTES = {
    ("GET", "/products", "CatalogApi", "anyone"),
    ("POST", "/products", "CatalogApi", "signed in"),
    ("GET", "/products/{product_id}", "CatalogApi", "anyone"),
    ("PATCH", "/products/{product_id}", "CatalogApi", "signed in"),
    ("DELETE", "/products/{product_id}", "CatalogApi", "signed in"),
    ("GET", "/stock/{product_id}", "InventoryApi", "anyone"),
    ("PUT", "/stock/{product_id}", "InventoryApi", "signed in"),
    ("GET", "/orders", "OrdersApi", "signed in"),
    ("POST", "/orders", "OrdersApi", "signed in"),
    ("GET", "/orders/{order_id}", "OrdersApi", "signed in"),
    ("POST", "/orders/{order_id}/cancel", "OrdersApi", "signed in"),
    ("GET", "/payments/{order_id}", "PaymentsApi", "signed in"),
    ("POST", "/payments/{order_id}/refund", "PaymentsApi", "signed in"),
    ("GET", "/shipments/{order_id}", "ShippingApi", "signed in"),
    ("POST", "/shipments/{order_id}/dispatch", "ShippingApi", "signed in"),
    ("POST", "/shipments/{order_id}/deliver", "ShippingApi", "signed in"),
    ("GET", "/health/catalog", "CatalogApi", "anyone"),
    ("GET", "/health/orders", "OrdersApi", "anyone"),
    ("GET", "/health/inventory", "InventoryApi", "anyone"),
    ("GET", "/health/payments", "PaymentsApi", "anyone"),
    ("GET", "/health/shipping", "ShippingApi", "anyone"),
    ("GET", "/health/notifications", "NotificationsApi", "anyone"),
}
HTTP_METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "x-amazon-apigateway-any-method"}


# Functions and the network


def test_each_service_has_an_api_and_a_consumer_and_there_is_one_migrator(shop: Shop) -> None:
    assert shop.functions.keys() == FUNCTIONS.keys() | {"Migrator"}


def test_every_function_runs_in_the_protected_subnets(shop: Shop) -> None:
    assert {f["VpcConfig"]["SubnetIds"] for f in shop.functions.values()} == {"${ProtectedSubnetIds}"}


def test_services_wear_the_clients_security_group_and_the_migrator_its_own(shop: Shop) -> None:
    worn = {name: ",".join(f["VpcConfig"]["SecurityGroupIds"]) for name, f in shop.functions.items()}
    assert worn == dict.fromkeys(FUNCTIONS, "${ClientSecurityGroupId}") | {"Migrator": "${MigratorSecurityGroupId}"}


def test_services_connect_through_the_proxy_and_the_migrator_straight_to_the_database(shop: Shop) -> None:
    hosts = {name: f["Environment"]["Variables"]["DATABASE_HOST"] for name, f in shop.functions.items()}
    assert hosts == dict.fromkeys(FUNCTIONS, "${DatabaseProxyEndpoint}") | {"Migrator": "${DatabaseEndpoint}"}


def test_every_function_knows_the_service_that_it_is_of(shop: Shop) -> None:
    known = {name: shop.functions[name]["Environment"]["Variables"]["SERVICE"] for name in FUNCTIONS}
    assert known == {name: SERVICES[service] for name, service in FUNCTIONS.items()}


def test_handlers_are_found_by_guessing(shop: Shop) -> None:
    modules = {"Api": "api", "Consumer": "consumer"}
    guessed = {s + kind: f"{name}.{module}.handler" for s, name in SERVICES.items() for kind, module in modules.items()}
    assert {name: f["Handler"] for name, f in shop.functions.items()} == guessed | {
        "Migrator": "common.migrator.handler"
    }


# Front door


def operations(shop: Shop) -> dict[tuple[str, str], dict[str, Any]]:
    [api] = shop.of_type("AWS::ApiGateway::RestApi").values()
    return {
        (method.upper(), path): operation
        for path, methods in api["Body"]["paths"].items()
        for method, operation in methods.items()
        if method in HTTP_METHODS and operation["x-amazon-apigateway-integration"]["type"] != "mock"
    }


def test_the_routes_are_those_of_the_design_and_each_is_open_to_whom_it_says(shop: Shop) -> None:
    found = set()
    for (method, path), operation in operations(shop).items():
        [function] = re.findall(
            r"functions/(\$\{.+?\})/invocations", operation["x-amazon-apigateway-integration"]["uri"]
        )
        [[authorizer]] = operation["security"]
        who = {"NONE": "anyone", "Cognito": "signed in"}[authorizer]
        found.add((method, path, logical_id(function), who))
    assert found == ROUTES


def test_signed_in_means_a_token_of_the_user_pool_in_the_authorization_header(shop: Shop) -> None:
    [api] = shop.of_type("AWS::ApiGateway::RestApi").values()
    openapi_2, openapi_3 = api["Body"].get("securityDefinitions"), api["Body"].get("components", {})
    [(name, scheme)] = (openapi_2 or openapi_3["securitySchemes"]).items()
    assert (name, scheme["in"], scheme["name"]) == ("Cognito", "header", "Authorization")
    assert scheme["x-amazon-apigateway-authorizer"]["type"] == "cognito_user_pools"
    assert scheme["x-amazon-apigateway-authorizer"]["providerARNs"] == ["${Identity.Outputs.UserPoolArn}"]


def test_the_api_has_one_stage_and_no_other_leads_past_it(shop: Shop) -> None:
    assert len(shop.of_type("AWS::ApiGateway::Stage")) == 1
    assert not [d for d in shop.of_type("AWS::ApiGateway::Deployment").values() if "StageName" in d]


def test_functions_are_invoked_by_this_api_alone(shop: Shop) -> None:
    for permission in shop.of_type("AWS::Lambda::Permission").values():
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert permission["SourceArn"].startswith("arn:aws:execute-api:ap-northeast-1:123456789012:${Api}/")


# Migrations


def test_no_function_serves_before_the_migrations_of_this_deploy_have_run(shop: Shop) -> None:
    [(name, migrations)] = [(n, r) for n, r in shop.resources.items() if r["Type"].startswith("Custom::")]
    assert logical_id(migrations["Properties"]["ServiceToken"]) == "Migrator"
    versions = [v for v in migrations["Properties"].values() if str(v).startswith("${MigratorVersion")]
    assert len(versions) == 1
    for function in FUNCTIONS:
        assert name in listed(shop.resources[function]["DependsOn"])


def test_migrations_run_again_with_other_sql_of_a_service_and_with_another_layer(shop: Shop) -> None:
    [properties] = [r["Properties"] for r in shop.resources.values() if r["Type"].startswith("Custom::")]
    [layer] = shop.of_type("AWS::Lambda::LayerVersion")  # SAM names it by a hash of its content
    assert layer != "CommonLayer"
    assert properties["Layer"] == f"${{{layer}}}"
    assert properties["Version"].startswith("${MigratorVersion")


# Parameters


def test_on_aws_the_database_is_entered_by_iam_alone(environment: str, shop: Shop) -> None:
    local_only = {"DatabasePassword", "DatabaseCaFile"}
    assert not local_only & parameters_of(environment).keys()
    for function in shop.functions.values():
        assert not function["Environment"]["Variables"].get("DATABASE_PASSWORD")


def test_what_is_taken_from_parameter_store_is_published_there_by_the_stacks_below(environment: str) -> None:
    below = [stack(f"infra/{name}.yaml", Environment=environment) for name in ("network", "database")]
    below.append(stack("infra/bootstrap.yaml", AlertEmail="ops@example.com"))
    published = {p["Name"] for made in below for p in made.of_type("AWS::SSM::Parameter").values()}
    declared = load("template.yaml")["Parameters"]
    taken = {name for name, parameter in declared.items() if parameter["Type"].startswith("AWS::SSM::")}
    assert taken
    given = parameters_of(environment)
    assert {given.get(name, declared[name].get("Default")) for name in taken} <= published


def test_the_password_is_never_shown() -> None:
    assert load("template.yaml")["Parameters"]["DatabasePassword"]["NoEcho"] is True


def test_the_template_is_short_enough_to_be_read() -> None:
    assert len((ROOT / "template.yaml").read_text(encoding="utf-8").splitlines()) <= 700


@pytest.mark.parametrize("name", ["template", "infra/subscription", "infra/bus"])
def test_a_parameter_that_is_refused_says_what_it_takes(name: str) -> None:
    for parameter, definition in load(f"{name}.yaml")["Parameters"].items():
        limits = {"AllowedPattern", "MinValue", "MaxValue"} & definition.keys()
        assert not limits or len(definition["ConstraintDescription"]) > 10, parameter
        if definition["Type"] == "Number" and name == "template":
            assert {"AllowedValues", "MinValue"} & definition.keys(), parameter


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("Environment", "local dev prod staging-2", "p Prod 2nd x_y a234567890123456z"),
        ("PythonRuntime", "python3.11 python3.13", "python3 python3.9 python2.7 nodejs22.x"),
        ("MailSender", "shop@example.com a.b+c@mail.example.co.jp", "shop shop@example a@b@c.d <shop@example.com>"),
    ],
)
def test_a_parameter_takes_what_it_should(name: str, good: str, bad: str) -> None:
    pattern = load("template.yaml")["Parameters"][name]["AllowedPattern"]
    assert all(re.fullmatch(pattern, value) for value in good.split())
    assert not any(re.fullmatch(pattern, value) for value in bad.split())


def test_libraries_never_say_in_the_log_what_they_send() -> None:
    assert load("template.yaml")["Parameters"]["LogLevel"]["AllowedValues"] == ["INFO", "WARNING", "ERROR"]
