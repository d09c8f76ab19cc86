"""Processes in which the emulator runs functions, and their connections to the database."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from localcloud import ministack, programs
from localcloud.home import Home
from localcloud.process_table import processes


def workers(home: Home, function: str) -> list[int]:
    """Pids of the function's warm execution environments, in this local cloud and no other. Linux only."""
    emulator, found = programs.pid(home, ministack.NAME), []
    assert emulator
    group = os.getpgid(emulator)  # functions have the same names in every local cloud
    for process in processes():
        if process.group != group:
            continue
        with suppress(OSError):
            variables = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
            if f"AWS_LAMBDA_FUNCTION_NAME={function}".encode() in variables and process.pid != emulator:
                found.append(process.pid)
    return found


def kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # one that was idle, which the emulator has ended meanwhile
            os.kill(pid, signal.SIGKILL)
