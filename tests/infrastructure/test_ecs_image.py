"""The image of the ECS design. There is no engine here to build it: its Dockerfile is read, and its steps are done."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from localcloud.home import virtual_environment
from release import image
from tests.infrastructure.templates import ROOT

PYTHON = virtual_environment("tools") / "bin" / "python"  # a bare one, with pip


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "ecs/Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line.strip()]


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage, without its FROM."""
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        elif found:
            found[-1].append((word, rest))
    return found


def of(stage: int, word: str) -> list[str]:
    return [rest for each, rest in stages()[stage] if each == word]


def pins(path: str) -> dict[str, str]:
    """Versions by package, as a file in the form of pip has them."""
    text = (ROOT / path).read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)(?:\[\w+\])?==([\w.]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


# What stands in it


def test_both_stages_are_on_one_base_that_is_pinned_and_can_be_pinned_by_digest() -> None:
    assert [rest for word, rest in instructions() if word == "FROM"] == ["${BASE} AS build", "${BASE}"]
    [base] = [rest for word, rest in instructions() if word == "ARG"]
    assert re.fullmatch(r"BASE=python:3\.13\.\d+-slim-bookworm(@sha256:[0-9a-f]{64})?", base)
    assert instructions()[0] == ("ARG", base)


def test_it_is_run_by_the_user_of_the_task_definitions_and_begins_the_server_without_a_shell() -> None:
    assert of(1, "USER") == ["10001:10001"]
    assert [json.loads(each) for each in of(1, "ENTRYPOINT") + of(1, "CMD")] == [["python", "-m"], ["ecs.server"]]
    assert of(1, "EXPOSE") == ["8080"]
    assert of(1, "STOPSIGNAL") == ["SIGTERM"]
    settings = dict(each.split("=", 1) for rest in of(1, "ENV") for each in shlex.split(rest))
    assert settings["PYTHONDONTWRITEBYTECODE"] == settings["PYTHONUNBUFFERED"] == "1"
    assert "HEALTHCHECK" not in {word for word, _ in instructions()}  # which ECS would not see


def test_nothing_but_what_was_built_is_taken_over_and_nothing_is_run_in_the_second_stage() -> None:
    assert of(1, "COPY") == ["--from=build /app /app"]
    assert not of(1, "RUN")


def test_no_step_is_about_one_architecture_and_none_fetches_but_pip() -> None:
    text = " ".join(rest for _, rest in instructions())
    assert not re.search(r"amd64|arm64|x86|aarch|TARGETARCH|curl|wget|apt", text)
    commands = [json.loads(rest) for rest in of(0, "RUN")]
    assert [command[:3] for command in commands[:2]] == [["python", "-m", "pip"], ["python", "-m", "compileall"]]
    assert commands[2:] == [["chmod", "-R", "a+rX", "."]]
    assert {"--require-hashes", "--only-binary=:all:"} <= set(commands[0])
    assert "ADD" not in {word for word, _ in instructions()}


def test_what_is_copied_is_there_and_is_what_the_tag_is_made_of() -> None:
    sources = [rest.split()[0] for rest in of(0, "COPY")]
    assert all((ROOT / source).exists() for source in sources)
    assert {"ecs/Dockerfile", *sources} == set(image.SOURCES)


def test_docker_is_given_what_is_copied_and_no_more() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    given = [rule[1:] for rule in rules if rule.startswith("!")]
    assert rules[0] == "*"
    assert sorted(given) == sorted(rest.split()[0] for rest in of(0, "COPY"))
    left_out = {rule for rule in rules[1:] if not rule.startswith("!")}
    assert left_out - {"ecs/Dockerfile"} == set(image.LEFT_OUT)


def test_requirements_are_those_of_the_layer_and_of_the_container_with_hashes_that_were_locked() -> None:
    own = pins("layers/common/requirements.txt") | pins("ecs/requirements.txt")
    for path in ROOT.glob("services/*/requirements.txt"):
        own |= pins(str(path.relative_to(ROOT)))
    assert pins("requirements/container.txt") == own
    locked, here = (
        set(re.findall(r"sha256:[0-9a-f]{64}", (ROOT / f"requirements/{name}.txt").read_text()))
        for name in ("dev", "container")
    )
    assert here
    assert here <= locked
    assert len(re.findall(r"==.* \\\n    --hash", (ROOT / "requirements/container.txt").read_text())) == len(own)


# The tag


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in image.files():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(image, "REPOSITORY", tmp_path)
    monkeypatch.delenv("BASE", raising=False)
    return tmp_path


def test_the_image_is_made_of_code_sql_and_certificates_and_of_no_template_or_command() -> None:
    files = image.files()
    assert {"ecs/server.py", "ecs/migrate.py", "ecs/runtime/wsgi.py", "services/orders/domain.py"} <= set(files)
    assert {"layers/common/certificates/amazon.pem", "layers/common/migrations/0001_messaging.sql"} <= set(files)
    assert not [f for f in files if fnmatch(f, "*.yaml") or "release" in f or "__pycache__" in f or "Makefile" in f]


def test_the_same_sources_have_the_same_tag_and_others_another(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = image.tag()
    assert re.fullmatch(r"[0-9a-f]{16}", first)
    (sources / "ecs/__pycache__").mkdir()
    (sources / "ecs/__pycache__/server.pyc").write_bytes(b"compiled")
    (sources / "ecs/service.yaml").write_text("a template")
    assert image.tag() == first
    (sources / "services/orders/domain.py").write_text("changed")
    second = image.tag()
    monkeypatch.setenv("BASE", "python:3.13@sha256:" + 64 * "0")
    assert len({first, second, image.tag()}) == 3


# Its steps, done


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What /app would be: each COPY and each RUN of the first stage, in a folder. Sources are their owner's alone."""
    app = tmp_path_factory.mktemp("app")
    kept = set(image.files())
    for word, rest in stages()[0]:
        if word == "COPY":
            source, target = rest.split()
            for name in sorted(n for n in kept if n == source or n.startswith(f"{source}/")):
                file = app / target / Path(name).relative_to(source) if name != source else app / target
                file.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, file)
                file.chmod(0o600)
                file.parent.chmod(0o700)
        elif word == "RUN":
            program, *arguments = json.loads(rest)
            command = [PYTHON if program == "python" else program, *arguments]
            subprocess.run(command, cwd=app, check=True, timeout=600, capture_output=True)
    return app


def run(app: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python as the container has it: nothing around but what is in the image."""
    settings = dict(each.split("=", 1) for rest in of(1, "ENV") for each in shlex.split(rest))
    settings["PYTHONPATH"] = settings["PYTHONPATH"].replace("/app", str(app))
    environment = {"PATH": os.environ["PATH"], **settings, **variables}
    command = [PYTHON, "-s", "-P", *arguments]
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, timeout=300)


def test_every_module_of_the_image_can_be_imported_out_of_it_alone(built: Path) -> None:
    folders = {"ecs": "ecs", "layers/common": "common", **{f"services/{s.name}": s.name for s in services()}}
    names = [
        ".".join((package, *file.relative_to(built / folder).with_suffix("").parts)).removesuffix(".__init__")
        for folder, package in folders.items()
        for file in sorted((built / folder).rglob("*.py"))
    ]
    assert len(names) > 60
    done = run(built, "-c", f"import importlib\nfor name in {names}: importlib.import_module(name)", AWS_REGION="x")
    assert (done.returncode, done.stderr) == (0, "")


def services() -> list[Path]:
    return sorted(path.parent for path in ROOT.glob("services/*/__init__.py"))


def test_everybody_can_read_it_wherever_it_was_made(built: Path) -> None:
    for path in [built, *built.rglob("*")]:
        wanted = 0o555 if path.is_dir() else 0o444
        assert path.stat().st_mode & wanted == wanted, path


def test_the_server_says_what_its_environment_lacks_and_the_migrator_too(built: Path) -> None:
    for module, variable in (("ecs.server", "SERVICE"), ("ecs.migrate", "DATABASE_HOST")):
        done = run(built, "-m", module)
        assert done.returncode == 1
        assert variable in done.stdout + done.stderr


def test_the_migrator_finds_the_sql_of_every_service(built: Path) -> None:
    done = run(
        built, "-c", "from ecs import migrate; print(*sorted(migrate.SERVICES.glob('*/migrations/*.sql')), sep='\\n')"
    )
    found = {str(Path(line).relative_to(built / "services")) for line in done.stdout.splitlines()}
    assert found == {str(path.relative_to(ROOT / "services")) for path in ROOT.glob("services/*/migrations/*.sql")}


def test_bytecode_is_in_it_and_is_never_checked(built: Path) -> None:
    for source in [*built.glob("ecs/**/*.py"), *built.glob("services/**/*.py"), *built.glob("layers/**/*.py")]:
        compiled = Path(importlib.util.cache_from_source(str(source)))
        assert compiled.exists(), source
        assert int.from_bytes(compiled.read_bytes()[4:8], "little") == 0b01  # PEP 552
