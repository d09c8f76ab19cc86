"""What the database stack promises, read from its template: moto knows no RDS Proxy."""

import inspect
import re
from typing import Any

import pytest

from common import connection
from tests.infrastructure.templates import ROOT, load, stack

DATABASE = stack("infra/database.yaml", Environment="prod", InstanceClass="db.m8g.large")
DEV = stack("infra/database.yaml", Environment="dev").properties("Database")
INSTANCE = DATABASE.properties("Database")
PROXY = DATABASE.properties("Proxy")
CLIENT, MIGRATOR, PROXY_GROUP, DATABASE_GROUP = (
    f"${{{name}SecurityGroup}}" for name in ("Client", "Migrator", "Proxy", "Database")
)

SQL_MODE = (
    "STRICT_TRANS_TABLES",
    "NO_ZERO_DATE",
    "NO_ZERO_IN_DATE",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "NO_ENGINE_SUBSTITUTION",
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transaction_isolation", "READ-COMMITTED"),
        ("sql_mode", ",".join(SQL_MODE)),
        ("time_zone", "UTC"),
        ("innodb_lock_wait_timeout", "5"),
        ("character_set_server", "utf8mb4"),
        ("collation_server", "utf8mb4_unicode_520_ci"),
        ("require_secure_transport", "1"),
    ],
)
def test_the_server_is_set_as_the_sql_expects(name: str, value: str) -> None:
    assert INSTANCE["DBParameterGroupName"] == "${ParameterGroup}"
    assert DATABASE.properties("ParameterGroup")["Parameters"][name] == value


def test_the_server_is_mysql_8_4_with_settings_of_the_same_version() -> None:
    assert (INSTANCE["Engine"], INSTANCE["EngineVersion"]) == ("mysql", "8.4")
    assert DATABASE.properties("ParameterGroup")["Family"] == "mysql8.4"


def test_the_administrators_password_is_made_and_rotated_by_rds() -> None:
    assert (INSTANCE["MasterUsername"], INSTANCE["ManageMasterUserPassword"]) == ("admin", True)
    assert "MasterUserPassword" not in INSTANCE
    assert INSTANCE["MasterUserSecret"] == {"KmsKeyId": "${DataKeyArn}"}


def test_data_is_encrypted_where_it_lies_with_the_accounts_own_key() -> None:
    assert INSTANCE["StorageEncrypted"] is True
    assert INSTANCE["KmsKeyId"] == INSTANCE["PerformanceInsightsKMSKeyId"] == "${DataKeyArn}"


def test_a_change_that_would_replace_the_database_by_an_empty_one_is_refused_by_its_name() -> None:
    assert (INSTANCE["DBInstanceIdentifier"], DEV["DBInstanceIdentifier"]) == ("kumiki-prod", "kumiki-dev")


def test_service_users_log_in_with_iam() -> None:
    assert INSTANCE["EnableIAMDatabaseAuthentication"] is True


def test_database_and_proxy_stand_in_the_private_subnets_and_have_no_public_address() -> None:
    assert INSTANCE["DBSubnetGroupName"] == "${SubnetGroup}"
    assert DATABASE.properties("SubnetGroup")["SubnetIds"] == PROXY["VpcSubnetIds"] == "${PrivateSubnetIds}"
    assert INSTANCE["PubliclyAccessible"] is False


def test_deleting_or_replacing_the_database_leaves_a_snapshot() -> None:
    database = DATABASE.resources["Database"]
    assert database["DeletionPolicy"] == database["UpdateReplacePolicy"] == "Snapshot"


def test_the_database_is_protected_and_backed_up_unless_asked_otherwise() -> None:
    assert INSTANCE["DeletionProtection"] == DEV["DeletionProtection"] == "true"
    assert int(INSTANCE["BackupRetentionPeriod"]) >= 7
    assert load("infra/database.yaml")["Parameters"]["BackupRetentionDays"]["MinValue"] >= 7
    assert INSTANCE["DeleteAutomatedBackups"] is False
    assert INSTANCE["CopyTagsToSnapshot"] is True


