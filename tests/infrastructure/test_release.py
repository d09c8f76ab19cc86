"""`make image` and `make deploy`: what they run, in which order, and what they refuse. Docker and SAM are programs that
write down how they were called; ECR, CloudFormation and the rest are moto's."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import ReadTimeoutError

from localcloud.programs import CommandFailed
from release import Refused, __main__, change, checks, discovery, image, migration, stack
from release import deploy as deploying
from release.target import Target
from tests.infrastructure import aws as account
from tests.infrastructure.ecs_design import MODES, deployed_with, templates
from tests.infrastructure.templates import ROOT, load
from tests.infrastructure.templates import stack as rendered

REGION = "ap-northeast-1"
OUTPUTS = {
    "Cluster": "cluster",
    "TaskDefinition": "migrator:1",
    "SubnetIds": "subnet-a,subnet-b",
    "SecurityGroupId": "sg-migrator",
    "LogGroup": "/kumiki/dev/ecs/migrator",
}
MIGRATOR = "kumiki-ecs-migrator-dev"
PROGRAM = f"""#!{sys.executable}
import json, sys
called = [sys.argv[0].rpartition("/")[2], *sys.argv[1:]]
given = sys.stdin.read() if "--password-stdin" in called else ""
with open({{calls!r}}, "a") as file:
    file.write(json.dumps([called, given]) + "\\n")
"""


class Programs:
    """Docker and SAM, and what they were called with."""

    def __init__(self, folder: Path) -> None:
        self.calls_file = folder / "calls"
        self.folder = folder / "venv" / "bin"
        self.folder.mkdir(parents=True)
        self.calls_file.touch()
        for name in ("docker", "sam"):
            (self.folder / name).write_text(PROGRAM.format(calls=str(self.calls_file)))
            (self.folder / name).chmod(0o755)

    def note(self, *words: str) -> None:
        with self.calls_file.open("a") as file:
            file.write(json.dumps([words, ""]) + "\n")

    def calls(self, program: str) -> list[list[str]]:
        return [call for call, _ in self.all() if call[0] == program]

    def all(self) -> list[tuple[list[str], str]]:
        return [tuple(json.loads(line)) for line in self.calls_file.read_text().splitlines()]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    made = Programs(tmp_path)
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    monkeypatch.setattr(change, "virtual_environment", lambda name: tmp_path / "venv")
    monkeypatch.setattr(stack, "BUILD", tmp_path)
    monkeypatch.delenv("BASE", raising=False)

    def build(home: object, folder: Path, environment: str) -> None:
        made.note("build", environment)
        (folder / "build").mkdir(exist_ok=True)
        shutil.copy(ROOT / "template.yaml", folder / "build")

    monkeypatch.setattr(deploying.sam, "build", build)
    for module, what, told in (
        ("protection", "put", "protect"),
        ("front_door", "put_before_callers", "before callers"),
    ):
        monkeypatch.setattr(getattr(deploying, module), what, partial(_noted, made, told))  # moto cannot
    return made


def _noted(programs: Programs, told: str, target: Target, name: str) -> None:
    programs.note(told, name)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account in which a shop of either design could be made; moto does not say what Lambda may in it."""
    monkeypatch.setattr(checks, "concurrency", lambda target: 1000)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "moto")
    with mock_aws():
        boto3.client("ecr", region_name=REGION).create_repository(repositoryName="kumiki-dev")
        ssm = boto3.client("ssm", region_name=REGION)
        for name in published():
            ssm.put_parameter(Name=name, Value="some", Type="String")
        boto3.client("ses", region_name=REGION).verify_domain_identity(Domain="example.com")
        yield


def published() -> set[str]:
    """What stacks take from Parameter Store."""
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in ROOT.glob("**/samconfig.toml")]
    own = set(re.findall(r"/kumiki/(?:dev|prod)/[a-z/-]+", str(tables)))
    return own | {f"/kumiki/account/{name}" for name in account.PUBLISHED}


