"""What an account has once: infra/bootstrap.yaml, and infra/delivery.yaml, by which GitHub deploys."""

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.infrastructure.everything import everything
from tests.infrastructure.templates import ACCOUNT, REGION, ROOT, Stack, load, stack

BOOTSTRAP = stack("infra/bootstrap.yaml", AlertEmail="ops@example.com")
DELIVERY = stack("infra/delivery.yaml", Repository="joiners/shop")
HERE = f"{REGION}:{ACCOUNT}"
VARIABLE = "${!aws:PrincipalTag/environment}"
BOUNDARY = BOOTSTRAP.properties("Boundary")["PolicyDocument"]["Statement"]
DEPLOY = [
    statement
    for name in ("DeployFunctions", "DeployContainers", "DeployUnnamed", "DeployRoles")
    for statement in DELIVERY.properties(name)["PolicyDocument"]["Statement"]
]
LOOKING_AFTER = """Describe* Get* List* Put* Update* Enable* Disable* RotateKeyOnDemand CreateAlias DeleteAlias
TagResource UntagResource ScheduleKeyDeletion CancelKeyDeletion RevokeGrant"""
BUS_MAKING = "DescribeKey Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKeyWithoutPlaintext"  # as AWS lists it
ENCRYPTING = {"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"}


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def key(name: str) -> dict[str, dict[str, Any]]:
    """The statements of a key's policy, by their names."""
    return {statement["Sid"]: statement for statement in BOOTSTRAP.properties(name)["KeyPolicy"]["Statement"]}


def may(statements: list[dict[str, Any]], action: str, resource: str, environment: str = "dev") -> bool:
    """Whether policies allow it where their conditions hold: one that denies has the last word."""
    effects = {
        statement["Effect"]
        for statement in statements
        if any(fnmatchcase(action, pattern) for pattern in many(statement["Action"]))
        and any(fnmatchcase(resource, r.replace(VARIABLE, environment)) for r in many(statement["Resource"]))
    }
    return effects == {"Allow"}


# What services of AWS need


def test_api_gateway_may_write_logs_and_nobody_else_by_that_role() -> None:
    role = BOOTSTRAP.properties("ApiGatewayLogRole")
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    assert BOOTSTRAP.of_type("AWS::ApiGateway::Account") == {
        "ApiGatewayAccount": {"CloudWatchRoleArn": "${ApiGatewayLogRole.Arn}"}
    }
    assert role["ManagedPolicyArns"] == ["arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"]
    assert "Policies" not in role
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole")
    assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}


def test_the_role_of_ecs_is_made_unless_the_account_has_it_and_stays_for_those_that_use_it() -> None:
    [role] = [r for r in BOOTSTRAP.resources.values() if r["Type"] == "AWS::IAM::ServiceLinkedRole"]
    assert role["Properties"] == {"AWSServiceName": "ecs.amazonaws.com"}
    assert role["DeletionPolicy"] == role["UpdateReplacePolicy"] == "Retain"
    had = stack("infra/bootstrap.yaml", AlertEmail="ops@example.com", EcsServiceLinkedRole="exists")
    assert not had.of_type("AWS::IAM::ServiceLinkedRole")


# Keys


@pytest.mark.parametrize("name", ["DataKey", "LogsKey", "MessagesKey"])
def test_a_key_is_rotated_outlives_its_stack_and_can_be_saved_for_a_month(name: str) -> None:
    resource, properties = BOOTSTRAP.resources[name], BOOTSTRAP.properties(name)
    assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    assert properties["EnableKeyRotation"] is True
    assert properties["PendingWindowInDays"] == "30"
    alias = BOOTSTRAP.properties(f"{name}Alias")
    assert alias == {"AliasName": f"alias/kumiki-{name.removesuffix('Key').lower()}", "TargetKeyId": f"${{{name}}}"}


@pytest.mark.parametrize("name", ["DataKey", "LogsKey", "MessagesKey"])
def test_administrators_look_after_a_key_and_cannot_read_with_it(name: str) -> None:
    statement = key(name)["LookAfter"]
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert set(statement["Action"]) == {f"kms:{action}" for action in LOOKING_AFTER.split()}
    assert statement["Effect"] == "Allow"
    assert {each["Resource"] for each in key(name).values()} == {"*"}  # in a key's policy: itself
    using = "Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateMac Sign Verify CreateGrant".split()
    assert not [action for action in using if may([statement], f"kms:{action}", "*")]


