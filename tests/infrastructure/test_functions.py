"""How functions run: what they have, how long they may take, who calls them when, and where they write."""

import re
from functools import cache

from common import consumer, database, outbox
from common.connection import TO_ANSWER_SECONDS
from tests.infrastructure.lambda_design import APIS, CONSUMERS, FUNCTIONS, SERVICES, Shop, logical_id, parameters_of
from tests.infrastructure.templates import ROOT, load, render, stack

GATEWAY_SECONDS = 29  # after which API Gateway answers by itself
LOCK_WAIT_SECONDS = 5


def services_of(shop: Shop) -> dict[str, str]:
    """Of each function, by its logical id, the service that it counts as."""
    return {name: SERVICES[service] for name, service in FUNCTIONS.items()} | {"Migrator": "migrator"}


# Time and memory


def test_all_run_on_the_same_processor_and_python_with_the_same_memory(shop: Shop) -> None:
    for function in shop.functions.values():
        assert (function["Architectures"], function["Runtime"]) == (["arm64"], "python3.13")
        assert function["MemorySize"] == 512
        assert [layer.startswith("${CommonLayer") for layer in function["Layers"]] == [True]


def test_a_request_is_answered_before_the_gateway_gives_up_and_has_time_to_wait_for_others(shop: Shop) -> None:
    for name in APIS:
        timeout = shop.functions[name]["Timeout"]
        assert timeout < GATEWAY_SECONDS
        # It gives up waiting early enough to say so; an idempotent repeat and a locked row have had their time by then.
        assert timeout >= database.RETRY_SECONDS + LOCK_WAIT_SECONDS + TO_ANSWER_SECONDS


def test_waiting_for_a_connection_ends_before_waiting_for_an_answer_and_that_before_the_function(shop: Shop) -> None:
    pool = stack("infra/database.yaml", Environment="prod").properties("ProxyTargets")
    borrow = int(pool["ConnectionPoolConfigurationInfo"]["ConnectionBorrowTimeout"])
    [answer] = re.findall(r"read_timeout: int = (\d+)", (ROOT / "layers/common/connection.py").read_text())
    assert borrow < int(answer) < min(shop.functions[name]["Timeout"] for name in FUNCTIONS) - TO_ANSWER_SECONDS


def test_a_consumer_begins_a_message_only_with_time_enough_and_has_it_for_most_of_its_run(shop: Shop) -> None:
    for name in CONSUMERS:
        assert shop.functions[name]["Timeout"] > consumer.ENOUGH_MILLIS / 1000
        assert shop.functions[name]["Timeout"] > outbox.SWEEP_SECONDS + consumer.PURGE_SECONDS + TO_ANSWER_SECONDS


def test_migrations_have_as_long_as_lambda_gives_and_cloudformation_waits_for_that(shop: Shop) -> None:
    assert shop.functions["Migrator"]["Timeout"] == 900
    assert shop.properties("Migrations")["ServiceTimeout"] == 900


# What is seen of them


def test_lambda_traces_by_itself_and_no_sdk_is_imported_for_it(shop: Shop) -> None:
    assert {f["TracingConfig"]["Mode"] for f in shop.functions.values()} == {"Active"}
    requirements = [*ROOT.glob("services/*/requirements.txt"), ROOT / "layers/common/requirements.txt"]
    assert not [path for path in requirements if "xray" in path.read_text()]


def test_functions_of_a_service_write_into_its_own_log_group(shop: Shop) -> None:
    groups = shop.of_type("AWS::Logs::LogGroup")
    names = {f"/kumiki/{shop.environment}/{service}" for service in [*SERVICES.values(), "migrator"]}
    assert names <= {group["LogGroupName"] for group in groups.values()}
    for name, service in services_of(shop).items():
        group = groups[shop.functions[name]["LoggingConfig"]["LogGroup"][2:-1]]
        assert group["LogGroupName"] == f"/kumiki/{shop.environment}/{service}"


def test_logs_are_encrypted_and_kept_for_as_long_as_asked(shop: Shop) -> None:
    days = {"local": "30", "dev": "14", "prod": "90"}[shop.environment]
    for group in shop.of_type("AWS::Logs::LogGroup").values():
        assert (group["KmsKeyId"], group["RetentionInDays"]) == ("${LogsKeyArn}", days)