def push() -> str:
    """What `docker buildx build --push` does at the other end. Returns the digest."""
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": []}
    put = boto3.client("ecr", region_name=REGION).put_image
    found = put(repositoryName="kumiki-dev", imageManifest=json.dumps(manifest), imageTag=image.tag())
    return str(found["image"]["imageId"]["imageDigest"])


def create(name: str, parameters: dict[str, str] | None = None, outputs: dict[str, str] | None = None) -> None:
    """A stack of that name that there is already."""
    given = parameters or {}
    template = {
        "Parameters": {key: {"Type": "String"} for key in given},
        "Resources": {"Log": {"Type": "AWS::Logs::LogGroup"}},
        "Outputs": {key: {"Value": value} for key, value in (outputs or {}).items()},
    }
    boto3.client("cloudformation", region_name=REGION).create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
    )


def deployed(programs: Programs) -> list[tuple[str, dict[str, str]]]:
    """The tables by which SAM was asked for stacks, with the parameters that were given; builds and migrations."""
    found = []
    for call, _ in programs.all():
        if call[0] != "sam":
            found.append((" ".join(call), {}))
            continue
        [key] = [word.removeprefix("--config-env=") for word in call if word.startswith("--config-env=")]
        at = call.index("--parameter-overrides") + 1 if "--parameter-overrides" in call else len(call)
        found.append((key, dict(word.split("=", 1) for word in call[at:])))
    return found


# The image


def test_an_image_is_built_for_both_architectures_and_pushed_under_a_tag_of_its_sources(
    aws: None, programs: Programs
) -> None:
    assert __main__.main(["image", "dev"]) == 0
    [repository] = programs.calls("sam")
    assert repository[1] == "deploy"
    assert {f"--template-file={ROOT}/ecs/repository.yaml", "--config-env=dev-repository"} <= set(repository)
    login, build = programs.calls("docker")
    assert login[1:5] == ["login", "--username", "AWS", "--password-stdin"]
    uri = "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com"
    assert uri in login[5]
    wanted = f"buildx build --platform linux/amd64,linux/arm64 --file ecs/Dockerfile --tag {uri}/kumiki-dev:"
    assert build[1:] == [*shlex.split(f"{wanted}{image.tag()} --push"), "."]


def test_the_registrys_password_is_on_no_command_line(aws: None, programs: Programs) -> None:
    __main__.main(["image", "dev"])
    [password] = [given for call, given in programs.all() if "login" in call]
    assert password
    assert password not in " ".join(word for call, _ in programs.all() for word in call)


def test_an_image_that_is_there_is_not_built_again(aws: None, programs: Programs) -> None:
    push()
    assert __main__.main(["image", "dev"]) == 0
    assert not programs.calls("docker")


