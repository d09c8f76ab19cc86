"""What `sam build` makes of the sources, by running the makefile as it does."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.home import child_environment
from tests.infrastructure.templates import ROOT, load

MAKEFILE = ROOT / "services" / "Makefile"
HOST = f"{sys.version_info.major}.{sys.version_info.minor}"


def build(source: str, target: str, folder: Path, path: str | None = None, **variables: str) -> Path:
    """`variables` are the makefile's, `path` is where it finds programs."""
    folder.mkdir(exist_ok=True)
    scratch, artifacts = folder / "scratch", folder / "artifacts"
    shutil.copytree(ROOT / source, scratch, ignore=shutil.ignore_patterns("__pycache__"))
    artifacts.mkdir()
    settings = [f"{name}={value}" for name, value in {"ARTIFACTS_DIR": str(artifacts), **variables}.items()]
    command = ["make", "--no-print-directory", f"--makefile={MAKEFILE}", f"build-{target}", *settings]
    environment = child_environment(UV_PYTHON_DOWNLOADS="never", **({"PATH": path} if path else {}))
    subprocess.run(command, cwd=scratch, check=True, timeout=600, env=environment)
    return artifacts


@pytest.fixture
def path_without_python(tmp_path: Path) -> Path:
    """A folder with what the makefile needs and no Python, to put one into."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("sh", "make", "mkdir", "tar", "sed", "tr", "grep"):
        (folder / program).symlink_to(str(shutil.which(program)))
    (folder / "pip").symlink_to(str(shutil.which("true")))  # which functions have nothing to do for
    return folder


def test_makefile_and_template_are_about_the_same_target_by_default() -> None:
    [version], [architecture] = (
        re.findall(rf"^{name} \?= (\S+)$", MAKEFILE.read_text(), re.MULTILINE)
        for name in ("PYTHON_VERSION", "ARCHITECTURE")
    )
    parameters = load("template.yaml")["Parameters"]
    assert (f"python{version}", architecture) == (
        parameters["PythonRuntime"]["Default"],
        parameters["Architecture"]["Default"],
    )


@pytest.mark.parametrize(
    ("version", "architecture", "tag"),
    [("3.13", "arm64", "cpython-313-aarch64"), ("3.12", "x86_64", "cpython-312-x86_64")],
)
def test_the_layer_is_for_its_target_whatever_builds_it(
    version: str, architecture: str, tag: str, tmp_path: Path
) -> None:
    artifacts = build("layers/common", "CommonLayer", tmp_path, PYTHON_VERSION=version, ARCHITECTURE=architecture)
    assert {path.name.split(".")[1] for path in artifacts.rglob("*.so")} == {f"{tag}-linux-gnu"}
    assert (artifacts / "python" / "common" / "certificates" / "amazon.pem").exists()


@pytest.mark.parametrize(("function", "other"), [("OrdersApi", "consumer"), ("OrdersConsumer", "api")])
def test_a_service_keeps_its_package_but_for_the_other_functions_way_in(
    function: str, other: str, tmp_path: Path
) -> None:
    artifacts = build("services/orders", function, tmp_path, PYTHON_VERSION=HOST)
    sources = {path.stem for path in (ROOT / "services" / "orders").glob("*.py")}
    assert {path.relative_to(artifacts).with_suffix("") for path in artifacts.rglob("*.py")} == {
        Path("orders", name) for name in sources - {other}
    }


def test_without_a_python_of_the_targets_version_there_is_no_bytecode_which_is_refused_where_it_is_required(
    path_without_python: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = str(path_without_python)
    artifacts = build("services/orders", "OrdersApi", tmp_path / "wanted", path)
    assert (artifacts / "orders" / "api.py").exists()
    assert not list(artifacts.rglob("*.pyc"))
    assert "no bytecode: python3.13 does not run here" in capfd.readouterr().err
    with pytest.raises(subprocess.CalledProcessError):
        build("services/orders", "OrdersApi", tmp_path / "required", path, BYTECODE="required")


def test_a_python_of_the_targets_version_that_uv_fetches_will_do(path_without_python: Path, tmp_path: Path) -> None:
    uv = path_without_python / "uv"
    uv.write_text(
        f"""#!/bin/sh
        [ "$*" != "--version" ] || exit 0
        [ "$1 $2 $3 $4 $5 $6 $7" = "run -q --no-project --managed-python -p {HOST} python" ] && shift 7 || exit 2
        exec "{sys.executable}" "$@"
        """
    )
    uv.chmod(0o700)
    variables = {"PYTHON_VERSION": HOST, "BYTECODE": "required"}
    artifacts = build("services/orders", "OrdersApi", tmp_path / "fetched", str(path_without_python), **variables)
    assert {path.name.split(".")[0] for path in artifacts.rglob("*.pyc")} == {
        path.stem for path in artifacts.rglob("*.py")
    }


@pytest.mark.parametrize(
    ("source", "target"), [("services/orders", "OrdersConsumer"), ("layers/common", "CommonLayer")]
)
def test_the_same_source_gives_the_same_artifact(source: str, target: str, tmp_path: Path) -> None:
    """Of another layer, a deploy would change every function."""
    first, second = (
        {
            path.relative_to(artifacts): path.read_bytes()
            for artifacts in [build(source, target, tmp_path / run, PYTHON_VERSION=HOST)]
            for path in artifacts.rglob("*")
            if path.is_file()
        }
        for run in ("first", "second")
    )
    assert first.keys() == second.keys()
    assert [path for path in first if first[path] != second[path]] == []


def test_the_migrator_brings_every_services_sql_and_nothing_else(tmp_path: Path) -> None:
    artifacts = build("services", "Migrator", tmp_path)
    brought = {path.relative_to(artifacts) for path in artifacts.rglob("*") if path.is_file()}
    assert brought == {path.relative_to(ROOT / "services") for path in ROOT.glob("services/*/migrations/*.sql")}
