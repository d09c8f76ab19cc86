"""A task goes lame before it goes down, and what it has begun it finishes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
import urllib3

from localcloud import throwaway
from localcloud.home import REPOSITORY, child_environment, free_port
from localcloud.mariadb import Server
from tests.integration.database import Database
from tests.integration.ecs.identity import Identity
from tests.integration.ecs.serving import Task, serving

Start = Callable[..., AbstractContextManager[Task]]


@pytest.fixture
def start(pool: Identity, server: Server, tmp_path: Path) -> Start:
    @contextmanager
    def start(**settings: object) -> Iterator[Task]:
        with serving("workshop", pool, server, tmp_path / "log", "tests.integration.ecs.workshop", **settings) as task:
            yield task

    return start


def failed(ask: Callable[[], int]) -> bool:
    try:
        return ask() != 200
    except urllib3.exceptions.HTTPError:
        return True


def until_lame(task: Task) -> tuple[int, int]:
    """A caller that goes on until the health check tells it to go elsewhere. How often it asked, and in vain."""
    asked = lost = 0
    while task.ask("GET", "/health").status == 200:
        for _ in range(3):
            asked, lost = asked + 1, lost + failed(lambda: task.ask("GET", "/connection").status)
    return asked, lost


def test_a_graceful_end_loses_no_request_of_callers_that_heed_the_health_check(start: Start) -> None:
    with start(LAME_SECONDS=3) as task, ThreadPoolExecutor(8) as callers:
        working = [callers.submit(until_lame, task) for _ in range(8)]
        time.sleep(1)
        task.process.send_signal(signal.SIGTERM)
        done = [caller.result(10) for caller in working]
        assert task.process.poll() is None
        assert task.process.wait(10) == 0
    assert sum(lost for _, lost in done) == 0
    assert all(asked > 10 for asked, _ in done)


def test_a_lame_task_says_so_at_once_in_all_workers_and_serves_on(start: Start) -> None:
    with start(LAME_SECONDS=2.5, WORKERS=4) as task:
        task.process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        assert {task.ask("GET", f"/health{end}").status for end in ("", "/workshop") * 20} == {503}
        assert {task.ask("GET", "/anything").status for _ in range(20)} == {200}
        assert task.process.wait(10) == 0


def test_what_is_in_flight_when_a_task_ends_is_finished(start: Start) -> None:
    with start(LAME_SECONDS=0.2) as task, ThreadPoolExecutor(1) as caller:
        slow = caller.submit(task.ask, "GET", "/anything?seconds=2")
        time.sleep(0.2)
        assert task.end() == 0
        assert slow.result(5).status == 200


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_task_at_once(start: Start, second: signal.Signals) -> None:
    with start(LAME_SECONDS=30) as task, ThreadPoolExecutor(1) as caller:
        slow = caller.submit(failed, lambda: task.ask("GET", "/anything?seconds=20").status)
        time.sleep(0.2)
        task.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        began, workers = time.monotonic(), task.workers()
        task.process.send_signal(second)
        task.process.wait(5)
        assert time.monotonic() - began < 4
        assert slow.result(5)
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_a_killed_worker_is_replaced_and_loses_its_own_request_alone(start: Start) -> None:
    with start() as task, ThreadPoolExecutor(9) as callers:
        before = set(task.workers())
        doomed = [callers.submit(failed, lambda: task.ask("GET", "/anything?seconds=1").status) for _ in before]
        time.sleep(0.3)
        os.kill(min(before), signal.SIGKILL)
        others = [callers.submit(failed, lambda: task.ask("GET", "/connection").status) for _ in range(7)]
        assert [one.result() for one in others] == [False] * 7
        assert sorted(one.result() for one in doomed) == [False, True]
        assert len(set(task.workers()) - before) == 1
        [error] = [line["message"] for line in task.lines() if line.get("level") == "ERROR"]
        assert error.startswith("Unexpected exit from worker")
        assert task.end() == 0


def test_a_task_without_a_database_is_not_healthy_until_it_is_back(
    start: Start, template: Server, tmp_path: Path
) -> None:
    shutil.copytree(template.directory, tmp_path / "server")
    database, running = Server(tmp_path / "server", free_port(), template.password), ExitStack()
    running.enter_context(throwaway.serving(database, ended_by=signal.SIGKILL))
    with running, start(DATABASE_PORT=database.port, DATABASE_CA_FILE=database.ca_file) as task:
        assert task.ask("GET", "/health").status == 200
        running.close()
        answer = task.ask("GET", "/health")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        with throwaway.serving(database, ended_by=signal.SIGKILL):
            assert task.ask("GET", "/health").status == 200


def test_a_container_probes_itself(start: Start) -> None:
    with start(LAME_SECONDS=3) as task:
        assert probe(task) == 0
        task.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        assert probe(task) == 1
    assert probe(task) == 1


def test_a_task_has_itself_swept(start: Start, notes: Database) -> None:
    with start(SWEEP_SECONDS=0.3):
        until = time.monotonic() + 5
        while notes.count("notes") < 2:
            assert time.monotonic() < until, "nothing was swept"
            time.sleep(0.05)


def test_a_task_that_is_told_nothing_says_what_it_misses(start: Start) -> None:
    with pytest.raises(AssertionError, match="USER_CLIENT_ID"), start(USER_CLIENT_ID=None):
        pass
    with pytest.raises(AssertionError, match="WORKERS"), start(WORKERS="many"):
        pass


def probe(task: Task) -> int:
    environment = child_environment(PORT=str(task.port))
    return subprocess.run([sys.executable, "-m", "ecs.probe"], cwd=REPOSITORY, env=environment, timeout=10).returncode
