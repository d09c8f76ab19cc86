"""The living processes of this machine, as far as telling ours from others' needs. Standard library only."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    pid: int
    group: int
    started: str
    """The time of its start in the system's own words: two processes that had the same pid differ in it."""


def processes() -> list[Process]:
    """Without zombies."""
    return _from_proc() if sys.platform == "linux" else _from_ps()


def _from_proc() -> list[Process]:
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            # pid (name, which may contain anything) state ppid group …, and the time of the start as the 22nd
            state, _, group, *rest = file.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            found.append(Process(int(file.parent.name), int(group), rest[16]))
    return found


def _from_ps() -> list[Process]:
    listing = subprocess.run(["ps", "-axo", "pid=,pgid=,stat=,lstart="], capture_output=True, text=True, check=True)
    rows = (line.split(maxsplit=3) for line in listing.stdout.splitlines())
    return [Process(int(pid), int(group), started) for pid, group, state, started in rows if state[0] != "Z"]
