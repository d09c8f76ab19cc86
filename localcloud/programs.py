"""Programs that this local cloud started: each in a process group of its own, known by a file with its pid and the time
of its start, so that a number which the system gave to somebody else meanwhile is never taken for ours.
Standard library only."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from localcloud.home import REPOSITORY, Home
from localcloud.process_table import Process, processes

_children: dict[tuple[Home, str], subprocess.Popen[bytes]] = {}


class CommandFailed(Exception):
    """A command ended with another status than 0; its output is in the log of its name."""


def start(home: Home, name: str, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
    """Start a program in the background; what it prints goes to the log of its name, from the beginning."""
    log = home.log(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            env=environment,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[home, name] = child
    home.write(f"run-{name}.json", _identity(child.pid))


def run(home: Home, name: str, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
    """Run a command to its end; nothing of it is left when this returns or raises. Raises CommandFailed."""
    start(home, name, command, environment)
    try:
        status = _children[home, name].wait()
    finally:
        stop(home, name, grace=2)
    if status != 0:
        raise CommandFailed(f"{Path(command[0]).name} ended with status {status}: see {home.log(name)}")


def status(home: Home, name: str) -> int | None:
    """With which status a program that this very process started has ended; None while it runs."""
    return _children[home, name].poll()


def ended(home: Home, name: str, within: float = 0) -> bool:
    """Whether a program that this very process started has ended, or does so within so many seconds."""
    try:
        _children[home, name].wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True


def wait(home: Home, name: str, answers: Callable[[], bool], seconds: float = 60) -> None:
    """Until a program answers. Raises TimeoutError, also when it has ended."""
    deadline = time.monotonic() + seconds
    while not answers():
        if pid(home, name) is None or time.monotonic() > deadline:
            raise TimeoutError(f"{name} does not answer: see {home.log(name)}")
        time.sleep(0.05)


def pid(home: Home, name: str) -> int | None:
    """Of a program that runs; None of one that does not."""
    leader, started = _recorded(home, name)
    return leader if any((process.pid, process.started) == (leader, started) for process in _living()) else None


def vanished(home: Home, name: str) -> int | None:
    """The pid of a program that was started, was not stopped, and is gone; None if there is no such."""
    return (_recorded(home, name)[0] or None) if pid(home, name) is None else None


def stop(home: Home, name: str, grace: float = 20) -> None:
    """End a program and everything in its group: it is asked first, all are killed `grace` seconds later."""
    leader = _recorded(home, name)[0]
    deadline = time.monotonic() + grace
    if grace and pid(home, name):
        with suppress(ProcessLookupError):
            os.kill(leader, signal.SIGTERM)
    while pid(home, name) and time.monotonic() < deadline:
        time.sleep(0.02)
    while members(home, name):
        with suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGKILL)
        time.sleep(0.02)
    (home.root / f"run-{name}.json").unlink(missing_ok=True)
    _children.pop((home, name), None)


def known(home: Home) -> list[str]:
    """Names of all programs that were started and not stopped, running or vanished."""
    return [file.stem.removeprefix("run-") for file in home.root.glob("run-*.json")]


def started_here(home: Home) -> list[str]:
    """Names of the programs which this very process started and did not stop, latest first."""
    return [name for owner, name in reversed(_children) if owner == home]


def members(home: Home, name: str) -> list[int]:
    """Who is left in the group of a program. As long as anybody is, the system does not give its number away: a leader
    of that number with another start means that the whole group is gone."""
    leader, started = _recorded(home, name)
    living = _living()
    if leader == 0 or any(process.pid == leader and process.started != started for process in living):
        return []
    return [process.pid for process in living if process.group == leader]


def _recorded(home: Home, name: str) -> tuple[int, str]:
    """The pid and start of a program; 0 if there is none. One that was interrupted while it started has no file yet."""
    try:
        pid, started = json.loads((home.root / f"run-{name}.json").read_text())
    except FileNotFoundError:
        child = _children.get((home, name))
        return _identity(child.pid) if child else (0, "")
    return pid, started


def _identity(pid: int) -> tuple[int, str]:
    return pid, next((process.started for process in processes() if process.pid == pid), "")


def _living() -> list[Process]:
    for child in list(_children.values()):
        child.poll()  # lays to rest what has ended, which would stay a zombie
    return processes()
