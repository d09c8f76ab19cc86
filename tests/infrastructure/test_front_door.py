"""What the API of either design promises: what it writes down, how much it lets in, and what pages may read."""

import json
import re
import subprocess
from typing import Any

import pytest

from common.http import EXPOSED, RETRY_AFTER
from ecs.runtime.wsgi import _request_id
from localcloud.home import REPOSITORY, virtual_environment
from tests.infrastructure.ecs_design import SERVICES, design
from tests.infrastructure.templates import Stack, load, stack
from tests.infrastructure.test_firewall import DESIGNS, door
from tests.infrastructure.test_template import parameters_of

ORIGIN = "https://shop.example.com"
PROBLEMS = {
    "UNAUTHORIZED": 401,
    "ACCESS_DENIED": 403,
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "INVALID_SIGNATURE": 403,
    "WAF_FILTERED": 403,
    "REQUEST_TOO_LARGE": 413,
    "THROTTLED": 429,
    "DEFAULT_4XX": 400,
    "DEFAULT_5XX": 500,
    "INTEGRATION_TIMEOUT": 504,
}


def stage(name: str, environment: str = "prod", **others: str) -> dict[str, Any]:
    [made] = door(name, environment, **others).of_type("AWS::ApiGateway::Stage").values()
    return dict(made)


def body(name: str, environment: str = "prod", **others: str) -> dict[str, Any]:
    return dict(door(name, environment, **others).properties("Api")["Body"])


def functions(shop: Stack) -> list[dict[str, Any]]:
    return list(shop.of_type("AWS::Lambda::Function").values())


# What is written down


@pytest.mark.parametrize("name", DESIGNS)
def test_each_request_is_a_line_of_json_that_leads_to_its_story_and_holds_neither_bodies_nor_tokens(name: str) -> None:
    line = json.loads(stage(name)["AccessLogSetting"]["Format"])
    assert line == {
        "user_agent": "$context.identity.userAgent",
        "integration_error": "$context.integration.error",
        "request_id": "$context.requestId",
        "correlation_id": "$context.requestId",
        "trace_id": "$context.xrayTraceId",
        "sub": "$context.authorizer.claims.sub",
        "method": "$context.httpMethod",
        "route": "$context.resourcePath",
        "status": "$context.status",
        "latency_ms": "$context.responseLatency",
        "bytes": "$context.responseLength",
        "integration_status": "$context.integration.integrationStatus",
        "integration_latency_ms": "$context.integration.latency",
        "error": "$context.error.responseType",
        "firewall": "$context.wafResponseCode",
    }


@pytest.mark.parametrize("name", DESIGNS)
def test_what_a_caller_writes_into_the_line_cannot_stand_in_the_place_of_what_aws_writes(name: str) -> None:
    """Of two equal names in an object readers take the last one."""
    text = stage(name)["AccessLogSetting"]["Format"]
    assert "\n" not in text
    assert text.startswith('{"user_agent": ')
    forged = text.replace("$context.identity.userAgent", '", "sub": "somebody-else", "user_agent": "')
    assert json.loads(forged)["sub"] == "$context.authorizer.claims.sub"


def test_the_number_in_the_log_is_the_one_that_stories_begin_with_in_both_designs() -> None:
    number = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    assert _request_id({"HTTP_X_REQUEST_ID": number}) == number
    for methods in body("containers")["paths"].values():
        for method, operation in methods.items():
            if method != "options":
                mapped = operation["x-amazon-apigateway-integration"]["requestParameters"]
                assert mapped["integration.request.header.X-Request-Id"] == "context.requestId"


@pytest.mark.parametrize(
    ("name", "group"), [("functions", "/kumiki/prod/access"), ("containers", "/kumiki/prod/ecs/access")]
)
def test_the_log_is_declared_encrypted_and_kept_for_a_time(name: str, group: str) -> None:
    made = door(name, "prod", LogRetentionDays="180").properties("AccessLogs")
    assert made == {"LogGroupName": group, "KmsKeyId": "${LogsKeyArn}", "RetentionInDays": "180"}
    assert stage(name)["AccessLogSetting"]["DestinationArn"] == "${AccessLogs.Arn}"
    template = "template.yaml" if name == "functions" else "ecs/front_door.yaml"
    assert load(template)["Parameters"]["LogsKeyArn"]["Default"] == "/kumiki/account/logs-key-arn"


@pytest.mark.parametrize("name", DESIGNS)
def test_requests_are_traced_and_errors_logged_and_each_method_counted_and_no_body_ever_shown(name: str) -> None:
    assert stage(name)["TracingEnabled"] is True
    for setting in stage(name)["MethodSettings"]:
        seen = (setting["MetricsEnabled"], setting["LoggingLevel"], setting["DataTraceEnabled"])
        assert seen == (True, "ERROR", False)


# How much comes in


@pytest.mark.parametrize("name", DESIGNS)
def test_all_routes_have_a_limit_and_placing_orders_a_lower_one(name: str) -> None:
    limits = {
        (setting["HttpMethod"], setting["ResourcePath"]): (
            int(setting["ThrottlingRateLimit"]),
            int(setting["ThrottlingBurstLimit"]),
        )
        for setting in stage(name, RequestsPerSecond="70", OrdersPerSecond="7")["MethodSettings"]
    }
    assert limits == {("*", "/*"): (70, 70), ("POST", "/~1orders"): (7, 7)}
    assert "/orders" in body(name)["paths"]