def test_a_standby_stands_in_another_zone_in_prod_and_elsewhere_when_asked_for() -> None:
    asked = stack("infra/database.yaml", Environment="dev", MultiAz="true").properties("Database")
    assert (INSTANCE["MultiAZ"], DEV["MultiAZ"], asked["MultiAZ"]) == (True, False, True)


def test_storage_is_gp3_and_grows_by_itself() -> None:
    assert INSTANCE["StorageType"] == "gp3"
    assert int(INSTANCE["MaxAllocatedStorage"]) >= 1.1 * int(INSTANCE["AllocatedStorage"])


def test_minor_versions_come_by_themselves_in_a_window_that_leaves_the_backup_alone() -> None:
    assert INSTANCE["AutoMinorVersionUpgrade"] is True
    backup, maintenance = INSTANCE["PreferredBackupWindow"], INSTANCE["PreferredMaintenanceWindow"]
    assert (backup, maintenance) == ("17:00-17:30", "sun:18:00-sun:18:30")


def test_its_certificate_is_of_an_authority_that_the_migrator_trusts() -> None:
    assert INSTANCE["CACertificateIdentifier"] == "rds-ca-rsa2048-g1"
    assert (ROOT / "layers/common/certificates/rds.pem").exists()


def test_the_system_is_measured_every_minute_by_a_role_that_only_rds_can_take_for_this_database() -> None:
    role = DATABASE.properties("MonitoringRole")
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    assert (INSTANCE["MonitoringInterval"], INSTANCE["MonitoringRoleArn"]) == (60, "${MonitoringRole.Arn}")
    assert role["ManagedPolicyArns"] == ["arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"]
    assert "Policies" not in role
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole")
    assert statement["Principal"] == {"Service": "monitoring.rds.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnEquals": {"aws:SourceArn": "arn:aws:rds:ap-northeast-1:123456789012:db:kumiki-prod"},
    }


@pytest.mark.parametrize("size", ["db.t4g.micro", "db.t4g.small", "db.t3.micro", "db.t3.small"])
def test_database_insights_is_off_where_the_class_has_none_of_it(size: str) -> None:
    small = stack("infra/database.yaml", Environment="dev", InstanceClass=size, InsightsMode="advanced")
    database = small.properties("Database")
    assert database["EnablePerformanceInsights"] is False
    assert not {name for name in database if "Insights" in name} - {"EnablePerformanceInsights"}


@pytest.mark.parametrize(("mode", "days"), [("standard", 7), ("advanced", 465)])
def test_database_insights_keeps_as_long_as_its_mode_demands(mode: str, days: int) -> None:
    database = stack(
        "infra/database.yaml", Environment="prod", InstanceClass="db.t4g.medium", InsightsMode=mode
    ).properties("Database")
    assert database["EnablePerformanceInsights"] is True
    assert (database["DatabaseInsightsMode"], database["PerformanceInsightsRetentionPeriod"]) == (mode, days)


def test_logs_are_exported_to_groups_that_are_encrypted_and_end_and_no_statement_is_among_them() -> None:
    groups = {group["LogGroupName"]: group for group in DATABASE.of_type("AWS::Logs::LogGroup").values()}
    exported = INSTANCE["EnableCloudwatchLogsExports"]
    assert exported == ["error", "iam-db-auth-error"]
    assert groups.keys() == {f"/aws/rds/instance/kumiki-prod/{log}" for log in exported}
    assert {(group["KmsKeyId"], group["RetentionInDays"]) for group in groups.values()} == {("${LogsKeyArn}", "30")}
    # Made before RDS would make them, without a key and for ever.
    assert set(DATABASE.resources["Database"]["DependsOn"]) == DATABASE.of_type("AWS::Logs::LogGroup").keys()


