"""Documents say what is true: their commands are commands of this project, their paths exist."""

import re
import shlex
from pathlib import Path

import pytest
from botocore import xform_name
from botocore.session import get_session

from tests.infrastructure.templates import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
# Run by tests/commands or as a part of `make test` itself.
RUN = {"make run", "make run-ecs", "make stop", "make test", "make token", "make invoke"}
RUN |= {f"make {target}" for target in ("logs", "redrive", "consumer", "replay", "reconcile")}
RUN |= {".local/venv/dev/bin/python -m"}
RUN |= {"make cost"}  # in tests/infrastructure/test_cost.py
RUN |= {f"make {target}" for target in ("image", "deploy", "smoke", "destroy")}  # tests/infrastructure/test_release.py
ON_AWS = {"aws cognito-idp", "aws events", "aws sqs", "aws lambda", "aws rds", "aws ssm"}


def commands(document: Path) -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_is_one_that_runs_in_a_test_or_only_on_aws(document: Path) -> None:
    assert {" ".join(command[:2]) for command in commands(document)} <= RUN | ON_AWS


@pytest.mark.parametrize("command", [c for d in DOCUMENTS for c in commands(d) if c[0] == "aws"], ids=" ".join)
def test_aws_knows_the_call_and_its_parameters(command: list[str]) -> None:
    service = get_session().get_service_model(command[1])
    operation = next(name for name in service.operation_names if xform_name(name, "-") == command[2])
    given = {word.removeprefix("--") for word in command[3:] if word.startswith("--")}
    inputs = service.operation_model(operation).input_shape
    required = {xform_name(name, "-") for name in inputs.required_members}
    assert required <= given <= {xform_name(name, "-") for name in inputs.members}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = [document.parent / link for link in re.findall(r"\]\(([^)#:]+)\)", text)]
    paths = [ROOT / path for path in re.findall(r"`((?:[\w.]+/)+[\w.]*)`", text) if not path.startswith(".local")]
    missing = {str(path) for path in [*links, *paths] if not path.exists() and not _of_a_service(path)}
    assert not missing


def _of_a_service(path: Path) -> bool:
    """`migrations/` and the like stand for the same path in each service."""
    return any((service / path.relative_to(ROOT)).exists() for service in ROOT.glob("services/*/"))