def test_the_key_of_data_is_used_through_rds_and_secrets_manager_alone_by_this_account() -> None:
    statements = key("DataKey")
    assert statements.keys() == {"LookAfter", "ThroughRdsAndSecretsManager", "GrantsToThemselves"}
    use, grants = statements["ThroughRdsAndSecretsManager"], statements["GrantsToThemselves"]
    through = {
        "kms:CallerAccount": ACCOUNT,
        "kms:ViaService": [f"rds.{REGION}.amazonaws.com", f"secretsmanager.{REGION}.amazonaws.com"],
    }
    assert (set(use["Action"]), use["Condition"]) == (ENCRYPTING, {"StringEquals": through})
    assert grants["Action"] == "kms:CreateGrant"
    assert grants["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}, "StringEquals": through}
    assert use["Effect"] == grants["Effect"] == "Allow"
    assert use["Principal"] == grants["Principal"] == {"AWS": "*"}


def test_the_key_of_logs_is_used_by_cloudwatch_logs_for_groups_of_this_account() -> None:
    statements = key("LogsKey")
    assert statements.keys() == {"LookAfter", "LogGroupsOfThisAccount"}
    use = statements["LogGroupsOfThisAccount"]
    assert (use["Effect"], set(use["Action"])) == ("Allow", ENCRYPTING)
    assert use["Principal"] == {"Service": f"logs.{REGION}.amazonaws.com"}
    context = {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{HERE}:log-group:*"}
    assert use["Condition"] == {"ArnLike": context}


def test_the_key_of_messages_is_used_by_rules_alarms_buses_and_archives_and_through_queues_topics_and_buses() -> None:
    statements = key("MessagesKey")
    assert {s["Effect"] for s in statements.values()} == {"Allow"}
    assert statements.keys() - {"LookAfter"} == {
        "AlarmsToTopics",
        "RulesToQueues",
        "BusesAndArchives",
        "WhetherItIsAKey",
        "ThroughQueuesTopicsAndBuses",
    }
    alarms, rules, buses = (statements[sid] for sid in ("AlarmsToTopics", "RulesToQueues", "BusesAndArchives"))
    exists, through = statements["WhetherItIsAKey"], statements["ThroughQueuesTopicsAndBuses"]
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    # EventBridge's guide has this without a condition; with one that is not met no event would reach any queue.
    assert rules["Condition"] == {"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}}
    assert set(alarms["Action"]) == set(rules["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"}
    assert rules["Principal"] == buses["Principal"] == exists["Principal"] == {"Service": "events.amazonaws.com"}
    context = {"kms:EncryptionContext:aws:events:event-bus:arn": f"arn:aws:events:{HERE}:event-bus/*"}
    assert buses["Condition"] == {"ArnLike": context}
    assert set(buses["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"}
    assert (exists["Action"], "Condition" in exists) == ("kms:DescribeKey", False)
    assert (through["Principal"], set(through["Action"])) == ({"AWS": "*"}, ENCRYPTING)
    assert through["Condition"] == {
        "StringEquals": {
            "kms:CallerAccount": ACCOUNT,
            "kms:ViaService": [f"{service}.{REGION}.amazonaws.com" for service in ("sqs", "sns", "events")],
        }
    }


# The boundary


def test_what_roles_of_all_templates_may_do_is_within_the_boundary() -> None:
    within = [pattern for statement in BOUNDARY for pattern in many(statement["Action"])]
    policies = [
        p["PolicyDocument"]
        for s in everything()
        for name, r in s.of_type("AWS::IAM::Role").items()
        for p in r.get("Policies", [])
        if name != "DefaultGroupRole"  # of the network, which empties a security group
    ]
    granted = {action for p in policies for s in p["Statement"] for action in many(s["Action"])}
    batches = {
        "sqs:DeleteMessageBatch",
        "sqs:ChangeMessageVisibilityBatch",
    }  # SAM's policies name what IAM does not know
    assert len(granted) > 10
    assert not {a for a in granted - batches if not any(fnmatchcase(a, pattern) for pattern in within)}


def test_every_role_is_within_the_boundary_and_every_log_group_under_the_key_of_logs_and_not_kept_for_ever() -> None:
    roles = [(name, role) for s in everything() for name, role in s.of_type("AWS::IAM::Role").items()]
    outside = {name for name, role in roles if role.get("PermissionsBoundary") != "${PermissionsBoundaryArn}"}
    assert outside == {"DefaultGroupRole"}  # of the network, which empties a security group
    groups = [group for s in everything() for group in s.of_type("AWS::Logs::LogGroup").values()]
    assert len(groups) > 20
    assert {group.get("KmsKeyId") for group in groups} == {"${LogsKeyArn}"}
    assert not [group for group in groups if not group.get("RetentionInDays")]


def test_the_boundary_lets_nobody_near_identities_keys_policies_or_another_accounts_data() -> None:
    wanted = (
        "iam:CreateRole iam:PassRole sts:AssumeRole kms:PutKeyPolicy kms:CreateGrant s3:GetObject rds:ModifyDBInstance "
    )
    wanted += (
        "lambda:UpdateFunctionCode events:PutRule sqs:SetQueueAttributes secretsmanager:PutSecretValue ssm:PutParameter"
    )
    within = [pattern for statement in BOUNDARY for pattern in many(statement["Action"])]
    assert not [a for a in wanted.split() if any(fnmatchcase(a, pattern) for pattern in within)]
    assert {s["Effect"] for s in BOUNDARY} == {"Allow"}
    for statement in BOUNDARY:
        for resource in many(statement["Resource"]):
            named_so = resource == "*" or ACCOUNT in resource or resource in ("${DataKey.Arn}", "${MessagesKey.Arn}")
            assert named_so, resource
    [for_all] = [statement for statement in BOUNDARY if statement["Resource"] == "*"]
    assert {a.split(":")[0] for a in for_all["Action"]} == {"ec2", "xray", "ecr", "cloudwatch", "logs"}
    assert not may(BOUNDARY, "sqs:ReceiveMessage", f"arn:aws:sqs:{HERE}:somebody-elses")
    assert may(BOUNDARY, "sqs:ReceiveMessage", f"arn:aws:sqs:{HERE}:kumiki-dev-orders")
    for action, resource in [
        ("kms:Decrypt", "${DataKey.Arn}"),
        ("logs:PutLogEvents", f"arn:aws:logs:{HERE}:log-group:/aws/lambda/kumiki-dev-OrdersApi-A1"),
        ("rds-db:connect", f"arn:aws:rds-db:{HERE}:dbuser:prx-1/orders"),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:rds!db-1"),
        ("ses:SendRawEmail", f"arn:aws:ses:{HERE}:identity/example.com"),
    ]:
        assert may(BOUNDARY, action, resource)


def test_no_role_can_bring_back_a_log_group_that_went_with_its_stack() -> None:
    groups = [g["LogGroupName"] for s in everything() for g in s.of_type("AWS::Logs::LogGroup").values()]
    arn = f"arn:aws:logs:{HERE}:log-group:{{}}"
    assert len(groups) > 20
    assert not [name for name in groups if may(BOUNDARY, "logs:CreateLogGroup", arn.format(name))]
    assert all(may(BOUNDARY, "logs:CreateLogStream", arn.format(f"{name}:log-stream:1")) for name in groups)
    assert may(BOUNDARY, "logs:CreateLogGroup", arn.format("RDSOSMetrics"))  # which RDS makes for all databases


# Who deploys


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_an_environment_is_deployed_by_its_own_subject_of_one_repository_and_nothing_is_left_open(
    environment: str,
) -> None:
    role = DELIVERY.properties(f"Deploy{environment.title()}Role")
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRoleWithWebIdentity")
    assert statement["Principal"] == {"Federated": "${GitHub}"}
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": f"repo:joiners/shop:environment:{environment}",
        }
    }
    assert role["Tags"] == [{"Key": "environment", "Value": environment}]
    assert role["MaxSessionDuration"] == 3600
    assert role["ManagedPolicyArns"] == [
        "${DeployFunctions}",
        "${DeployContainers}",
        "${DeployUnnamed}",
        "${DeployRoles}",
    ]


def test_githubs_provider_is_made_unless_the_account_has_it() -> None:
    [provider] = [r for r in DELIVERY.resources.values() if r["Type"] == "AWS::IAM::OIDCProvider"]
    assert provider["Properties"]["Url"] == "https://token.actions.githubusercontent.com"
    assert provider["Properties"]["ClientIdList"] == ["sts.amazonaws.com"]
    assert provider["DeletionPolicy"] == provider["UpdateReplacePolicy"] == "Retain"
    had = stack("infra/delivery.yaml", Repository="joiners/shop", GitHubProvider="exists")
    assert not had.of_type("AWS::IAM::OIDCProvider")
    for role in had.of_type("AWS::IAM::Role").values():
        [statement] = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"]["Federated"] == (
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
        )


MINE = [
    ("cloudformation:CreateChangeSet", "arn:aws:cloudformation:{here}:stack/kumiki-{mine}/1"),
    ("cloudformation:CreateStack", "arn:aws:cloudformation:{here}:stack/kumiki-{mine}-OrdersSubscription-A1/1"),
    ("cloudformation:CreateStack", "arn:aws:cloudformation:{here}:stack/kumiki-ecs-migrator-{mine}/1"),
    ("cloudformation:CreateStack", "arn:aws:cloudformation:{here}:stack/kumiki-ecs-{mine}-Orders-A1/1"),
    ("lambda:UpdateFunctionCode", "arn:aws:lambda:{here}:function:kumiki-{mine}-OrdersApi-A1"),
    ("sqs:SetQueueAttributes", "arn:aws:sqs:{here}:kumiki-{mine}-orders"),
    ("events:PutRule", "arn:aws:events:{here}:rule/kumiki-{mine}/kumiki-{mine}-orders"),
    ("events:UpdateEventBus", "arn:aws:events:{here}:event-bus/kumiki-{mine}"),
    ("scheduler:UpdateSchedule", "arn:aws:scheduler:{here}:schedule/default/kumiki-{mine}-OrdersConsumerSweep-A1"),
    ("logs:DeleteLogGroup", "arn:aws:logs:{here}:log-group:/kumiki/{mine}/orders"),
    ("logs:DeleteLogGroup", "arn:aws:logs:{here}:log-group:aws-waf-logs-kumiki-{mine}"),
    ("lambda:PublishLayerVersion", "arn:aws:lambda:{here}:layer:kumiki-{mine}-common"),
    ("cloudwatch:PutMetricAlarm", "arn:aws:cloudwatch:{here}:alarm:kumiki-{mine}-failures"),
    ("ecs:UpdateService", "arn:aws:ecs:{here}:service/kumiki-{mine}/orders"),
    ("ecr:PutImage", "arn:aws:ecr:{here}:repository/kumiki-{mine}"),
    ("ssm:GetParameters", "arn:aws:ssm:{here}:parameter/kumiki/{mine}/network/vpc-id"),
    ("iam:CreateRole", "arn:aws:iam::{account}:role/kumiki-{mine}-OrdersApiRole-A1"),
    ("iam:PassRole", "arn:aws:iam::{account}:role/kumiki-ecs-migrator-{mine}-TaskRole-A1"),
]


@pytest.mark.parametrize(("action", "arn"), MINE, ids=[action for action, _ in MINE])
def test_a_deploy_reaches_what_bears_its_environments_name_and_not_the_others(action: str, arn: str) -> None:
    for mine, others in (("dev", "prod"), ("prod", "dev")):
        assert may(DEPLOY, action, arn.format(here=HERE, account=ACCOUNT, mine=mine), mine)
        assert not may(DEPLOY, action, arn.format(here=HERE, account=ACCOUNT, mine=others), mine)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("cloudformation:GetTemplateSummary", "*"),
        ("cloudformation:CreateChangeSet", f"arn:aws:cloudformation:{REGION}:aws:transform/Serverless-2016-10-31"),
        ("s3:PutObject", "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1/file"),
        ("lambda:CreateEventSourceMapping", f"arn:aws:lambda:{HERE}:event-source-mapping:1"),
        ("apigateway:PUT", f"arn:aws:apigateway:{REGION}::/restapis/1"),
        ("wafv2:AssociateWebACL", f"arn:aws:apigateway:{REGION}::/restapis/1/stages/prod"),
        ("wafv2:CreateWebACL", f"arn:aws:wafv2:{HERE}:regional/managedruleset/AWSManagedRulesCommonRuleSet/1"),
        ("cognito-idp:UpdateUserPool", f"arn:aws:cognito-idp:{HERE}:userpool/1"),
        *((f"kms:{action}", "${MessagesKeyArn}") for action in BUS_MAKING.split()),
        ("ec2:CreateSecurityGroup", f"arn:aws:ec2:{HERE}:security-group/*"),
        ("iam:GetRole", f"arn:aws:iam::{ACCOUNT}:role/kumiki-dev-OrdersApiRole-A1"),
        ("iam:CreateServiceLinkedRole", f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/ecs.amazonaws.com/role"),
        ("iam:ListRoles", "*"),
    ],
)
def test_a_deploy_may_do_what_has_no_name_to_be_told_by(action: str, resource: str) -> None:
    assert may(DEPLOY, action, resource)
    assert {statement["Effect"] for statement in DEPLOY} == {"Allow", "Deny"}


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("cloudformation:DeleteStack", f"arn:aws:cloudformation:{HERE}:stack/kumiki-dev-database/1"),
        ("cloudformation:UpdateStack", f"arn:aws:cloudformation:{HERE}:stack/kumiki-dev-network/1"),
        ("cloudformation:UpdateStack", f"arn:aws:cloudformation:{HERE}:stack/kumiki-bootstrap/1"),
        ("cloudformation:UpdateStack", f"arn:aws:cloudformation:{HERE}:stack/kumiki-delivery/1"),
        ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/kumiki/account/kumiki-delivery-DeployDevRole-A1"),
        ("iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/kumiki/account/kumiki-bootstrap-Boundary-A1"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/kumiki-dev-database-MonitoringRole-A1"),
        ("iam:UpdateAssumeRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/kumiki-dev-network-FlowLogRole-A1"),
        ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/somebody"),
        ("iam:DeleteRolePermissionsBoundary", f"arn:aws:iam::{ACCOUNT}:role/kumiki-dev-OrdersApiRole-A1"),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/kumiki-dev-OrdersApiRole-A1"),
        ("kms:PutKeyPolicy", f"arn:aws:kms:{HERE}:key/1"),
        ("kms:ScheduleKeyDeletion", "${MessagesKeyArn}"),
        ("ssm:PutParameter", f"arn:aws:ssm:{HERE}:parameter/kumiki/dev/network/vpc-id"),
        ("rds:DeleteDBInstance", f"arn:aws:rds:{HERE}:db:kumiki-dev"),
        ("rds-db:connect", f"arn:aws:rds-db:{HERE}:dbuser:prx-1/orders"),
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:rds!db-1"),
        ("sqs:ReceiveMessage", f"arn:aws:sqs:{HERE}:kumiki-dev-orders"),
        ("events:PutEvents", f"arn:aws:events:{HERE}:event-bus/kumiki-dev"),
        ("logs:GetLogEvents", f"arn:aws:logs:{HERE}:log-group:/aws/lambda/kumiki-dev-OrdersApi-A1"),
        ("ecs:ExecuteCommand", f"arn:aws:ecs:{HERE}:task/kumiki-dev/1"),
        ("ec2:RunInstances", f"arn:aws:ec2:{HERE}:instance/*"),
        ("s3:GetObject", "arn:aws:s3:::somebody-elses/file"),
        ("cognito-idp:AdminUpdateUserAttributes", f"arn:aws:cognito-idp:{HERE}:userpool/1"),
        ("cognito-idp:ListUsers", f"arn:aws:cognito-idp:{HERE}:userpool/1"),
        ("cloudformation:DeleteStack", f"arn:aws:cloudformation:{HERE}:stack/kumiki-dev-endpoints/1"),
        ("lambda:PublishLayerVersion", f"arn:aws:lambda:{HERE}:layer:somebody-elses"),
        ("logs:DeleteLogGroup", f"arn:aws:logs:{HERE}:log-group:/aws/lambda/somebody-elses"),
    ],
)
def test_a_deploy_keeps_off_the_platform_and_off_data(action: str, resource: str) -> None:
    assert not may(DEPLOY, action, resource)