def test_roles_stay_within_the_accounts_boundary() -> None:
    roles = DATABASE.of_type("AWS::IAM::Role").values()
    assert [role["PermissionsBoundary"] for role in roles] == ["${PermissionsBoundaryArn}"] * 2


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("Environment", "dev prod team-a", "Prod 1st x a_b"),
        ("InstanceClass", "db.t4g.micro db.m8g.2xlarge", "t4g.micro db.t4g db..micro"),
        ("BackupWindow", "17:00-17:30 23:45-00:15", "17-18 24:00-24:30 17:00"),
        ("MaintenanceWindow", "sun:18:00-sun:18:30", "sunday:18:00-18:30 18:00-18:30 sun:25:00-sun:25:30"),
    ],
)
def test_a_parameter_takes_what_rds_takes_and_says_what_that_is(name: str, good: str, bad: str) -> None:
    parameter = load("infra/database.yaml")["Parameters"][name]
    assert all(re.fullmatch(parameter["AllowedPattern"], value) for value in good.split())
    assert not any(re.fullmatch(parameter["AllowedPattern"], value) for value in bad.split())
    assert parameter["ConstraintDescription"]


@pytest.mark.parametrize(
    ("parameter", "value", "key"),
    [
        ("InstanceClass", "db.m7g.large", "DBInstanceClass"),
        ("BackupRetentionDays", "35", "BackupRetentionPeriod"),
        ("DeletionProtection", "false", "DeletionProtection"),
        ("StorageGib", "100", "AllocatedStorage"),
        ("MaxStorageGib", "1000", "MaxAllocatedStorage"),
    ],
)
def test_size_and_safety_are_parameters(parameter: str, value: str, key: str) -> None:
    chosen = stack("infra/database.yaml", Environment="prod", **{parameter: value})
    assert chosen.properties("Database")[key] == value


def test_the_proxy_is_iam_and_tls_from_end_to_end_without_a_secret() -> None:
    assert (PROXY["DefaultAuthScheme"], PROXY["RequireTLS"], PROXY["EngineFamily"]) == ("IAM_AUTH", True, "MYSQL")
    assert "Auth" not in PROXY


