"""What ecs/migrator.yaml and ecs/repository.yaml promise: the stacks that are there before the services."""

import json

import msgspec
import pytest

from common import migrator
from tests.infrastructure.ecs_design import Design, production
from tests.infrastructure.ecs_design import design as made
from tests.infrastructure.templates import ROOT
from tests.infrastructure.test_ecs_service import rights

HERE = "ap-northeast-1:123456789012"


@pytest.fixture(scope="module")
def design() -> Design:
    return made("CLOUD_MAP")


@pytest.fixture(scope="module", name="production")
def _production() -> Design:
    return production()


def test_migrations_run_from_the_new_image_on_the_least_that_fargate_has_and_are_never_interrupted(
    design: Design, production: Design
) -> None:
    task, cluster = design.migrator.properties("TaskDefinition"), production.migrator.properties("Cluster")
    assert (task["Family"], task["RequiresCompatibilities"]) == ("kumiki-dev-migrator", ["FARGATE"])
    assert (task["NetworkMode"], task["Cpu"], task["Memory"]) == ("awsvpc", "256", "512")
    assert task["RuntimePlatform"] == {"CpuArchitecture": "ARM64", "OperatingSystemFamily": "LINUX"}
    assert (task["TaskRoleArn"], task["ExecutionRoleArn"]) == ("${TaskRole.Arn}", "${ExecutionRole.Arn}")
    [container] = task["ContainerDefinitions"]
    of_a_service = design.container("orders")
    same = ("Image", "User", "ReadonlyRootFilesystem", "LinuxParameters", "Essential")
    assert {key: container[key] for key in same} == {key: of_a_service[key] for key in same}
    assert (container["Name"], container["Command"], container["StopTimeout"]) == ("migrator", ["ecs.migrate"], 120)
    assert (ROOT / "ecs/migrate.py").exists()
    assert cluster == {
        "ClusterName": "kumiki-prod-migrator",  # apart from the services', which is not there yet
        "CapacityProviders": ["FARGATE"],
        "ClusterSettings": [{"Name": "containerInsights", "Value": "disabled"}],
    }


def test_the_migrator_is_told_where_the_database_itself_is_and_whose_secret_opens_it(design: Design) -> None:
    [container] = design.migrator.properties("TaskDefinition")["ContainerDefinitions"]
    found = {pair["Name"]: pair["Value"] for pair in container["Environment"]}
    assert found == {
        "AWS_REGION": "ap-northeast-1",
        "AWS_DEFAULT_REGION": "ap-northeast-1",
        "DATABASE_HOST": "${DatabaseEndpoint}",
        "DATABASE_PORT": "${DatabasePort}",
        "ADMIN_SECRET_ARN": "${DatabaseAdminSecretArn}",
        "POWERTOOLS_SERVICE_NAME": "migrator",
        "POWERTOOLS_METRICS_NAMESPACE": "Kumiki",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }
    assert len(found) == len(container["Environment"])
    read = msgspec.convert(found | {"DATABASE_PORT": "3306"}, migrator._Environment, strict=False)
    assert (read.database_host, read.database_password) == ("${DatabaseEndpoint}", "")


def test_the_migrator_may_read_that_secret_and_nothing_else_and_starting_it_takes_image_and_log(design: Design) -> None:
    repository = f"arn:aws:ecr:{HERE}:repository/kumiki-dev"
    pulls = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
    roles = design.migrator.of_type("AWS::IAM::Role")
    assert roles.keys() == {"TaskRole", "ExecutionRole"}
    assert rights(roles["TaskRole"]) == {("secretsmanager:GetSecretValue", "${DatabaseAdminSecretArn}")}
    assert rights(roles["ExecutionRole"]) == {
        ("ecr:GetAuthorizationToken", "*"),
        *((action, repository) for action in pulls),
        ("logs:CreateLogStream", "${LogGroup.Arn}"),
        ("logs:PutLogEvents", "${LogGroup.Arn}"),
    }
    for role in roles.values():
        assert role["PermissionsBoundary"] == "${PermissionsBoundaryArn}"
        [trust] = role["AssumeRolePolicyDocument"]["Statement"]
        assert (trust["Effect"], trust["Action"]) == ("Allow", "sts:AssumeRole")
        assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_what_the_migrator_says_is_waited_for_encrypted_and_kept_for_as_long_as_was_asked(
    design: Design, production: Design
) -> None:
    [container] = design.migrator.properties("TaskDefinition")["ContainerDefinitions"]
    log = container["LogConfiguration"]
    assert log["LogDriver"] == "awslogs"
    options = {"awslogs-group": "${LogGroup}", "awslogs-region": "ap-northeast-1", "awslogs-stream-prefix": "task"}
    assert log["Options"] == options  # blocking: nobody waits for an answer, and a word that is lost may be the reason
    for environment, stacks, days in (("dev", design, "30"), ("prod", production, "90")):
        name = f"/kumiki/{environment}/ecs/migrator"
        group = {"LogGroupName": name, "RetentionInDays": days, "KmsKeyId": "${LogsKeyArn}"}
        assert stacks.migrator.properties("LogGroup") == group


def test_whoever_runs_the_migrator_is_told_where(design: Design) -> None:
    assert design.migrator.outputs == {
        "Cluster": "${Cluster}",
        "TaskDefinition": "${TaskDefinition}",
        "SubnetIds": "${ProtectedSubnetIds}",
        "SecurityGroupId": "${MigratorSecurityGroupId}",
        "LogGroup": "${LogGroup}",
    }


def test_an_image_is_scanned_never_replaced_under_its_name_and_the_last_ones_are_kept(design: Design) -> None:
    [repository] = design.repository.of_type("AWS::ECR::Repository").values()
    assert repository["RepositoryName"] == "kumiki-dev"
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert repository["EmptyOnDelete"] is True
    last, listed = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert last["action"] == listed["action"] == {"type": "expire"}
    latest = {"tagStatus": "tagged", "tagPatternList": ["*"], "countType": "imageCountMoreThan", "countNumber": 20}
    assert (last["rulePriority"], last["selection"]) == (1, latest)
    # An index that goes leaves its images behind, without a tag: ECR lets them go only when none lists them any more.
    unlisted = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 7}
    assert (listed["rulePriority"], listed["selection"]) == (2, unlisted)