def test_a_base_can_be_pinned_by_its_digest(aws: None, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    base = "python:3.13-slim@sha256:" + 64 * "0"
    monkeypatch.setenv("BASE", base)
    __main__.main(["image", "dev"])
    build = programs.calls("docker")[1]
    assert build[build.index("--build-arg") + 1] == f"BASE={base}"


# The deploy


@pytest.fixture
def migrated(monkeypatch: pytest.MonkeyPatch, programs: Programs) -> None:
    """The migrator's task ends well, and is told among the calls."""
    monkeypatch.setattr(migration, "run", lambda target, name: programs.note("migrate", name))


DEPLOY = ["deploy", "dev", "--yes", "1", "--email", "who@example.com"]


def test_the_platform_comes_before_the_shop_and_a_database_is_protected_when_it_stands(
    aws: None, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(DEPLOY) == 0
    told = deployed(programs)
    assert [key for key, _ in told] == [
        "account-bootstrap",
        "dev-network",
        "dev-database",
        "build dev",
        "dev",
        "before callers kumiki-dev",
    ]
    assert told[0][1] == {"AlertEmail": "who@example.com", "EcsServiceLinkedRole": "make"}
    said = capsys.readouterr().out
    assert "account 123456789012, ap-northeast-1" in said
    assert "kumiki-delivery\n  is not there, and not asked for: REPOSITORY=" in said
    assert "kumiki-dev-endpoints\n  is not there, and not asked for: ENDPOINTS=" in said
    assert "warning" not in said


def protections(programs: Programs, name: str) -> list[tuple[str, str]]:
    return [(key, given[name]) for key, given in deployed(programs) if name in given]


def test_prod_is_created_without_its_protections_and_protected_when_it_stands(
    aws: None, programs: Programs, committed: Path
) -> None:
    __main__.main(["deploy", "prod", *DEPLOY[2:]])
    assert protections(programs, "DeletionProtection") == [("prod-database", "false"), ("prod-database", "true")]
    assert protections(programs, "UserPoolDeletionProtection") == [("prod", "INACTIVE"), ("prod", "ACTIVE")]
    told = [key for key, _ in deployed(programs) if "protect" in key]
    assert told == ["protect kumiki-prod-database", "protect kumiki-prod"]


def test_what_is_protected_stays_so(aws: None, programs: Programs, committed: Path) -> None:
    create("kumiki-prod-database")
    create("kumiki-prod")
    __main__.main(["deploy", "prod", *DEPLOY[2:]])
    assert protections(programs, "DeletionProtection") == [("prod-database", "true")]
    assert protections(programs, "UserPoolDeletionProtection") == [("prod", "ACTIVE")]


def test_who_is_woken_by_executions_is_so_before_the_accounts_own_quota_is_used_up(
    aws: None, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "concurrency", lambda target: 10)  # a new account's: 800 could never be reached
    assert __main__.main(DEPLOY) == 0
    assert dict(deployed(programs))["dev"]["ConcurrencyNear"] == "8"
    environment = {"Environment": "dev", "ConcurrencyNear": "8"}
    monitoring = rendered("template.yaml", **environment).properties("Monitoring")["Parameters"]
    given = {name: str(monitoring[name]) for name in ("Environment", "Prefix", "ConcurrencyNear")}
    assert rendered("infra/monitoring.yaml", **given).properties("Concurrency")["Threshold"] == "8"


def test_every_protection_that_a_template_has_is_known_to_the_deploy() -> None:
    templates = [ROOT / "template.yaml", ROOT / "ecs/template.yaml", ROOT / "infra/database.yaml"]
    declared = {name for path in templates for name in load(str(path.relative_to(ROOT)))["Parameters"]}
    assert {name for name in declared if "Protection" in name} - {"ThreatProtection"} == deploying.PROTECTIONS.keys()


def test_what_is_optional_comes_when_it_is_asked_for_and_is_kept_from_then_on(aws: None, programs: Programs) -> None:
    for asked in (["--repository", "owner/name", "--endpoints", "1"], []):
        assert __main__.main([*DEPLOY, *asked]) == 0
        told = dict(deployed(programs))
        assert list(told)[1:4] == ["account-delivery", "dev-network", "dev-endpoints"]
        if asked:
            assert told["account-delivery"] == {"Repository": "owner/name", "GitHubProvider": "make"}
        else:
            assert not told["account-delivery"], "as it was"
        programs.calls_file.write_text("")
        for name in ("kumiki-delivery", "kumiki-dev-endpoints"):
            if asked:
                create(name)


def test_what_an_account_has_is_not_made_twice(aws: None, programs: Programs) -> None:
    iam = boto3.client("iam", region_name=REGION)
    iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")
    iam.create_open_id_connect_provider(Url="https://token.actions.githubusercontent.com", ThumbprintList=[40 * "0"])
    assert __main__.main([*DEPLOY, "--repository", "owner/name"]) == 0
    told = dict(deployed(programs))
    assert told["account-bootstrap"]["EcsServiceLinkedRole"] == "exists"
    assert told["account-delivery"]["GitHubProvider"] == "exists"


def test_an_account_without_bootstrap_asks_who_is_told_about_money(
    aws: None, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["deploy", "dev", "--yes", "1"]) == 1
    assert "kumiki-bootstrap is not there yet, and comes first: say EMAIL=" in capsys.readouterr().err
    assert not programs.all()


def test_who_may_not_touch_the_platform_deploys_the_application_alone(
    aws: None, programs: Programs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the roles of infra/delivery.yaml, to whom the names of the platform's stacks are refused."""
    real = stack.described

    def described(target: Target, name: str) -> Any:
        if name == "kumiki-dev-network":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "explicit deny"}}, "DescribeStacks")
        return real(target, name)

    monkeypatch.setattr(stack, "described", described)
    assert __main__.main(["deploy", "dev", "--yes", "1"]) == 0
    assert [key for key, _ in deployed(programs)] == ["build dev", "dev", "before callers kumiki-dev"]
    assert "the application comes alone" in capsys.readouterr().out