def conditions_of(action: str) -> list[Any]:
    return [s.get("Condition") for s in DEPLOY if s["Effect"] == "Allow" and action in many(s["Action"])]


def test_a_deploy_meets_users_of_its_own_environments_pool_alone() -> None:
    """As `make smoke` calls them: whatever begins with admin_ there."""
    called = re.findall(r"cognito\.(admin_\w+)", (ROOT / "release/smoke.py").read_text(encoding="utf-8"))
    actions = {f"cognito-idp:{name.title().replace('_', '')}" for name in called}
    assert len(actions) == 5
    tagged = {"StringEquals": {"aws:ResourceTag/environment": "${aws:PrincipalTag/environment}"}}
    for action in actions:
        assert conditions_of(action) == [tagged]
        assert may(DEPLOY, action, f"arn:aws:cognito-idp:{HERE}:userpool/1")
    pool = stack("infra/identity.yaml", Environment="dev").properties("UserPool")
    assert pool["UserPoolTags"] == {"environment": "dev"}


def test_a_role_is_made_or_given_rights_only_within_the_boundary() -> None:
    within = {"StringEquals": {"iam:PermissionsBoundary": "${PermissionsBoundaryArn}"}}
    for name in "CreateRole PutRolePermissionsBoundary PutRolePolicy AttachRolePolicy DeleteRolePolicy".split():
        assert conditions_of(f"iam:{name}") == [within]


