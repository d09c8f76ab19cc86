"""In the place of ECS's scheduler and of Cloud Map: looks after tasks, each from a thread of its own. One is registered
once it is healthy; one that is dead or hangs is taken out and replaced."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Condition, Thread, Timer
from typing import Protocol

from localcloud.ecs.task import Task

EVERY_SECONDS = 0.5
MISSES = 3
"""Health checks in a row, after which a task is taken for one that hangs."""


class TaskFailed(Exception):
    """A task ended before it was healthy; the message names its log."""


class Directory(Protocol):
    """Where callers find tasks."""

    def put(self, service: str, address: str) -> None: ...

    def remove(self, service: str, address: str) -> None: ...


class Late:
    """A directory that hears of everything so many seconds later; at once, while these are 0."""

    def __init__(self, directory: Directory, seconds: float) -> None:
        self._directory, self.seconds = directory, seconds

    def put(self, service: str, address: str) -> None:
        self._later(self._directory.put, service, address)

    def remove(self, service: str, address: str) -> None:
        self._later(self._directory.remove, service, address)

    def _later(self, change: Callable[[str, str], None], *arguments: str) -> None:
        if not self.seconds:
            return change(*arguments)
        timer = Timer(self.seconds, change, arguments)
        timer.daemon = True
        return timer.start()


class Registrar:
    def __init__(
        self,
        make: Callable[[str], Task],
        launch: Callable[[Task], None],
        bury: Callable[[Task], None],
        directories: Sequence[Directory],
    ) -> None:
        """`make` names another task of a service, `launch` starts one, `bury` removes all that is left of it."""
        self._make, self._launch, self._bury, self._directories = make, launch, bury, directories
        self._wanted: dict[str, int] = {}
        self._tasks: list[Task] = []
        self._failed = ""
        self._changed = Condition()

    def tasks(self, service: str) -> list[Task]:
        """Those that are registered, the oldest first."""
        with self._changed:
            return [task for task in self._tasks if task.service == service and task.registered]

    def want(self, service: str, count: int) -> None:
        """So many tasks from now on. Those that there are stay."""
        with self._changed:
            self._wanted[service] = count
        self._fill(service)

    def settle(self, seconds: float = 180) -> None:
        """Until as many tasks are registered as are wanted. Raises TaskFailed, TimeoutError."""
        with self._changed:
            self._failed = ""
            self._changed.wait_for(lambda: bool(self._failed) or not self._missing(), seconds)
            if self._failed:
                raise TaskFailed(self._failed)
            if missing := self._missing():
                raise TimeoutError(f"no healthy task after {seconds:.0f} s: {', '.join(missing)}")

    def roll(self, service: str) -> None:
        """A rolling update: as many new tasks, and when they are registered, the old ones end. Raises as `settle`."""
        with self._changed:
            old = self.tasks(service)
            for task in old:
                task.leaving = True
        self._fill(service)
        self.settle()
        with ThreadPoolExecutor(max(1, len(old))) as threads:
            list(threads.map(self.stop, old))

    def stop(self, task: Task) -> int | None:
        """Let it end as ECS does: out of the directories, then SIGTERM, then time. Returns the status with which it
        ended; None if it had to be killed. It is replaced at once, if it is wanted."""
        with self._changed:
            task.leaving = task.ending = True
        self._withdraw(task)
        self._fill(task.service)
        status = task.terminate()
        self._remove(task)
        return status

    def drop(self, service: str) -> None:
        """All its tasks die at once, and none takes their place."""
        with self._changed:
            self._wanted[service] = 0
            dropped = [task for task in self._tasks if task.service == service]
            for task in dropped:
                task.leaving = task.ending = True
        for task in dropped:
            task.kill()
            self._withdraw(task)
            self._remove(task)

    def _missing(self) -> list[str]:
        return [
            service
            for service, count in self._wanted.items()
            if sum(not task.leaving for task in self.tasks(service)) < count
        ]

    def _fill(self, service: str) -> None:
        """Start what is missing."""
        with self._changed:
            staying = [task for task in self._tasks if task.service == service and not task.leaving]
            for _ in range(self._wanted[service] - len(staying)):
                task = self._make(service)
                self._tasks.append(task)
                Thread(target=self._watch, args=(task,), daemon=True).start()

    def _watch(self, task: Task) -> None:
        try:
            self._launch(task)
            self._attend(task)
        except Exception as error:
            self._fail(f"{task.name}: {error}")

    def _attend(self, task: Task) -> None:
        misses = 0
        while misses < MISSES and not task.ending and not task.ended(EVERY_SECONDS if task.registered else 0.05):
            healthy = task.healthy()
            misses = 0 if healthy or not task.registered else misses + 1
            if healthy and not task.registered:
                self._register(task)
        with self._changed:
            if task.ending:
                return
            task.leaving = task.ending = True
        self._withdraw(task)
        if not task.registered:
            self._fail(f"{task.name} ended before it was healthy: see {task.log}")
            time.sleep(1)  # one that fails at once would do so again and again
        self._fill(task.service)
        self._remove(task)

    def _fail(self, why: str) -> None:
        with self._changed:
            self._failed = why
            self._changed.notify_all()

    def _register(self, task: Task) -> None:
        with self._changed:
            if not task.ending:
                for directory in self._directories:
                    directory.put(task.service, task.address)
                task.registered = True
                self._changed.notify_all()

    def _withdraw(self, task: Task) -> None:
        with self._changed:
            if task.registered:
                for directory in self._directories:
                    directory.remove(task.service, task.address)

    def _remove(self, task: Task) -> None:
        self._bury(task)
        with self._changed:
            self._tasks.remove(task)