@pytest.mark.parametrize("design", ["lambda", "ecs"])
def test_stacks_that_would_not_find_each_other_are_not_begun(
    design: str,
    aws: None,
    programs: Programs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    elsewhere = tmp_path / "samconfig.toml"
    elsewhere.write_text((ROOT / "infra/samconfig.toml").read_text().replace(REGION, "eu-central-1"))
    platform = stack.platform
    monkeypatch.setattr(
        stack,
        "platform",
        lambda environment: [replace(each, configuration=elsewhere) for each in platform(environment)],
    )
    assert __main__.main([*DEPLOY, "--design", design]) == 1
    assert (
        "dev is in ap-northeast-1, but samconfig.toml has kumiki-dev-network in eu-central-1" in capsys.readouterr().err
    )
    assert not programs.all()


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_COMPLETE", "ROLLBACK_COMPLETE", "UPDATE_COMPLETE", None])
def test_a_stage_that_was_rolled_back_has_what_a_parameter_alone_had_changed_before(
    status: str | None, aws: None, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CloudFormation leads it back to the API that it deployed itself, and knows of no other."""

    def fail(*_: object) -> None:
        found = {"StackStatus": status} if status else None
        monkeypatch.setattr(stack, "described", lambda target, name: found)
        raise Refused(f"kumiki-dev ended in {status}")

    monkeypatch.setattr(deploying, "_functions", fail)
    assert __main__.main(DEPLOY) == 1
    told = [key for key, _ in deployed(programs)]
    assert ("before callers kumiki-dev" in told) == (status == "UPDATE_ROLLBACK_COMPLETE")


def test_schemas_are_brought_up_to_date_by_the_new_image_before_services_change(
    aws: None, programs: Programs, migrated: None
) -> None:
    digest = push()
    assert __main__.main([*DEPLOY, "--design", "ecs"]) == 0
    repository, before, run, after, last = deployed(programs)[-5:]
    assert repository[0] == "dev-repository"
    assert run[0] == "migrate kumiki-ecs-migrator-dev"
    assert last[0] == "before callers kumiki-ecs-dev"
    uri = f"123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/kumiki-dev@{digest}"
    for (told, given), template, key in ((before, "migrator", "dev-migrator"), (after, "template", "dev")):
        assert (told, given) == (key, deployed_with(key) | {"Image": uri})
        assert given.keys() <= templates()[template]["Parameters"].keys()


def test_the_first_cluster_of_an_account_finds_the_role_by_which_ecs_acts(
    aws: None, programs: Programs, migrated: None
) -> None:
    push()
    for _ in "twice":
        assert __main__.main([*DEPLOY, "--design", "ecs"]) == 0
        [role] = boto3.client("iam").list_roles(PathPrefix="/aws-service-role/")["Roles"]
        assert role["Path"] == "/aws-service-role/ecs.amazonaws.com/"


def test_what_has_no_image_is_not_deployed(
    aws: None, programs: Programs, migrated: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main([*DEPLOY, "--design", "ecs"]) == 1
    assert "make image ENV=dev" in capsys.readouterr().err
    assert deployed(programs)[-1][0] == "dev-repository"


def test_services_stay_as_they_are_when_a_migration_fails(
    aws: None, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(target: Target, name: str) -> None:
        raise Refused("the migrator ended with 1")

    monkeypatch.setattr(migration, "run", fail)
    push()
    assert __main__.main([*DEPLOY, "--design", "ecs"]) == 1
    assert deployed(programs)[-1][0] == "dev-migrator"


@pytest.mark.parametrize(("design", "other"), [("lambda", "kumiki-ecs-dev"), ("ecs", "kumiki-dev")])
def test_an_environment_has_one_design(
    aws: None, programs: Programs, design: str, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    create(other)
    assert __main__.main([*DEPLOY, "--design", design]) == 1
    assert f"dev has the other design, {other}" in capsys.readouterr().err
    assert not programs.all()


@pytest.mark.parametrize("environment", ["local", "staging", ""])
def test_an_environment_that_is_none_is_refused_by_name(
    environment: str, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("image", "deploy"):
        assert __main__.main([command, environment]) == 2
        assert "say ENV= and one of dev, prod" in capsys.readouterr().err
    assert not programs.all()


@pytest.mark.parametrize(
    ("command", "place", "failure"),
    [
        ("deploy", "deploy", CommandFailed("sam build ended with 1")),
        ("smoke", "smoke.door", ReadTimeoutError(HTTPConnectionPool("shop"), "/orders", "read timed out")),
        ("destroy", "destroy", EOFError()),
    ],
    ids=["a build fails", "the shop does not answer", "nobody answers a question"],
)
def test_what_goes_wrong_is_told_without_a_traceback(
    command: str, place: str, failure: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(f"release.__main__.{place}", fail)
    assert __main__.main([command, "dev"]) in (1, 130)
    assert str(failure) in capsys.readouterr().err


@pytest.mark.parametrize("command", ["image", "deploy", "smoke", "destroy"])
def test_make_runs_them(command: str) -> None:
    asked = ["make", "-n", command, "ENV=dev", "DESIGN=ecs", "YES=1"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert f'-m release --design "ecs" --yes "1" {command} dev' in done.stdout


def test_what_an_account_has_once_is_destroyed_for_a_1_and_not_for_a_variable_of_that_name() -> None:
    for said, meant in (("1", True), ("123456789012", False)):
        asked = ["make", "-n", "destroy", "ENV=dev"]
        environment = os.environ | {"ACCOUNT": said}
        done = subprocess.run(asked, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
        assert ("--account" in done.stdout) == meant


# What prod is deployed from


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A commit with a tag, in place of the project's own."""
    folder = tmp_path / "source"
    folder.mkdir()
    monkeypatch.setattr(checks, "REPOSITORY", folder)
    (folder / "file").write_text("1")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=n", "-c", "user.email=e@example.com", "commit", "-qm", "first")
    git(folder, "tag", "v1")
    return folder


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, timeout=300)


def test_prod_is_deployed_from_a_tag(committed: Path) -> None:
    assert checks.source("prod").endswith(" v1")
    git(committed, "tag", "-d", "v1")
    with pytest.raises(Refused, match=r"from a tag, and \w+ has none"):
        checks.source("prod")
    assert checks.source("dev")


def test_prod_is_deployed_from_nothing_but_a_commit(committed: Path) -> None:
    (committed / "new").write_text("2")
    with pytest.raises(Refused, match=r"(?s)here is more:.*new"):
        checks.source("prod")
    assert checks.source("dev").endswith("with changes that are in no commit")


def test_prod_is_asked_for_by_name_before_anything_is_looked_at(
    aws: None, programs: Programs, committed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["deploy", "prod"]) == 1
    assert "deploy to prod there?" in capsys.readouterr().out
    assert not programs.all()


# What is asked of the account first


def test_a_sender_that_ses_has_not_verified_is_a_warning(
    aws: None, programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    boto3.client("ses", region_name=REGION).delete_identity(Identity="example.com")
    assert __main__.main(DEPLOY) == 0
    assert "warning: SES has verified neither shop@example.com nor its domain" in capsys.readouterr().out


# From one way of discovery to another


@pytest.mark.parametrize(("now", "wanted"), [(m, m) for m in MODES] + [(None, "CLOUD_MAP"), (None, "BOTH")])
def test_discovery_stays_or_begins_where_every_name_is_found(now: str | None, wanted: str) -> None:
    discovery.check(now, wanted)


@pytest.mark.parametrize("step", [("CLOUD_MAP", "BOTH"), ("BOTH", "SERVICE_CONNECT")])
def test_discovery_changes_by_one_step(step: tuple[str, str]) -> None:
    discovery.check(*step)
    discovery.check(*reversed(step))


@pytest.mark.parametrize("leap", [("CLOUD_MAP", "SERVICE_CONNECT"), ("SERVICE_CONNECT", "CLOUD_MAP")])
def test_discovery_does_not_leap(leap: tuple[str, str]) -> None:
    with pytest.raises(Refused, match="through BOTH"):
        discovery.check(*leap)


def test_service_connect_is_no_beginning() -> None:
    with pytest.raises(Refused, match="begin with"):
        discovery.check(None, "SERVICE_CONNECT")


def test_how_services_find_each_other_now_is_asked_of_their_stack(
    aws: None, programs: Programs, migrated: None, capsys: pytest.CaptureFixture[str]
) -> None:
    create("kumiki-ecs-dev", {"DiscoveryMode": "SERVICE_CONNECT"})
    push()
    assert __main__.main([*DEPLOY, "--design", "ecs"]) == 1
    assert "from SERVICE_CONNECT to CLOUD_MAP go through BOTH" in capsys.readouterr().err
    assert "dev-repository" not in dict(deployed(programs))


# The migrator's task


class Ecs:
    """ECS for one task, that ends with `status`."""

    def __init__(self, status: int | None, failures: list[Any] | None = None) -> None:
        self.status, self.failures, self.asked = status, failures or [], dict[str, Any]()

    def run_task(self, **asked: Any) -> dict[str, Any]:
        self.asked = asked
        return {"tasks": [] if self.failures else [{"taskArn": "task"}], "failures": self.failures}

    def get_waiter(self, name: str) -> "Ecs":
        assert name == "tasks_stopped"
        return self

    def wait(self, cluster: str, tasks: list[str], **_: Any) -> None:
        assert (cluster, tasks) == ("cluster", ["task"])

    def describe_tasks(self, cluster: str, tasks: list[str]) -> dict[str, Any]:
        container = {} if self.status is None else {"exitCode": self.status}
        return {"tasks": [{"containers": [container], "stoppedReason": "CannotPullContainerError"}]}


@pytest.fixture
def migrator(aws: None) -> Callable[["Ecs"], Target]:
    create(MIGRATOR, outputs=OUTPUTS)
    target = Target("dev", "ecs")

    def with_ecs(fake: Ecs) -> Target:
        target.clients["ecs"] = fake
        return target

    return with_ecs


def test_the_migrator_runs_where_its_stack_says_and_has_no_public_address(migrator: Any) -> None:
    ecs = Ecs(0)
    migration.run(migrator(ecs), MIGRATOR)
    assert ecs.asked["cluster"] == "cluster"
    assert ecs.asked["taskDefinition"] == "migrator:1"
    assert ecs.asked["networkConfiguration"]["awsvpcConfiguration"] == {
        "subnets": ["subnet-a", "subnet-b"],
        "securityGroups": ["sg-migrator"],
        "assignPublicIp": "DISABLED",
    }


@pytest.mark.parametrize(
    ("ecs", "says"),
    [
        (Ecs(1), "ended with 1"),
        (Ecs(None), "CannotPullContainerError"),
        (Ecs(0, [{"reason": "RESOURCE:ENI"}]), "RESOURCE:ENI"),
    ],
)
def test_a_migration_that_failed_says_why_and_where_to_read_on(migrator: Any, ecs: Ecs, says: str) -> None:
    with pytest.raises(Refused, match=says):
        migration.run(migrator(ecs), MIGRATOR)


def test_what_the_migrators_stack_tells_is_what_running_it_takes() -> None:
    assert templates()["migrator"]["Outputs"].keys() == OUTPUTS.keys()


def test_boto3_takes_what_the_migrator_is_run_with(migrator: Any) -> None:
    ecs = Ecs(0)
    migration.run(migrator(ecs), MIGRATOR)
    service = boto3.client("ecs", region_name=REGION).meta.service_model
    members = service.operation_model("RunTask").input_shape.members
    assert ecs.asked.keys() <= members.keys()