def test_a_role_is_passed_to_the_services_that_run_the_applications_alone() -> None:
    services = ["lambda", "scheduler", "codedeploy", "ecs-tasks"]
    assert conditions_of("iam:PassRole") == [
        {"StringEquals": {"iam:PassedToService": [f"{service}.amazonaws.com" for service in services]}}
    ]
    [linked] = conditions_of("iam:CreateServiceLinkedRole")
    assert linked["StringEquals"]["iam:AWSServiceName"] == [
        "ecs.amazonaws.com",
        "ecs.application-autoscaling.amazonaws.com",
        "elasticloadbalancing.amazonaws.com",
        "ops.apigateway.amazonaws.com",
    ]


def test_what_has_no_name_is_narrowed_by_function_region_or_service() -> None:
    mine = f"arn:aws:lambda:{HERE}:function:kumiki-{VARIABLE}-*"
    assert conditions_of("lambda:CreateEventSourceMapping") == [{"ArnLike": {"lambda:FunctionArn": mine}}]
    theirs = {"aws:ResourceTag/environment": "${aws:PrincipalTag/environment}"}
    assert conditions_of("ec2:CreateSecurityGroup") == [{"StringEqualsIfExists": theirs}]
    assert conditions_of("cognito-idp:AdminCreateUser") == [{"StringEquals": theirs}]
    assert conditions_of("route53:ChangeResourceRecordSets") == [
        {"StringEquals": {"aws:RequestedRegion": [REGION, "us-east-1"]}}
    ]
    assert conditions_of("kms:Decrypt") == [{"StringEquals": {"kms:ViaService": f"events.{REGION}.amazonaws.com"}}]


