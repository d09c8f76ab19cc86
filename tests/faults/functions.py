"""Functions as Lambda runs them: each has execution environments, which are processes with a connection of their own,
and an environment has one request at a time. Whoever calls a function waits until one of them is free.
"""

import io
import json
import multiprocessing
import os
import queue
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from common import bus as common_bus
from common import connection
from common.configuration import configuration
from common.observability import logger
from localcloud.mariadb import Server
from tests.integration.database import PASSWORD
from tests.integration.fake_bus import Entry, FakeBus
from tests.integration.gateway import Context, deliver

TIME_OUT = 25
"""Seconds after which Lambda kills the environment: what template.yaml gives every function."""
BATCH = 10

_processes = multiprocessing.get_context("fork")


class Died(Exception):
    """The environment was killed before it answered."""


class TimedOut(Exception):
    """The environment was killed because it did not answer in time."""


class SharedBus(FakeBus):
    """A bus that all environments share. What it accepted is in a file, which outlives whoever sent it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._path.touch()

    def put_events(self, *, Entries: list[Entry]) -> dict[str, Any]:  # noqa: N803  # AWS's name
        before = len(self.accepted)
        answer = super().put_events(Entries=Entries)
        with self._path.open("ab", buffering=0) as file:  # one write, which does not mix with others
            file.write("".join(f"{json.dumps(entry)}\n" for entry in self.accepted[before:]).encode())
        return answer

    def since(self, place: int) -> tuple[list[Entry], int]:
        """What was accepted from anybody after a place in the file, 0 being its beginning, in order; and its end."""
        with self._path.open("rb") as file:
            file.seek(place)
            written = file.read()
        whole = written[: written.rfind(b"\n") + 1]  # a reader may see the beginning of a write
        return [json.loads(line) for line in whole.splitlines()], place + len(whole)

    def about(self, order_id: str, detail_type: str) -> int:
        """How many events of a type there were about an order."""
        return sum(entry["DetailType"] == detail_type and order_id in entry["Detail"] for entry in self.since(0)[0])


@dataclass(frozen=True)
class Invocation(Context):
    """What a function learns of its invocation, with a clock that runs."""

    ends: float = field(default_factory=lambda: time.monotonic() + TIME_OUT)

    def get_remaining_time_in_millis(self) -> int:
        return int((self.ends - time.monotonic()) * 1000)


class Environment:
    """A process with one function, `orders.api`, forked here: what is imported and patched now holds there.

    `prepared` is called in it before anything else, to take something away from it, and from nobody else.
    """

    def __init__(self, function: str, server: Server, bus: FakeBus, prepared: Callable[[], object]) -> None:
        handler = import_module(function).handler  # here, once for all that are forked
        self._pipe, theirs = _processes.Pipe()
        settings = {
            "SERVICE": function.partition(".")[0],
            "DATABASE_HOST": server.host,
            "DATABASE_PORT": str(server.port),
            "DATABASE_PASSWORD": PASSWORD,
            "DATABASE_CA_FILE": str(server.ca_file),
            "EVENT_BUS": "kumiki-test",
        }
        arguments = (handler, settings, bus, prepared, theirs, os.getpid())
        self._process = _processes.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        """Raises Died, TimedOut, and AssertionError when the handler raised."""
        try:
            self._pipe.send(event)
            if not self._pipe.poll(TIME_OUT):
                self.kill()
                raise TimedOut
            answer, error = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise Died from error
        assert error is None, error
        return answer  # type: ignore[no-any-return]

    def kill(self) -> None:
        """At once, as a machine that fails."""
        self._process.kill()
        self._process.join()

    def end(self) -> None:
        """When nobody calls it any more."""
        self.kill()
        self._pipe.close()


def _serve(
    handler: Callable[..., Any],
    settings: dict[str, str],
    bus: FakeBus,
    prepared: Callable[[], object],
    pipe: Pipe,
    parent: int,
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ |= settings
    connection.kept.cache_clear()
    configuration.cache_clear()
    common_bus._client = lambda: bus  # type: ignore[assignment]
    # Logs and metrics would fill the report of a failure with what is meant to happen.
    logger.setLevel("CRITICAL")
    sys.stdout = io.StringIO()
    prepared()
    while os.getppid() == parent:  # whose end closes no pipe of which a sibling has a copy
        if not pipe.poll(1):
            continue
        try:
            pipe.send((handler(pipe.recv(), Invocation()), None))
        except EOFError:
            return
        except Exception:
            pipe.send((None, traceback.format_exc()))


class Function:
    """Call it as the handler that it is. `name` is the module of the handler: `orders.api`."""

    def __init__(self, name: str, make: Callable[[], Environment], environments: int) -> None:
        self.name, self._make = name, make
        self.environments = [make() for _ in range(environments)]
        self._free: queue.SimpleQueue[Environment] = queue.SimpleQueue()
        for environment in self.environments:
            self._free.put(environment)

    def __call__(self, event: dict[str, Any], context: Any = None) -> dict[str, Any]:
        """Waits for a free environment. Raises what it raises; one that died is replaced before the next call."""
        environment = self._free.get()
        try:
            answer = environment.invoke(event)
        except (Died, TimedOut):
            self.environments.remove(environment)
            environment.end()
            self.environments.append(self._make())
            self._free.put(self.environments[-1])
            raise
        self._free.put(environment)
        return answer

    def stop(self) -> None:
        while self.environments:
            self.environments.pop().end()


class Functions:
    """Those of a test, with the bus that they share."""

    def __init__(self, server: Server, bus: SharedBus) -> None:
        self.server, self.bus = server, bus
        self._started: list[Function] = []
        self._ones: dict[str, Function] = {}

    def start(
        self,
        name: str,
        environments: int = 1,
        server: Server | None = None,
        prepared: Callable[[], object] = lambda: None,
    ) -> Function:
        function = Function(name, lambda: Environment(name, server or self.server, self.bus, prepared), environments)
        self._started.append(function)
        return function

    def one(self, name: str) -> Function:
        """A function with one environment, the same each time, for what is only to be prepared or finished."""
        if name not in self._ones:
            self._ones[name] = self.start(name)
        return self._ones[name]

    def stop_ones(self) -> None:
        """So that they hold no connection."""
        while self._ones:
            self._ones.popitem()[1].stop()

    def stop(self) -> None:
        for function in self._started:
            function.stop()


@contextmanager
def functions(server: Server, folder: Path) -> Iterator[Functions]:
    """They all end with the block; their bus has a file in `folder`."""
    started = Functions(server, SharedBus(folder / "bus"))
    try:
        yield started
    finally:
        started.stop()


class Queues:
    """What the bus accepts goes to the consumers that listen, up to ten messages at a time and to as many environments
    as each has; what is given back goes there again."""

    def __init__(self, bus: SharedBus, consumers: Sequence[Function]) -> None:
        self._bus, self._consumers, self._taken = bus, consumers, bus.since(0)[1]
        self._waiting: dict[str, deque[dict[str, Any]]] = {consumer.name: deque() for consumer in consumers}
        self.delivered = self.given_back = 0

    def deliver(self, meanwhile: Callable[[], object] = lambda: None, seconds: float = 600) -> None:
        """Until nothing is left, calling `meanwhile` again and again. Raises AssertionError after so many seconds."""
        ends = time.monotonic() + seconds
        at_work: dict[Future[list[str]], tuple[Function, list[dict[str, Any]]]] = {}
        with ThreadPoolExecutor(sum(len(consumer.environments) for consumer in self._consumers)) as threads:
            while self._take() or any(self._waiting.values()) or at_work:
                assert time.monotonic() < ends, f"not settled: {self._waiting}"
                meanwhile()
                for consumer in self._consumers:
                    waiting = self._waiting[consumer.name]
                    busy = sum(function is consumer for function, _ in at_work.values())
                    for _ in range(len(consumer.environments) - busy):
                        if batch := [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]:
                            at_work[threads.submit(deliver, consumer, *batch)] = (consumer, batch)
                for future in [future for future in at_work if future.done()]:
                    consumer, batch = at_work.pop(future)
                    again = [batch[int(message.removeprefix("m"))] for message in future.result()]
                    self._waiting[consumer.name].extend(again)
                    self.given_back += len(again)
                    self.delivered += len(batch) - len(again)
                time.sleep(0.005)

    def _take(self) -> bool:
        new, self._taken = self._bus.since(self._taken)
        for entry in new:
            event = {
                "version": "0",
                "detail-type": entry["DetailType"],
                "source": entry["Source"],
                "detail": json.loads(entry["Detail"]),
            }
            for consumer in self._consumers:
                if entry["DetailType"] in import_module(consumer.name).consumer._reactions:
                    self._waiting[consumer.name].append(event)
        return bool(new)
