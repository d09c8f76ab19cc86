"""All that guards a change, in parts, two side by side: `python -m tests.parts`, or `python -m tests.parts unit e2e`.
With `--long` the proofs in tests/faults run at full length.

Each part's output is in .local/test/parts/logs, and on the terminal if it fails. Nothing is left running, whatever
happens.
"""

import os
import signal
import sys
import time
from pathlib import Path

from localcloud import cloud, programs, servers
from localcloud.home import REGION, REPOSITORY, Home, child_environment, virtual_environment
from localcloud.steps import last_lines
from tests import budgets

TOGETHER = 2
CLOUD = Home(REPOSITORY / ".local" / "test")
"""The local cloud of the tests, apart from the one of `make run`: the end-to-end tests bring it up."""
PARTS = Home(CLOUD.root / "parts")

DEV = virtual_environment("dev") / "bin"
SAM = virtual_environment("sam") / "bin"
STACKS = [
    path
    for folder in ("infra", "ecs")
    for path in sorted(REPOSITORY.glob(f"{folder}/*.yaml"))
    if path.read_text(encoding="utf-8").startswith("AWSTemplateFormatVersion")
]
IN_NAMESPACES: list[str | Path] = [DEV / "python", "-m", "localcloud.ecs", "exec", "--", DEV / "pytest", "--design=ecs"]
UNDER_LOAD = [f"tests/ecs/test_{name}.py" for name in ("connections", "one_service_down", "under_load")]
# The longest first, so that the others fit beside it.
COMMANDS: dict[str, list[str | Path]] = {
    "e2e": [DEV / "pytest", "tests/e2e", "tests/contract", "tests/faults/deployed"],
    "faults": [DEV / "pytest", "tests/faults", "--ignore", "tests/faults/deployed", "-n2", "--dist=loadfile"],
    "commands": [DEV / "pytest", "tests/commands"],
    "ecs": [*IN_NAMESPACES, "tests/ecs", "tests/contract", "tests/faults/deployed/test_isolation.py"],
    "service-connect": [*IN_NAMESPACES, "--discovery=service-connect", *UNDER_LOAD],
    "integration": [DEV / "pytest", "tests/integration"],
    "unit": [DEV / "pytest", "tests/unit"],
    "infrastructure": [DEV / "pytest", "tests/infrastructure"],
    "types": [DEV / "mypy", *"services layers localcloud operations reference cost release ecs bench".split()],
    "template": [SAM / "sam", "validate", "--lint"],
    "stacks": [DEV / "cfn-lint", *STACKS],
    "lint": [DEV / "ruff", "check", "."],
    "format": [DEV / "ruff", "format", "--check", "."],
}


LONG = ("e2e", "faults", "ecs", "service-connect", "integration", "unit", "infrastructure")


def main(names: list[str], long: bool = False) -> int:
    start, waiting = time.monotonic(), [name for name in COMMANDS if not names or name in names]
    options = ["--long"] if long else []
    running: dict[str, float] = {}
    failed = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # whatever ends this ends all that it started
        signal.signal(number, signal.default_int_handler)
    try:
        cloud.down(CLOUD)  # of a run that was killed
        servers.install(PARTS)  # once, before several parts want it
        while waiting or running:
            while waiting and len(running) < TOGETHER:
                running[waiting[0]] = time.monotonic()
                _start(waiting[0], options if waiting[0] in LONG else [])
                del waiting[0]
            for name in [name for name in running if programs.status(PARTS, name) is not None]:
                if not _report(name, time.monotonic() - running.pop(name)):
                    failed.append(name)
            time.sleep(0.05)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    finally:
        for name in programs.known(PARTS):
            programs.stop(PARTS, name, grace=10)
        cloud.down(CLOUD)
    print(flush=True)
    budgets.main()
    took = f"{time.monotonic() - start:.0f} s"
    print(f"\nfailed after {took}: {', '.join(failed)}" if failed else f"\nall parts passed in {took}")
    return 1 if failed else 0


def _start(name: str, options: list[str]) -> None:
    # As in the Makefile: compiled modules beside the sources would look like changes to `sam build`.
    settings = {"PYTHONDONTWRITEBYTECODE": "1", "SAM_CLI_TELEMETRY": "0"}
    programs.start(PARTS, name, [*COMMANDS[name], *options], child_environment(AWS_DEFAULT_REGION=REGION, **settings))


def _report(name: str, seconds: float) -> bool:
    status, log = programs.status(PARTS, name), PARTS.log(name)
    programs.stop(PARTS, name)  # what it may have left
    if status != 0:
        print(log.read_text(errors="replace"))
    closing = (last_lines(log, 1) or [""])[0].strip("= ")
    print(f"{name:<16}{'passed' if status == 0 else 'FAILED'}{seconds:7.1f} s   {closing}", flush=True)
    return status == 0


if __name__ == "__main__":
    os.chdir(REPOSITORY)
    sys.exit(main([name for name in sys.argv[1:] if name != "--long"], "--long" in sys.argv))