def test_every_type_of_resource_that_an_application_has_belongs_to_a_service_that_the_deploy_may_use() -> None:
    renamed = {"apigatewayv2": "apigateway", "elasticloadbalancingv2": "elasticloadbalancing", "cognito": "cognito-idp"}
    renamed["applicationautoscaling"] = "application-autoscaling"
    applications = [s for s in everything() if not s.of_type("AWS::EC2::VPC") and not s.of_type("AWS::RDS::DBInstance")]
    types = {r["Type"] for s in applications for r in s.resources.values()}
    services = {
        t.split("::")[1].lower() for t in types if t.startswith("AWS::") and t != "AWS::Serverless::Application"
    }
    granted = {action.split(":")[0] for s in DEPLOY if s["Effect"] == "Allow" for action in many(s["Action"])}
    assert {renamed.get(service, service) for service in services} <= granted


@pytest.mark.parametrize("of", [BOOTSTRAP, DELIVERY], ids=["bootstrap", "delivery"])
def test_policies_are_as_short_as_iam_wants_them_and_stand_where_no_deploy_reaches(of: Stack) -> None:
    for policy in of.of_type("AWS::IAM::ManagedPolicy").values():
        assert len(json.dumps(policy["PolicyDocument"], separators=(",", ":")).replace("${!", "${")) <= 6144
        assert policy["Path"] == "/kumiki/account/"
    assert all(role["Path"] == "/kumiki/account/" for role in of.of_type("AWS::IAM::Role").values())


