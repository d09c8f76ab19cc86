"""What GitHub runs for this project: with pinned actions, the least rights, and a role only where it deploys."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from release.target import CONFIGURATIONS, table
from tests.infrastructure import findings, rendered
from tests.infrastructure.templates import ROOT, load

FOLDER = ROOT / ".github" / "workflows"
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))}
WORKFLOWS = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
JOBS = [(name, job_name, job) for name, workflow in WORKFLOWS.items() for job_name, job in workflow["jobs"].items()]
STEPS = [(name, step) for name, _, job in JOBS for step in job.get("steps", [])]
DEPLOYS = {name: job for name, _, job in JOBS if "environment" in job}
READ = {"contents": "read"}


def triggers(name: str) -> Any:
    return WORKFLOWS[name][True]  # YAML takes `on` for a truth


def test_the_workflows_are_these() -> None:
    assert WORKFLOWS.keys() == {"test", "dev", "prod"}
    assert DEPLOYS.keys() == {"dev", "prod"}
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.yml" for name in WORKFLOWS}


def test_every_action_is_pinned_by_the_commit_and_says_which_version_that_is() -> None:
    uses = [line for text in TEXTS.values() for line in text.splitlines() if "uses:" in line]
    assert len(uses) == sum("uses" in step for _, step in STEPS) + sum("uses" in job for _, _, job in JOBS)
    for line in uses:
        assert re.search(
            r"uses: (\./\.github/workflows/test\.yml|[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$", line
        ), line
    pins = dict[str, set[str]]()
    for line in uses:
        if "@" in line:
            action, pin = line.split("uses: ")[1].split("@")
            pins.setdefault(action, set()).add(pin)
    assert all(len(found) == 1 for found in pins.values()), "an action is the same one everywhere"


def test_what_is_installed_beside_the_lock_files_is_pinned() -> None:
    installed = [
        word
        for _, step in STEPS
        if "pip install" in step.get("run", "")
        for word in step["run"].split("install")[1].split()
    ]
    assert installed == ["checkov==3.3.30"]


def test_a_token_may_read_and_nothing_else_and_a_role_is_asked_for_only_to_deploy() -> None:
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] == READ
    for name, _, job in JOBS:
        deploying = job.get("environment") is not None
        assert job.get("permissions", READ) == (READ | {"id-token": "write"} if deploying else READ)
        actions = [step.get("uses", "") for step in job.get("steps", [])]
        assert any("aws-actions/" in action for action in actions) == deploying, name


def test_code_of_strangers_never_gets_a_role() -> None:
    for name in WORKFLOWS:
        assert triggers(name).keys() <= {"pull_request", "push", "workflow_call"}
    assert "push" not in triggers("test")
    assert not any("environment" in job or "permissions" in job for name, _, job in JOBS if name == "test")
    assert all("pull_request" not in triggers(name) for name in DEPLOYS)


def test_dev_is_deployed_from_main_and_prod_from_a_tag() -> None:
    assert triggers("dev") == {"push": {"branches": ["main"]}}
    assert triggers("prod") == {"push": {"tags": ["v*"]}}


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_a_deploy_is_tested_first_happens_in_its_environment_and_is_not_cut_off(name: str) -> None:
    job = DEPLOYS[name]
    assert WORKFLOWS[name]["jobs"]["test"] == {"uses": "./.github/workflows/test.yml"}
    assert job["needs"] == "test"
    assert "if" not in job, "which would go on after a failure"
    assert job["environment"] == name
    assert job["concurrency"] == {"group": f"deploy-{name}", "cancel-in-progress": False}
    assert [step["run"] for step in job["steps"] if "run" in step] == [
        f"make deploy ENV={name} YES=1",
        f"make smoke ENV={name}",
    ]
    [role] = [step["with"] for step in job["steps"] if "aws-actions/" in step.get("uses", "")]
    assert role == {
        "role-to-assume": "${{ vars.DEPLOY_ROLE_ARN }}",
        "aws-region": table(CONFIGURATIONS["lambda"], name)["region"],
    }


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_role_trusts_the_environment_that_the_workflow_names_for_as_long_as_it_may_take(name: str) -> None:
    template = load("infra/delivery.yaml")
    assert (
        template["Parameters"][f"{name.capitalize()}Subject"]["Default"]
        == f"environment:{DEPLOYS[name]['environment']}"
    )
    role = template["Resources"][f"Deploy{name.capitalize()}Role"]["Properties"]
    assert DEPLOYS[name]["timeout-minutes"] * 60 < role["MaxSessionDuration"]
    assert f"/kumiki/account/deploy-{name}-role-arn" in TEXTS[name]
    assert template["Resources"][f"Deploy{name.capitalize()}RoleParameter"]["Properties"]["Name"] in TEXTS[name]


def test_every_job_ends_some_time() -> None:
    assert all(job.get("timeout-minutes", 0) <= 60 for _, _, job in JOBS)
    assert all("timeout-minutes" in job for _, _, job in JOBS if "uses" not in job)
    assert WORKFLOWS["test"]["concurrency"]["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"


def test_a_checkout_leaves_no_token_behind() -> None:
    checkouts = [step for _, step in STEPS if "actions/checkout@" in step.get("uses", "")]
    assert len(checkouts) == 4
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)


def test_there_is_no_secret_to_be_lost() -> None:
    for text in TEXTS.values():
        assert not re.search(
            r"secrets|AKIA|aws-access-key|aws-secret|password|\b\d{12}\b|https?://", text, re.IGNORECASE
        )


def test_no_command_is_put_together_from_what_somebody_else_wrote() -> None:
    assert not [step for _, step in STEPS if "${{" in step.get("run", "")]


def test_every_command_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for _, step in STEPS:
        for target in re.findall(r"\bmake (\S+)", step.get("run", "")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for module in re.findall(r"-m (tests\.\S+)", step.get("run", "")):
            assert (ROOT / f"{module.replace('.', '/')}.py").exists()


# What checkov is shown and what it may find


def test_every_check_that_is_skipped_has_its_reason() -> None:
    text = (ROOT / ".github/checkov.yaml").read_text(encoding="utf-8")
    skipped = yaml.safe_load(text)["skip-check"]
    reasons = dict(re.findall(r"^  - (CKV_AWS_\d+) +# (.+)$", text, re.MULTILINE))
    assert list(reasons) == skipped
    assert yaml.safe_load(text).keys().isdisjoint({"soft-fail", "check", "skip-path"})


def test_all_templates_are_looked_at_as_they_would_be_created(tmp_path: Path) -> None:
    written = {file.name: json.loads(file.read_text()) for file in rendered.write(tmp_path)}
    stacks = [
        p
        for p in (ROOT / "template.yaml", *ROOT.glob("infra/*.yaml"), *ROOT.glob("ecs/*.yaml"))
        if "Resources:" in p.read_text()
    ]
    seen = {re.sub("^(dev|prod)-", "", name) for name in written}
    assert seen == {str(path.relative_to(ROOT)).replace("/", "-").replace(".yaml", ".json") for path in stacks}
    functions = [r for r in written["prod-template.json"]["Resources"].values() if r["Type"] == "AWS::Lambda::Function"]
    assert functions, "after SAM"
    assert written["prod-infra-database.json"]["Resources"]["Database"]["Properties"]["MultiAZ"] is True
    assert written["dev-infra-database.json"]["Resources"]["Database"]["Properties"]["MultiAZ"] is False


@pytest.mark.parametrize(
    ("found", "resources", "good"), [(0, 100, True), (5, 100, True), (6, 100, False), (0, 0, False)]
)
def test_more_than_five_findings_in_a_hundred_resources_are_too_many(found: int, resources: int, good: bool) -> None:
    finding = {"check_id": "CKV_AWS_1", "file_path": "/a.json", "resource": "Queue", "check_name": "is good"}
    report = {"results": {"failed_checks": [finding] * found}, "summary": {"resource_count": resources}}
    lines, verdict = findings.told(report)
    assert verdict == good
    assert len(lines) == found + 1
