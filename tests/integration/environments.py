"""Other execution environments: processes of their own, as Lambda has, with a connection of their own."""

import multiprocessing
import time
import traceback
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from common import connection
from tests.integration.database import Database

T = TypeVar("T")
_processes = multiprocessing.get_context("fork")


class Elsewhere(Generic[T]):
    """Work that goes on in another execution environment from now on. What it does to objects is not seen here."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._answer, answer = _processes.Pipe(duplex=False)
        self._process = _processes.Process(target=_run, args=(work, answer), daemon=True)
        self._process.start()
        answer.close()

    def running(self) -> bool:
        return not self._answer.poll()

    def alive(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        """End it as a machine that fails does: at once, wherever it is."""
        self._process.kill()
        self._process.join()

    def result(self, seconds: float = 60) -> T:
        """What the work returned. Raises AssertionError when it raised, or does not end."""
        assert self._answer.poll(seconds), f"still at work after {seconds} s"
        outcome, error = self._answer.recv()
        self._process.join()
        assert error is None, error
        return outcome  # type: ignore[no-any-return]


def wait_for_locks(database: Database, *work: Elsewhere[Any]) -> None:
    """Until all of the work waits for what somebody else holds."""
    waiting = "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"
    while True:
        time.sleep(0.15)  # asked more often, InnoDB repeats what it said, even to the test before
        if database.value(waiting) >= len(work):
            return
        assert all(one.running() for one in work), "it did not wait"


def _run(work: Callable[[], Any], answer: Any) -> None:
    connection.kept.cache_clear()
    try:
        answer.send((work(), None))
    except BaseException:
        answer.send((None, traceback.format_exc()))