def test_what_lambda_says_is_json_too_and_no_level_keeps_a_metric_back(shop: Shop) -> None:
    for function in shop.functions.values():
        logging = function["LoggingConfig"]
        assert (logging["LogFormat"], logging["ApplicationLogLevel"]) == ("JSON", "INFO")
        assert "SystemLogLevel" not in logging  # INFO, which has a report of each invocation
        assert function["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == "INFO"


def test_metrics_are_an_environments_and_a_services_own(shop: Shop) -> None:
    for name, service in services_of(shop).items():
        variables = shop.variables(name)
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == f"Kumiki/{shop.environment}"
        assert name == "Migrator" or variables["POWERTOOLS_SERVICE_NAME"] == variables["SERVICE"] == service


def test_functions_have_the_variables_that_they_need_and_no_others(shop: Shop) -> None:
    common = {
        "DATABASE_PORT": "${DatabasePort}",
        "DATABASE_PASSWORD": "",
        "DATABASE_CA_FILE": "",
        "EVENT_BUS": "${Bus.Outputs.Name}",
        "ALLOWED_ORIGIN": parameters_of(shop.environment).get("AllowedOrigin", ""),
        "POWERTOOLS_METRICS_NAMESPACE": f"Kumiki/{shop.environment}",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }
    own = {"SERVICE", "POWERTOOLS_SERVICE_NAME", "DATABASE_HOST"}
    more = {
        "OrdersApi": {"ORDER_DEADLINE_SECONDS": {"local": "60"}.get(shop.environment, "900")},
        "NotificationsConsumer": {"MAIL_SENDER": "Kumiki <shop@example.com>"},
        "Migrator": {"ADMIN_SECRET_ARN": "${DatabaseAdminSecretArn}"},
    }
    for name in shop.functions:
        assert {k: v for k, v in shop.variables(name).items() if k not in own} == common | more.get(name, {})


def test_a_function_is_the_code_of_its_service_and_the_one_layer_which_bears_the_environments_name(shop: Shop) -> None:
    [(layer, properties)] = shop.of_type("AWS::Lambda::LayerVersion").items()
    assert properties["LayerName"] == f"kumiki-{shop.environment}-common"
    assert properties["Content"]["S3Key"] == "layers/common"
    for name, service in services_of(shop).items():
        folder = "services/" if name == "Migrator" else f"services/{service}/"
        assert shop.functions[name]["Code"]["S3Key"] == folder
        assert shop.functions[name]["Layers"] == [f"${{{layer}}}"]


# Who calls them


def test_every_consumer_sweeps_once_a_minute(shop: Shop) -> None:
    schedules = shop.of_type("AWS::Scheduler::Schedule").values()
    assert sorted(logical_id(s["Target"]["Arn"]) for s in schedules) == sorted(CONSUMERS)
    for schedule in schedules:
        assert (schedule["ScheduleExpression"], schedule["FlexibleTimeWindow"]) == ("rate(1 minute)", {"Mode": "OFF"})
        service = SERVICES[CONSUMERS[logical_id(schedule["Target"]["Arn"])]]
        assert schedule["Name"] == f"kumiki-{shop.environment}-{service}-sweep"
        assert schedule["Target"]["Input"] == '{"task": "sweep"}'
        assert schedule.get("State", "ENABLED") == "ENABLED"


def test_a_sweep_that_was_missed_is_not_made_up_for_as_the_next_one_does_it(shop: Shop) -> None:
    invocations = shop.of_type("AWS::Lambda::EventInvokeConfig")
    assert {i["FunctionName"][2:-1] for i in invocations.values()} == set(CONSUMERS)
    for invocation in invocations.values():
        assert (invocation["MaximumRetryAttempts"], invocation["MaximumEventAgeInSeconds"]) == (0, 60)
        assert invocation["Qualifier"] == "$LATEST"
    for schedule in shop.of_type("AWS::Scheduler::Schedule").values():
        assert schedule["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 0}
        assert "DeadLetterConfig" not in schedule["Target"]


def test_that_nobody_sweeps_is_noticed_all_the_same(shop: Shop) -> None:
    ages = [s.properties("OutboxAge") for name, s in shop.nested.items() if name.startswith("Monitoring/")]
    assert len(ages) == (len(SERVICES) if shop.on_aws else 0)
    assert {alarm["TreatMissingData"] for alarm in ages} <= {"breaching"}


# Versions


@cache
def version_of(function: str, layer: str = "layers/common", code: str = "", **parameters: str) -> str:
    template = load("template.yaml")
    template["Resources"]["CommonLayer"]["Properties"]["ContentUri"] = layer
    template["Resources"][function]["Properties"]["CodeUri"] += code
    return str(render(template, **parameters).properties(f"{function}Aliaslive")["FunctionVersion"])


def test_customers_meet_a_version_and_another_one_with_other_code_another_layer_or_other_settings(shop: Shop) -> None:
    for name in [*APIS, "Migrator"]:
        alias = shop.properties(f"{name}Aliaslive")
        assert (alias["Name"], alias["FunctionName"]) == ("live", f"${{{name}}}")
        version = alias["FunctionVersion"].removeprefix("${").removesuffix(".Version}")
        assert shop.of_type("AWS::Lambda::Version")[version]["FunctionName"] == f"${{{name}}}"
    assert shop.properties("Migrations")["Version"] == f"${{{version}}}"
    assert version_of("OrdersApi") == version_of("OrdersApi")
    changed = {
        version_of("OrdersApi"),
        version_of("OrdersApi", layer="layers/another"),
        version_of("OrdersApi", code="another/"),
    }
    assert len(changed) == 3


def test_another_value_of_a_parameter_is_another_version_since_it_describes_it_and_a_description_cannot_change() -> (
    None
):
    template = load("template.yaml")
    password = {"DatabasePassword", "DatabaseCaFile"}  # of the local cloud alone
    for name in APIS:
        function = template["Resources"][name]["Properties"]
        variables = [template["Globals"]["Function"]["Environment"], function["Environment"]]
        named = set(re.findall(r"'Ref': '(\w+)'|\$\{(\w+)\}", str(variables)))
        parameters = {ref or sub for ref, sub in named} & template["Parameters"].keys() - password - {"Environment"}
        assert parameters == set(re.findall(r"\w+", function["VersionDescription"]["Fn::Sub"]))


def test_the_gateway_and_its_permissions_lead_to_the_alias(shop: Shop) -> None:
    for permission in shop.of_type("AWS::Lambda::Permission").values():
        assert re.fullmatch(r"\$\{\w+ApiAliaslive\}", permission["FunctionName"])
    [api] = shop.of_type("AWS::ApiGateway::RestApi").values()
    integrations = re.findall(r"functions/(\$\{.*?\})/invocations", str(api["Body"]))
    assert {re.sub(r"\w+Api", "", target) for target in integrations} == {"${Aliaslive}"}
