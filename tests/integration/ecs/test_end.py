"""A task goes lame before it goes down, and what it has begun it finishes."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
import urllib3

from localcloud import throwaway
from localcloud.home import REPOSITORY, child_environment, free_port
from localcloud.mariadb import Server
from tests.e2e.waiting import eventually
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


def until_lame(task: Task, lost: list[bool]) -> None:
    """A caller that goes on until the health check tells it to go elsewhere. Adds for each request whether it was made
    in vain."""
    while task.ask("GET", "/health").status == 200:
        for _ in range(3):
            lost.append(failed(lambda: task.ask("GET", "/connection").status))


def is_lame(task: Task) -> bool:
    return task.ask("GET", "/health").status == 503


def test_a_graceful_end_loses_no_request_of_callers_that_heed_the_health_check(start: Start) -> None:
    lost: list[list[bool]] = [[] for _ in range(8)]
    with start(LAME_SECONDS=8) as task, ThreadPoolExecutor(8) as callers:
        working = [callers.submit(until_lame, task, answers) for answers in lost]
        eventually(lambda: all(len(answers) > 10 for answers in lost), seconds=60)
        task.process.send_signal(signal.SIGTERM)
        for caller in working:
            caller.result(60)
        assert task.process.poll() is None
        assert task.process.wait(60) == 0
    assert not any(map(any, lost))


def test_a_lame_task_says_so_at_once_in_all_workers_and_serves_on(start: Start) -> None:
    with start(LAME_SECONDS=8, WORKERS=4) as task:
        task.process.send_signal(signal.SIGTERM)
        eventually(lambda: is_lame(task), seconds=60)
        assert {task.ask("GET", f"/health{end}").status for end in ("", "/workshop") * 20} == {503}
        assert {task.ask("GET", "/anything").status for _ in range(20)} == {200}
        assert task.process.wait(60) == 0


def test_what_is_in_flight_when_a_task_ends_is_finished(start: Start) -> None:
    with start(LAME_SECONDS=0.2) as task, ThreadPoolExecutor(1) as caller:
        slow = caller.submit(task.ask, "GET", "/anything?seconds=3")
        eventually(lambda: task.lingering() == 1, seconds=60)
        assert task.end() == 0
        assert slow.result(60).status == 200


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_task_at_once(start: Start, second: signal.Signals) -> None:
    with start(LAME_SECONDS=60) as task, ThreadPoolExecutor(1) as caller:
        slow = caller.submit(failed, lambda: task.ask("GET", "/anything?seconds=25").status)
        eventually(lambda: task.lingering() == 1, seconds=60)
        task.process.send_signal(signal.SIGTERM)
        eventually(lambda: is_lame(task), seconds=60)  # of two signals that come together one may get lost
        workers = task.workers()
        task.process.send_signal(second)
        task.process.wait(15)
        assert slow.result(60)
        eventually(lambda: not [pid for pid in workers if Path(f"/proc/{pid}").exists()], seconds=60)


def test_a_killed_worker_is_replaced_and_loses_its_own_request_alone(start: Start) -> None:
    with start() as task, ThreadPoolExecutor(9) as callers:
        before = set(task.workers())
        doomed = [callers.submit(failed, lambda: task.ask("GET", "/anything?seconds=3").status) for _ in before]
        eventually(lambda: task.lingering() == len(before), seconds=60)
        os.kill(min(before), signal.SIGKILL)
        others = [callers.submit(failed, lambda: task.ask("GET", "/connection").status) for _ in range(7)]
        assert [one.result() for one in others] == [False] * 7
        assert sorted(one.result() for one in doomed) == [False, True]
        eventually(lambda: len(set(task.workers()) - before) == 1, seconds=60)
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
    with start(LAME_SECONDS=60) as task:
        assert probe(task) == 0
        task.process.send_signal(signal.SIGTERM)
        eventually(lambda: is_lame(task), seconds=60)
        assert probe(task) == 1
    assert probe(task) == 1


def test_a_task_has_itself_swept(start: Start, notes: Database) -> None:
    with start(SWEEP_SECONDS=0.3):
        eventually(lambda: notes.count("notes") >= 2, seconds=60)


def test_a_task_that_is_told_nothing_says_what_it_misses(start: Start) -> None:
    with pytest.raises(AssertionError, match="USER_CLIENT_ID"), start(USER_CLIENT_ID=None):
        pass
    with pytest.raises(AssertionError, match="WORKERS"), start(WORKERS="many"):
        pass


def probe(task: Task) -> int:
    environment = child_environment(PORT=str(task.port))
    return subprocess.run([sys.executable, "-m", "ecs.probe"], cwd=REPOSITORY, env=environment, timeout=60).returncode
