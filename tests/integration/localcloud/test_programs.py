"""Programs are told from others that have their number, and end with all that they started."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcloud import programs
from localcloud.home import Home, child_environment
from localcloud.process_table import processes

PARENT_OF_ONE = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    for name in programs.known(home):
        programs.stop(home, name, grace=0)


def start(home: Home, code: str) -> int:
    programs.start(home, "sample", [sys.executable, "-c", code], child_environment())
    pid = programs.pid(home, "sample")
    assert pid is not None
    return pid


def group(pid: int) -> int:
    return sum(process.group == pid for process in processes())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_program_ends_with_what_it_started(home: Home) -> None:
    pid = start(home, PARENT_OF_ONE)
    until(lambda: group(pid) == 2)
    programs.stop(home, "sample")
    assert (group(pid), programs.known(home)) == (0, [])


def test_what_a_killed_program_started_is_ended_too(home: Home) -> None:
    pid = start(home, PARENT_OF_ONE)
    until(lambda: group(pid) == 2)
    os.kill(pid, signal.SIGKILL)
    until(lambda: programs.vanished(home, "sample") == pid)
    programs.stop(home, "sample")
    assert group(pid) == 0


def test_a_program_interrupted_before_its_file_was_written_is_ended(home: Home) -> None:
    pid = start(home, "import time; time.sleep(60)")
    (home.root / "run-sample.json").unlink()
    assert programs.started_here(home) == ["sample"]
    programs.stop(home, "sample")
    assert group(pid) == 0


def test_one_that_does_not_listen_is_killed(home: Home) -> None:
    pid = start(home, STUBBORN)
    until(lambda: "ready" in home.log("sample").read_text())
    programs.stop(home, "sample", grace=0.2)
    assert group(pid) == 0


def test_a_stranger_with_the_recorded_number_is_left_alone(home: Home) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        home.write("run-sample.json", [stranger.pid, "another time"])
        assert programs.pid(home, "sample") is None
        programs.stop(home, "sample")
        assert stranger.poll() is None
        stranger.kill()


def test_a_command_that_fails_names_its_log_and_leaves_nothing(home: Home) -> None:
    with pytest.raises(programs.CommandFailed, match=r"status 3.*sample\.log"):
        programs.run(home, "sample", [sys.executable, "-c", "print('why'); raise SystemExit(3)"], child_environment())
    assert home.log("sample").read_text() == "why\n"
    assert programs.known(home) == []


def test_process_files_tell_who_is_alive_to_another_process(home: Home) -> None:
    pid = start(home, "import time; time.sleep(60)")
    code = "import sys; from pathlib import Path; from localcloud import home, programs;"
    code += "print(programs.pid(home.Home(Path(sys.argv[1])), 'sample'))"
    other = subprocess.run([sys.executable, "-c", code, home.root], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(pid) == str(json.loads((home.root / "run-sample.json").read_text())[0])