def test_limits_are_the_same_in_both_designs_and_out_of_the_way_locally() -> None:
    given = [load(template)["Parameters"] for template in ("template.yaml", "ecs/template.yaml")]
    for name in ("RequestsPerSecond", "OrdersPerSecond", "RequestsPerAddress"):
        assert given[0][name] == given[1][name]
    assert given[0]["OrdersPerSecond"]["Default"] < given[0]["RequestsPerSecond"]["Default"]
    local = parameters_of("local")
    assert int(local["RequestsPerSecond"]) >= 10_000 <= int(local["OrdersPerSecond"])  # as much as AWS itself allows


# What pages may read


@pytest.mark.parametrize("name", DESIGNS)
def test_a_preflight_asks_nobody_for_a_token_and_names_the_origin_and_what_may_be_sent(name: str) -> None:
    for path, methods in body(name, AllowedOrigin=ORIGIN)["paths"].items():
        preflight = methods["options"]
        assert "security" not in preflight, path
        integration = preflight["x-amazon-apigateway-integration"]
        answered = integration["responses"]["default"]["responseParameters"]
        allowed = {key.removeprefix("method.response.header.Access-Control-"): value for key, value in answered.items()}
        assert integration["type"] == "mock"
        assert allowed.pop("Allow-Methods").strip("'").split(",") == sorted(method.upper() for method in methods)
        assert allowed == {
            "Allow-Origin": f"'{ORIGIN}'",
            "Allow-Headers": "'Authorization,Content-Type,Idempotency-Key'",
            "Max-Age": "'600'",
        }


@pytest.mark.parametrize("name", DESIGNS)
def test_without_an_origin_no_page_may_read_anything(name: str) -> None:
    for methods in body(name)["paths"].values():
        assert "Allow-Origin" not in json.dumps(methods["options"]["x-amazon-apigateway-integration"])
    assert "Access-Control" not in json.dumps(body(name)["x-amazon-apigateway-gateway-responses"])


@pytest.mark.parametrize("name", DESIGNS)
def test_what_api_gateway_answers_by_itself_is_a_problem_and_pages_may_read_it(name: str) -> None:
    responses = body(name, AllowedOrigin=ORIGIN)["x-amazon-apigateway-gateway-responses"]
    assert {kind: int(response["statusCode"]) for kind, response in responses.items()} == PROBLEMS
    for response in responses.values():
        assert response["responseParameters"] == {
            "gatewayresponse.header.Content-Type": "'application/problem+json'",
            "gatewayresponse.header.Access-Control-Allow-Origin": f"'{ORIGIN}'",
        }
        [template] = response["responseTemplates"].values()
        problem = json.loads(template.replace("$context.error.messageString", '"why"'))
        assert problem.keys() == {"type", "title", "status", "detail", "request_id"}
        assert (problem["status"], problem["request_id"]) == (int(response["statusCode"]), "$context.requestId")
        assert response["responseTemplates"].keys() == {"application/json"}


def test_functions_and_tasks_are_told_the_origin_which_nobody_has_by_default() -> None:
    shop = stack("template.yaml", **parameters_of("prod"), AllowedOrigin=ORIGIN)
    assert {each["Environment"]["Variables"]["ALLOWED_ORIGIN"] for each in functions(shop)} == {ORIGIN}
    tasks = design("CLOUD_MAP", AllowedOrigin=ORIGIN)
    assert {tasks.environment(service)["ALLOWED_ORIGIN"] for service in SERVICES} == {ORIGIN}
    assert not [s for s in SERVICES if "ALLOWED_ORIGIN" in design("CLOUD_MAP").environment(s)]
    by_default = functions(stack("template.yaml", **parameters_of("prod")))
    assert {each["Environment"]["Variables"]["ALLOWED_ORIGIN"] for each in by_default} == {""}
    assert RETRY_AFTER.keys() < set(EXPOSED.split(","))


# One template for two ways of writing


@pytest.mark.parametrize("template", ["template.yaml", "ecs/front_door.yaml"])
def test_sam_cli_writes_out_the_aliases_that_cloudformation_would_refuse(template: str) -> None:
    program = "import sys; from samcli.yamlhelper import *; print(yaml_dump(yaml_parse(sys.stdin.read())))"
    packaged = subprocess.run(
        [virtual_environment("sam") / "bin" / "python", "-c", program],
        input=(REPOSITORY / template).read_text(encoding="utf-8"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    written = re.compile(r"(?:: |- )[&*][A-Za-z]|<<:")
    assert written.search((REPOSITORY / template).read_text(encoding="utf-8"))
    assert not written.search(packaged)


@pytest.mark.parametrize("name", DESIGNS)
def test_the_api_is_a_regional_one_of_its_design(name: str) -> None:
    made: Stack = door(name, "prod")
    api = made.properties("Api")
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert api["Name"] == {"functions": "kumiki-prod", "containers": "kumiki-ecs-prod"}[name]
    assert stage(name)["StageName"] == "prod"
    assert body(name)["info"].keys() >= {"title", "version"}, "which OpenAPI asks for"
