"""MiniStack, the AWS emulator: a process with a state that outlives it."""

import hashlib
import os
import shutil
import signal
import time
from pathlib import Path

import urllib3

from localcloud import programs
from localcloud.home import REGION, Home, child_environment, memory, virtual_environment

NAME = "ministack"
HTTP = urllib3.PoolManager(timeout=5, retries=False)


class NotUp(Exception):
    """Something is asked of a local cloud that does not run."""


def start(home: Home) -> None:
    """Start it with the state that was saved last and wait until it answers. Raises TimeoutError."""
    clean(home)
    scratch(home).mkdir(mode=0o700)
    environment = child_environment(
        AUTH="true",
        BIND_HOST=home.host,
        GATEWAY_PORT=str(home.settings.endpoint_port),
        MINISTACK_HOST=home.host,
        MINISTACK_REGION=REGION,
        PERSIST_STATE="1",
        S3_PERSIST="1",
        S3_DATA_DIR=str(state(home) / "s3"),
        STATE_DIR=str(state(home)),
        TMPDIR=str(scratch(home)),
        # Listeners that nobody here needs, on ports of their own.
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
    )
    emulator = Path(__file__).with_name("emulator.py")
    # -P: the modules of this folder must not be taken for others of the same name.
    programs.start(home, NAME, [virtual_environment("ministack") / "bin" / "python", "-P", emulator], environment)
    programs.wait(home, NAME, lambda: answers(home))


def answers(home: Home) -> bool:
    try:
        return HTTP.request("GET", f"{home.endpoint_url}/_ministack/health").status == 200
    except urllib3.exceptions.HTTPError:
        return False


def expect(home: Home) -> None:
    """Raises NotUp unless it runs."""
    if programs.pid(home, NAME) is None:
        raise NotUp("the local cloud is not up: `make run` brings it up")


def kill(home: Home) -> None:
    """End it unasked: asked, it would save what it knows now over the state that was known to be good."""
    programs.stop(home, NAME, grace=0)
    clean(home)


def clean(home: Home) -> None:
    """Remove what its functions unpacked."""
    shutil.rmtree(scratch(home), ignore_errors=True)


def save(home: Home) -> None:
    """Have the state written down, so that it survives a kill. Raises TimeoutError."""
    pid, mark = programs.pid(home, NAME), saved(home)
    mark.unlink(missing_ok=True)
    if pid:
        os.kill(pid, signal.SIGUSR1)
    deadline = time.monotonic() + 60
    while not mark.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("MiniStack does not save its state")
        time.sleep(0.02)


def state(home: Home) -> Path:
    return home.root / "ministack"


def saved(home: Home) -> Path:
    """Exists when there is a state to come back to."""
    return state(home) / "saved"


def scratch(home: Home) -> Path:
    """Where every cold start unpacks its code."""
    return memory() / f"kumiki-{hashlib.sha256(str(home.root).encode()).hexdigest()[:12]}"
