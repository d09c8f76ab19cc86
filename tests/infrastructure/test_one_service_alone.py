"""What a deploy touches when one thing has changed: really built, and compared resource by resource."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from localcloud.home import child_environment, memory, virtual_environment
from localcloud.sam import PARAMETERS, TARGET
from tests.infrastructure.lambda_design import SERVICES, parameters_of
from tests.infrastructure.templates import ROOT, render, yaml_parse

CODE = {"AWS::Lambda::Function", "AWS::Lambda::Version", "AWS::Lambda::Alias"}


class Checkout:
    """A copy of the sources, built by `sam build`, which builds again what has changed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("services", "layers", "infra"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "template.yaml", root)

    def resources(self) -> dict[str, Any]:
        """All resources that prod would be deployed with, the code of each by a hash of what was built."""
        path = f"{virtual_environment('tools') / 'bin'}:{os.environ['PATH']}"
        environment = child_environment(PATH=path, SAM_CLI_TELEMETRY="0", AWS_DEFAULT_REGION="ap-northeast-1", **TARGET)
        sam = virtual_environment("sam") / "bin" / "sam"
        options = ["--cached", "--parallel", "--parameter-overrides", *PARAMETERS]
        built = subprocess.run([sam, "build", *options], cwd=self.root, env=environment, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        folder = self.root / ".aws-sam" / "build"
        template = yaml_parse((folder / "template.yaml").read_text(encoding="utf-8"))
        for resource in template["Resources"].values():
            for key in ("CodeUri", "ContentUri"):
                if key in resource.get("Properties", {}):
                    resource["Properties"][key] = content_of(folder / resource["Properties"][key])
        return render(template, **parameters_of("prod")).resources

    @cached_property
    def before(self) -> dict[str, Any]:
        return self.resources()

    def changed_by(self, path: str, line: str) -> dict[str, str]:
        """By logical id, the types of the resources that another line in a file makes new, or other than they were."""
        before, file = self.before, self.root / path
        old = file.read_text(encoding="utf-8") if file.exists() else None
        file.write_text(f"{old or ''}{line}\n", encoding="utf-8")
        after = self.resources()
        if old is None:
            file.unlink()
        else:
            file.write_text(old, encoding="utf-8")
        return {name: made["Type"] for name, made in after.items() if before.get(name) != made}


def content_of(folder: Path) -> str:
    """As `sam deploy` names what it uploads: by what is in it, not by when that was made."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def checkout() -> Iterator[Checkout]:
    with tempfile.TemporaryDirectory(prefix="kumiki-checkout-", dir=memory()) as folder:
        yield Checkout(Path(folder))


def functions(changed: dict[str, str]) -> set[str]:
    return {name for name, kind in changed.items() if kind == "AWS::Lambda::Function"}


@pytest.mark.parametrize("service", ["orders", pytest.param("notifications", marks=pytest.mark.long)])
def test_a_line_of_one_service_touches_the_code_of_its_two_functions_and_nothing_else(
    service: str, checkout: Checkout
) -> None:
    changed = checkout.changed_by(f"services/{service}/domain.py", "# another line")
    assert functions(changed) == {f"{service.capitalize()}Api", f"{service.capitalize()}Consumer"}
    assert {name for name in changed if not name.startswith(service.capitalize())} == set()
    assert set(changed.values()) <= CODE


def test_a_migration_of_one_service_touches_the_migrator_and_runs_it(checkout: Checkout) -> None:
    changed = checkout.changed_by("services/orders/migrations/0099_note.sql", "ALTER TABLE orders ADD note INT NULL;")
    assert functions(changed) == {"Migrator"}
    others = {kind for name, kind in changed.items() if not name.startswith("Migrator")}
    assert others == {"Custom::Migrations"}


@pytest.mark.long
def test_the_layer_touches_every_function_and_runs_the_migrator(checkout: Checkout) -> None:
    changed = checkout.changed_by("layers/common/values.py", "# another line")
    assert functions(changed) == {f"{name}{kind}" for name in SERVICES for kind in ("Api", "Consumer")} | {"Migrator"}
    assert set(changed.values()) <= CODE | {"AWS::Lambda::LayerVersion", "AWS::SSM::Parameter", "Custom::Migrations"}


@pytest.mark.long
def test_a_test_or_a_document_touches_nothing(checkout: Checkout) -> None:
    assert checkout.changed_by("services/migrations.sha256", "# another line") == {}