# Money, names, parameters


def test_somebody_is_told_when_money_is_nearly_spent_and_when_it_will_be() -> None:
    budget = BOOTSTRAP.properties("Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": "300", "Unit": "USD"}
    assert (budget["Budget"]["BudgetType"], budget["Budget"]["TimeUnit"]) == ("COST", "MONTHLY")
    assert "BudgetName" not in budget["Budget"]  # another address replaces it, and of its own name there would be two
    told = {
        (n["Notification"]["NotificationType"], n["Notification"]["Threshold"], n["Notification"]["ThresholdType"])
        for n in budget["NotificationsWithSubscribers"]
    }
    assert told == {("ACTUAL", 80, "PERCENTAGE"), ("FORECASTED", 100, "PERCENTAGE")}
    for each in budget["NotificationsWithSubscribers"]:
        assert each["Notification"]["ComparisonOperator"] == "GREATER_THAN"
        assert each["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": "ops@example.com"}]


def test_what_other_stacks_need_of_the_account_is_published_and_what_they_take_is_there() -> None:
    parameters = [*BOOTSTRAP.of_type("AWS::SSM::Parameter").values(), *DELIVERY.of_type("AWS::SSM::Parameter").values()]
    published = {p["Name"].removeprefix("/kumiki/account/"): p["Value"] for p in parameters}
    assert {p["Type"] for p in parameters} == {"String"}
    assert published == {
        "data-key-arn": "${DataKey.Arn}",
        "logs-key-arn": "${LogsKey.Arn}",
        "messages-key-arn": "${MessagesKey.Arn}",
        "permissions-boundary-arn": "${Boundary}",
        "deploy-dev-role-arn": "${DeployDevRole.Arn}",
        "deploy-prod-role-arn": "${DeployProdRole.Arn}",
    }
    taken = {
        str(parameter.get("Default"))
        for path in ROOT.glob("infra/*.yaml")
        for parameter in load(str(path.relative_to(ROOT)))["Parameters"].values()
    }
    accounts = {name for name in taken if name.startswith("/kumiki/account/")}
    assert accounts <= {f"/kumiki/account/{name}" for name in published}


