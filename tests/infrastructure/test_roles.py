"""Who may do what: the roles of the Lambda design, as SAM makes them."""

from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.infrastructure.lambda_design import (
    CONSUMERS,
    FUNCTIONS,
    SERVICES,
    SILENT,
    SUBSCRIBERS,
    Shop,
    listed,
    logical_id,
    parameters_of,
    statements,
)
from tests.infrastructure.templates import ACCOUNT, REGION, stack

HERE = f"{REGION}:{ACCOUNT}"
ON_ANYTHING = {
    ("DeploymentRole", "cloudwatch:DescribeAlarms"),  # has no narrower resource for all that it may be asked
}
IN_THE_EMULATOR = {("NotificationsConsumerRole", "ses:SendRawEmail")}  # which knows no other
FROM_SAM = {
    "service-role/AWSLambdaBasicExecutionRole",
    "service-role/AWSLambdaVPCAccessExecutionRole",
    "AWSXrayWriteOnlyAccess",
}


def roles(shop: Shop) -> dict[str, dict[str, Any]]:
    return shop.of_type("AWS::IAM::Role")


def who_assumes(role: dict[str, Any]) -> tuple[Any, Any]:
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    assert (statement["Effect"], listed(statement["Action"])) == ("Allow", ["sts:AssumeRole"])
    assert statement["Principal"].keys() == {"Service"}
    return listed(statement["Principal"]["Service"]), statement.get("Condition")


def test_every_role_stays_within_the_accounts_boundary(shop: Shop) -> None:
    assert len(roles(shop)) == len(shop.functions) + len(CONSUMERS) + 1
    assert {role["PermissionsBoundary"] for role in roles(shop).values()} == {"${PermissionsBoundaryArn}"}
    assert not [role for below in shop.nested.values() for role in below.of_type("AWS::IAM::Role")]


def test_every_function_has_a_role_of_its_own_that_lambda_alone_assumes(shop: Shop) -> None:
    used = [function["Role"] for function in shop.functions.values()]
    assert len(set(used)) == len(used)
    assert {str(who_assumes(shop.role(name))) for name in shop.functions} == {"(['lambda.amazonaws.com'], None)"}


def test_no_role_may_do_everything_or_touch_everything(shop: Shop) -> None:
    everything = set()
    for name, role in roles(shop).items():
        for statement in statements(role):
            assert statement["Effect"] == "Allow"
            assert not [action for action in listed(statement["Action"]) if "*" in action]
            if any(arn.split(":")[-1].startswith("*") for arn in listed(statement["Resource"])):
                everything |= {(name, action) for action in listed(statement["Action"])}
    assert everything == (ON_ANYTHING if shop.on_aws else ON_ANYTHING | IN_THE_EMULATOR)


def test_managed_policies_are_for_logs_network_interfaces_and_traces_only(shop: Shop) -> None:
    for name in shop.functions:
        managed = shop.role(name)["ManagedPolicyArns"]
        assert {arn.partition(":policy/")[2] for arn in managed} == FROM_SAM
    others = roles(shop).keys() - {f["Role"][2:-5] for f in shop.functions.values()}
    assert not [name for name in others if "ManagedPolicyArns" in roles(shop)[name]]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_service_may_connect_as_itself_through_the_proxy_publish_on_the_bus_and_read_its_own_queue(
    shop: Shop, function: str
) -> None:
    service = SERVICES[FUNCTIONS[function]]
    queue = f"arn:aws:sqs:{HERE}:kumiki-{shop.environment}-{service}"
    may = shop.rights(function)
    reads = {(action, resource) for action, resource in may if action.startswith("sqs:")}
    mails = {(action, resource) for action, resource in may if action.startswith("ses:")}
    publishes = set() if function in SILENT else {("events:PutEvents", "${Bus.Outputs.Arn}")}
    connects = {("rds-db:connect", f"arn:aws:rds-db:{HERE}:dbuser:${{DatabaseProxyResourceId}}/{service}")}
    assert may - reads - mails == connects | publishes
    subscribes = function in CONSUMERS and FUNCTIONS[function] in SUBSCRIBERS
    assert {resource for _, resource in reads} == ({queue} if subscribes else set())
    needed = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"}
    in_batches = {"sqs:DeleteMessageBatch", "sqs:ChangeMessageVisibilityBatch"}  # SAM's; IAM does not know them
    assert {action for action, _ in reads} == (needed | in_batches if subscribes else set())


