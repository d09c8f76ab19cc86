"""granian as one task needs it: workers that take a request when they are free, and no sooner."""

import socket
import threading
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from common.observability import logger

BACKLOG = 256  # what more come are not let in, and go to another task
HEADER_SECONDS = 2
UNREAD_SECONDS = 5
TO_END_SECONDS = 30  # more than a request or a sweep may take


class _Wakeful(threading.Event):
    """What granian's main loop waits for, until the end at the latest.

    It looks up twice a second: a signal that comes just before a thread begins to wait does not wake it, and is not
    handled before it wakes. And it knows of the end itself: the loop clears the event after a worker's death, and with
    it an end that was told meanwhile.
    """

    ended = False

    def wait(self, timeout: float | None = None) -> bool:
        while timeout is None and not self.ended:
            if super().wait(0.5):
                return True
        return self.ended or super().wait(timeout)


class Listener(MPServer):
    """Workers of one thread each on one socket.

    - One thread: resolver, logger and metrics keep a request's state where other threads would see it.
    - One socket: granian gives each worker its own, and the system deals connections out among them, to a busy worker
      as to an idle one. Its method that makes them is replaced here, and is private.
    - One connection at a time (`backpressure`), and none is kept: while it waits for its next request, it would keep
      its worker from others. So a worker has nothing but what it is at work on; all else waits in the one queue.
    - A caller that says nothing has a worker for 2 s, one that does not read its answer, or is gone without a word, for
      5 s. granian sees to the first only where it need not find out which version of HTTP is spoken.
    """

    def __init__(self, host: str, port: int, workers: int) -> None:
        super().__init__(
            "",
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            workers=workers,
            blocking_threads=1,
            backpressure=1,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=1000 * HEADER_SECONDS, keep_alive=False),
            log_level=LogLevels.error,
            log_dictconfig={
                "handlers": {"ours": {"()": _handler}},
                "loggers": {"_granian": {"handlers": ["ours"], "propagate": False}},
            },
            respawn_failed_workers=True,
            workers_kill_timeout=TO_END_SECONDS,
        )
        self.main_loop_interrupt = self._told = _Wakeful()

    def _init_shared_socket(self) -> None:
        self._listening = socket.create_server((self.bind_addr, self.bind_port), backlog=BACKLOG)
        self._listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * UNREAD_SECONDS)  # inherited
        self._shd = SocketHolder(self._listening.fileno(), False, BACKLOG)  # type: ignore[call-arg, assignment]  # stubs
        self._ssp = self._sso = None

    def end(self) -> None:
        """Finish what is in flight; `serve` returns then."""
        self._told.ended = True
        self.signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def abandon(self) -> None:
        """End at once, whatever is in flight."""
        for worker in self.wrks:
            worker.kill()  # type: ignore[no-untyped-call]
        self.end()


def _handler() -> Any:
    """The one of our own log, so that granian's lines are in JSON as well."""
    return logger.registered_handler