@pytest.mark.parametrize(
    ("template", "name", "good", "bad"),
    [
        (
            "delivery",
            "Repository",
            "joiners/shop joiners@12/shop@34",
            "shop */shop joiners/* joiners/shop:ref joiners@x/y",
        ),
        (
            "delivery",
            "DevSubject",
            "environment:dev ref:refs/heads/main",
            "* environment:* ref:refs/heads/* pull_request",
        ),
        (
            "delivery",
            "ProdSubject",
            "environment:prod ref:refs/tags/v1.0",
            "* environment:* ref:refs/tags/v* pull_request",
        ),
        ("bootstrap", "AlertEmail", "ops@example.com", "ops ops@example a@b@c.d"),
    ],
)
def test_a_parameter_takes_what_it_should_and_says_what_that_is(template: str, name: str, good: str, bad: str) -> None:
    parameter = load(f"infra/{template}.yaml")["Parameters"][name]
    assert all(re.fullmatch(parameter["AllowedPattern"], value) for value in good.split())
    assert not any(re.fullmatch(parameter["AllowedPattern"], value) for value in bad.split())
    assert parameter["ConstraintDescription"]


def test_who_deploys_is_asked_for_and_not_guessed() -> None:
    assert "Default" not in load("infra/delivery.yaml")["Parameters"]["Repository"]
    assert "Default" not in load("infra/bootstrap.yaml")["Parameters"]["AlertEmail"]