def test_a_service_speaks_on_the_bus_in_its_own_name_alone(shop: Shop) -> None:
    for function in FUNCTIONS.keys() - SILENT:
        [speaks] = [s for s in statements(shop.role(function)) if s["Action"] == "events:PutEvents"]
        itself = SERVICES[FUNCTIONS[function]]
        assert speaks["Condition"] == {"ForAllValues:StringEquals": {"events:source": itself}}


def test_notifications_alone_sends_mail_and_on_aws_from_its_own_address_only(shop: Shop) -> None:
    mails = {
        function: statement
        for function in shop.functions
        for statement in statements(shop.role(function))
        if any(action.startswith("ses:") for action in listed(statement["Action"]))
    }
    address = parameters_of(shop.environment)["MailSender"]
    assert shop.variables("NotificationsConsumer")["MAIL_SENDER"] == f"Kumiki <{address}>"
    on_aws = {
        "Effect": "Allow",
        "Action": "ses:SendRawEmail",
        "Resource": f"arn:aws:ses:{HERE}:identity/*",  # a recipient's as well, as everybody's is in SES's sandbox
        "Condition": {"StringEquals": {"ses:FromAddress": address}},
    }
    locally = {"Effect": "Allow", "Action": "ses:SendRawEmail", "Resource": "*"}
    assert mails == {"NotificationsConsumer": on_aws if shop.on_aws else locally}


def test_only_the_migrator_may_read_the_administrators_secret_and_it_may_do_nothing_else(shop: Shop) -> None:
    assert shop.rights("Migrator") == {("secretsmanager:GetSecretValue", "${DatabaseAdminSecretArn}")}


def test_a_schedule_may_call_the_consumer_that_it_wakes_and_nothing_else(shop: Shop) -> None:
    schedules = shop.of_type("AWS::Scheduler::Schedule")
    assert len({schedule["Target"]["RoleArn"] for schedule in schedules.values()}) == len(CONSUMERS)
    for schedule in schedules.values():
        role = shop.properties(schedule["Target"]["RoleArn"][2:-5])
        assert who_assumes(role) == (["scheduler.amazonaws.com"], None)
        [statement] = statements(role)
        assert (statement["Effect"], statement["Action"]) == ("Allow", "lambda:InvokeFunction")
        assert statement["Resource"] == schedule["Target"]["Arn"]
        assert logical_id(statement["Resource"]) in CONSUMERS


def test_deployments_of_this_account_move_aliases_of_this_stack_and_look_at_alarms(shop: Shop) -> None:
    role = shop.properties("DeploymentRole")
    here = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert who_assumes(role) == (["codedeploy.amazonaws.com"], here)
    aliases, alarms = statements(role)
    assert set(aliases["Action"]) == {"lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"}
    assert aliases["Resource"] == f"arn:aws:lambda:{HERE}:function:stack-*"
    assert (alarms["Action"], alarms["Resource"]) == ("cloudwatch:DescribeAlarms", "*")


def test_messages_are_read_and_sent_without_a_right_to_their_key_as_its_policy_admits_whoever_has_one_to_the_queue(
    shop: Shop,
) -> None:
    actions = {action for role in roles(shop).values() for s in statements(role) for action in listed(s["Action"])}
    assert not {action for action in actions if action.startswith("kms:")}
    bootstrap = stack("infra/bootstrap.yaml", AlertEmail="ops@example.com")
    policy = bootstrap.properties("MessagesKey")["KeyPolicy"]["Statement"]
    [through] = [s for s in policy if s["Principal"] == {"AWS": "*"}]
    assert through["Condition"]["StringEquals"]["kms:CallerAccount"] == ACCOUNT
    assert f"sqs.{REGION}.amazonaws.com" in through["Condition"]["StringEquals"]["kms:ViaService"]
    within = [
        pattern for s in bootstrap.properties("Boundary")["PolicyDocument"]["Statement"] for pattern in s["Action"]
    ]
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert any(fnmatchcase(action, pattern) for pattern in through["Action"])
        assert action in within  # which limits also what a key's policy gives
