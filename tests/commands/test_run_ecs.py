"""`make run-ecs`, as a newcomer types it: orders settled, and the machine as it was."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud import ministack
from localcloud.home import REPOSITORY, Home
from tests.e2e.waiting import eventually

HOME = REPOSITORY / ".local" / "test-run-ecs"
ENVIRONMENT = os.environ | {"KUMIKI_HOME": str(HOME)}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux namespaces")


@pytest.fixture(scope="module", autouse=True)
def from_nothing() -> Iterator[None]:
    shutil.rmtree(HOME, ignore_errors=True)
    yield
    shutil.rmtree(HOME, ignore_errors=True)


def commands() -> set[str]:
    """Of all processes of this home, inside of the namespaces and outside: each has it in its environment."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(HOME).encode() in (folder / "environ").read_bytes():
                found.add((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def machine() -> dict[str, set[str]]:
    """What a shop could leave behind."""
    return {
        "processes": commands(),
        "interfaces": {name for _, name in socket.if_nameindex()},
        "mounts": set(Path("/proc/self/mounts").read_text().splitlines()),
        "names": {path.read_text() for path in map(Path, ("/etc/hosts", "/etc/resolv.conf"))},
        "files": {
            str(path)
            for path in (*Path("/run/netns").glob("*"), ministack.scratch(Home(HOME / "ecs")))
            if path.exists()
        },
    }


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "run-ecs", *arguments]
    environment = ENVIRONMENT | variables
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("discovery", ["cloud-map", "service-connect"])
def test_orders_are_played_and_nothing_is_left(discovery: str) -> None:
    before = machine()
    done = run(f"DISCOVERY={discovery}")
    assert done.returncode == 0, done.stdout + done.stderr
    story = [line.split()[2] for line in done.stdout.splitlines() if line.lstrip()[:1].isdigit() and " s  " in line]
    assert story[:5] == ["placed", "reserved", "confirmed", "shipped", "delivered"], done.stdout
    assert story[-2:] == ["cancelling", "cancelled"]
    assert "payment: refunded" in done.stdout
    assert machine() == before


def test_whatever_ends_it_ends_all_of_it() -> None:
    before = machine()
    for number in (signal.SIGTERM, signal.SIGKILL):
        command = [sys.executable, "-m", "localcloud.ecs", "run"]
        with subprocess.Popen(command, cwd=REPOSITORY, env=ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
            eventually(lambda: any("ecs.server" in command for command in commands()), 120)
            process.send_signal(number)
        eventually(lambda: machine() == before)


def test_where_namespaces_are_refused_it_says_so(tmp_path: Path) -> None:
    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n")
    refusing.chmod(0o755)
    done = run(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 2
    assert "does not let this user make namespaces: unshare: unshare failed: Operation not permitted" in done.stderr
    assert "Traceback" not in done.stderr
