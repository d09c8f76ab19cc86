"""Who may import whom. A service must be liftable out of this repository, and its domain out of AWS."""

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/__init__.py"))
LAYER = ROOT / "layers" / "common"
AROUND = {"bench", "localcloud", "operations", "reference", "release", "tests"}


def imports(path: Path) -> set[str]:
    """Names of the modules that a file imports, anywhere in it, with all that a `from` may take out of them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.update([str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)])
    return found


def packages(folder: Path) -> set[str]:
    return {name.partition(".")[0] for path in folder.rglob("*.py") for name in imports(path)}


@cache
def reached(service: str, module: str) -> set[str]:
    """What a module imports from outside of its service, by itself or through its neighbours."""
    found = set()
    for name in imports(ROOT / "services" / service / f"{module}.py"):
        package, _, rest = name.partition(".")
        neighbour = rest.partition(".")[0]
        if package != service:
            found.add(package)
        elif neighbour and (ROOT / "services" / service / f"{neighbour}.py").exists():
            found |= reached(service, neighbour)
    return found


def test_there_are_services_to_look_at() -> None:
    assert {"orders"} <= set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_a_domain_needs_nothing_but_the_standard_library(service: str) -> None:
    assert reached(service, "domain") <= sys.stdlib_module_names


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_no_other(service: str) -> None:
    assert packages(ROOT / "services" / service) & {*SERVICES, *AROUND} <= {service}


def test_the_layer_imports_no_service() -> None:
    assert not packages(LAYER) & {*SERVICES, *AROUND}


def test_what_a_container_has_around_a_service_imports_none() -> None:
    assert not packages(ROOT / "ecs" / "runtime") & {*SERVICES, *AROUND}


def test_the_containers_import_nothing_that_is_not_in_their_image() -> None:
    own = {name for path in (ROOT / "ecs").glob("*.py") for name in imports(path)}
    assert not ({name.partition(".")[0] for name in own} | packages(ROOT / "ecs" / "runtime")) & AROUND