def test_the_proxy_may_log_in_as_each_service_on_this_database_and_do_nothing_else() -> None:
    role = DATABASE.properties("ProxyRole")
    [policy] = role["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    user = "arn:aws:rds-db:ap-northeast-1:123456789012:dbuser:${Database.DbiResourceId}/"
    services = {folder.parent.name for folder in ROOT.glob("services/*/migrations")}
    assert (statement["Effect"], statement["Action"]) == ("Allow", "rds-db:connect")
    assert {arn.removeprefix(user) for arn in statement["Resource"]} == services
    assert "ManagedPolicyArns" not in role
    assert PROXY["RoleArn"] == "${ProxyRole.Arn}"


def test_only_rds_can_take_the_proxys_role() -> None:
    [statement] = DATABASE.properties("ProxyRole")["AssumeRolePolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole")
    assert statement["Principal"] == {"Service": "rds.amazonaws.com"}


def test_the_proxys_pool_leaves_connections_to_the_migrator_and_fails_in_time_for_an_answer() -> None:
    targets = DATABASE.properties("ProxyTargets")
    pool = targets["ConnectionPoolConfigurationInfo"]
    assert (targets["DBProxyName"], targets["DBInstanceIdentifiers"]) == ("${Proxy}", ["${Database}"])
    assert targets["TargetGroupName"] == "default"
    assert 10 <= pool["MaxIdleConnectionsPercent"] <= pool["MaxConnectionsPercent"] <= 90
    answer = inspect.signature(connection.connect_as).parameters["read_timeout"].default
    assert 1 <= pool["ConnectionBorrowTimeout"] <= answer / 2
    assert pool["ConnectionBorrowTimeout"] + answer + connection.TO_ANSWER_SECONDS < 29
    assert pool.keys() == {"MaxConnectionsPercent", "MaxIdleConnectionsPercent", "ConnectionBorrowTimeout"}


def test_the_proxy_keeps_a_connection_longer_than_its_callers_do() -> None:
    assert connection.RECYCLE_SECONDS < PROXY["IdleClientTimeout"] <= 3 * connection.RECYCLE_SECONDS


def ingress() -> set[tuple[str, str, str, int, int]]:
    rules = DATABASE.of_type("AWS::EC2::SecurityGroupIngress").values()
    assert not any("SecurityGroupIngress" in group for group in DATABASE.of_type("AWS::EC2::SecurityGroup").values())
    return {(r["SourceSecurityGroupId"], r["GroupId"], r["IpProtocol"], r["FromPort"], r["ToPort"]) for r in rules}


def egress() -> set[tuple[Any, ...]]:
    assert not DATABASE.of_type("AWS::EC2::SecurityGroupEgress")
    return {
        (f"${{{name}}}", r.get("DestinationSecurityGroupId", r.get("CidrIp")), r["IpProtocol"], *ports(r))
        for name, group in DATABASE.of_type("AWS::EC2::SecurityGroup").items()
        for r in group["SecurityGroupEgress"]
    }


def ports(rule: dict[str, Any]) -> tuple[Any, Any]:
    return rule.get("FromPort"), rule.get("ToPort")


def test_3306_is_let_in_from_client_to_proxy_to_database_and_from_migrator_to_database_and_nothing_else() -> None:
    assert ingress() == {
        (CLIENT, PROXY_GROUP, "tcp", 3306, 3306),
        (PROXY_GROUP, DATABASE_GROUP, "tcp", 3306, 3306),
        (MIGRATOR, DATABASE_GROUP, "tcp", 3306, 3306),
    }


def test_nothing_goes_out_but_3306_on_the_same_ways_and_https_of_client_and_migrator() -> None:
    assert egress() == {
        (CLIENT, PROXY_GROUP, "tcp", 3306, 3306),
        (CLIENT, "0.0.0.0/0", "tcp", 443, 443),
        (MIGRATOR, DATABASE_GROUP, "tcp", 3306, 3306),
        (MIGRATOR, "0.0.0.0/0", "tcp", 443, 443),
        (PROXY_GROUP, DATABASE_GROUP, "tcp", 3306, 3306),
        (DATABASE_GROUP, "127.0.0.1/32", "-1", None, None),
    }


def test_database_and_proxy_wear_their_own_security_group_and_no_other() -> None:
    assert INSTANCE["VPCSecurityGroups"] == [DATABASE_GROUP]
    assert PROXY["VpcSecurityGroupIds"] == [PROXY_GROUP]
    assert (INSTANCE["Port"], PROXY["DBProxyName"]) == ("3306", "kumiki-prod")
    assert {group["VpcId"] for group in DATABASE.of_type("AWS::EC2::SecurityGroup").values()} == {"${VpcId}"}


def test_descriptions_of_rules_are_such_as_ec2_accepts() -> None:
    groups = DATABASE.of_type("AWS::EC2::SecurityGroup").values()
    texts = [r["Description"] for g in groups for r in g["SecurityGroupEgress"] if "Description" in r]
    texts += [group["GroupDescription"] for group in groups]
    assert not [text for text in texts if not re.fullmatch(r"[\w .:/()#,@\[\]+=&;{}!$*-]{1,255}", text)]


def test_what_other_stacks_need_is_published_and_nothing_else() -> None:
    published = DATABASE.of_type("AWS::SSM::Parameter").values()
    assert {p["Type"] for p in published} == {"String"}
    assert {p["Name"].removeprefix("/kumiki/prod/database/"): p["Value"] for p in published} == {
        "client-security-group-id": CLIENT,
        "migrator-security-group-id": MIGRATOR,
        "proxy-endpoint": "${Proxy.Endpoint}",
        "proxy-resource-id": {"Fn::Select": [6, {"Fn::Split": [":", "${Proxy.DBProxyArn}"]}]},
        "endpoint": "${Database.Endpoint.Address}",
        "port": "${Database.Endpoint.Port}",
        "admin-secret-arn": "${Database.MasterUserSecret.SecretArn}",
        "instance-name": "${Database}",
        "proxy-name": "${Proxy}",
    }


def test_what_an_environment_has_is_taken_by_a_name_that_must_be_given_and_what_the_account_has_by_its_own() -> None:
    taken = {name: p for name, p in load("infra/database.yaml")["Parameters"].items() if p["Type"].startswith("AWS::")}
    assert all(p["Type"].startswith("AWS::SSM::") for p in taken.values())
    assert {name: p.get("Default") for name, p in taken.items()} == {
        "VpcId": None,
        "PrivateSubnetIds": None,
        "DataKeyArn": "/kumiki/account/data-key-arn",
        "LogsKeyArn": "/kumiki/account/logs-key-arn",
        "PermissionsBoundaryArn": "/kumiki/account/permissions-boundary-arn",
    }
