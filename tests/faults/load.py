"""Customers and consumers at work, all at once, each in an execution environment of its own; queues as SQS has them."""

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import get_context
from typing import Any
from uuid import uuid4

from tests.faults.crashing import QUANTITY, REACHABLE, CrashingShop, Message
from tests.integration.gateway import Context, Handler, api_event, queue_event
from tests.integration.orders.shop import order_of
from tests.integration.whole_shop import NAMES

MAX_RECEIVES = 5
VISIBILITY_SECONDS = 1.0
BATCH = 10
BACKLOG = 50  # messages; consumers on a slow machine would never catch up
CUSTOMERS = 3
CARDS = ("tok_visa", "tok_visa", "tok_declined")
PATIENCE_SECONDS = 120

_processes = get_context("fork")


class Warm:
    """An execution environment that handles one event after another, as what was the environment when it began."""

    def __init__(self, handler: Handler) -> None:
        self._here, there = _processes.Pipe()
        self._process = _processes.Process(target=_serve, args=(handler, there), daemon=True)
        self._process.start()
        there.close()

    def handle(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """The function's answer, or None when it raised."""
        self._here.send(event)
        assert self._here.poll(PATIENCE_SECONDS), "no answer"
        return self._here.recv()  # type: ignore[no-any-return]

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _serve(handler: Handler, answers: Any) -> None:
    while True:
        event = answers.recv()
        try:
            answers.send(handler(event, Context()))
        except Exception:
            answers.send(None)


@dataclass(eq=False)
class _Queued:
    message: Message
    receives: int = 0
    visible_at: float = 0.0


@dataclass
class Load:
    """What goes on and what came of it. `placed` has the orders that were acknowledged, by their keys."""

    shop: CrashingShop
    placed: dict[str, str] = field(default_factory=dict)
    refusals: int = 0
    redelivered: int = 0
    dead_letters: list[Message] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    _queues: dict[str, list[_Queued]] = field(default_factory=lambda: {name: [] for name in NAMES})
    _away: bool = False
    _busy: set[str] = field(default_factory=set)
    _closing: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert not self.failures, self.failures
            assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s"
            time.sleep(0.01)

    def database_leaves(self) -> None:
        """What is given back from now on is not visible again before it is back: a queue has that much patience."""
        self._away = True

    def database_is_back(self) -> None:
        with self._lock:
            self._away = False
            for queue in self._queues.values():
                for queued in queue:
                    queued.visible_at = 0.0

    def recovered(self) -> bool:
        """Whether all that was ever given back is dealt with: outages are rarer than a queue is patient."""
        with self._lock:
            return not any(queued.receives for queue in self._queues.values() for queued in queue)

    def idle(self) -> bool:
        """Whether all is dealt with; asked after `close`."""
        with self._lock:
            self._route()
            return not self._busy and not any(self._queues.values())

    def customer(self, environment: Warm, mug: str) -> None:
        """Orders one thing after another, and tries each again until it is acknowledged. Waits in a crowd."""
        while not self._closing.is_set():
            if sum(map(len, self._queues.values())) > BACKLOG:
                time.sleep(0.01)
                continue
            key, number = str(uuid4()), len(self.placed)
            body = order_of((mug, QUANTITY), payment_method=CARDS[number % len(CARDS)])
            request = api_event("POST", "/orders", body, key=key, claims=REACHABLE)
            while (answer := environment.handle(request)) and answer["statusCode"] == 503:
                self.refusals += 1
                time.sleep(0.05)
            assert answer, "the function raised"
            assert answer["statusCode"] == 202, answer
            self.placed[key] = json.loads(answer["body"])["order_id"]

    def consumer(self, environment: Warm, service: str) -> None:
        while not self._over.is_set():
            if not (batch := self._receive(service)):
                time.sleep(0.01)
                continue
            answer = environment.handle(queue_event(*[queued.message for queued in batch]))
            assert answer is not None, f"{service} raised"
            failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
            self._give_back(service, [queued for number, queued in enumerate(batch) if f"m{number}" in failed])

    def _receive(self, service: str) -> list[_Queued]:
        with self._lock:
            self._route()
            queue, now = self._queues[service], time.monotonic()
            batch = [queued for queued in queue if queued.visible_at <= now][:BATCH]
            self._queues[service] = [queued for queued in queue if queued not in batch]
            if batch:
                self._busy.add(service)
            return batch

    def _give_back(self, service: str, failed: list[_Queued]) -> None:
        with self._lock:
            self._busy.discard(service)
            for queued in failed:
                queued.receives += 1
                queued.visible_at = math.inf if self._away else time.monotonic() + VISIBILITY_SECONDS
                self.redelivered += 1
                if queued.receives == MAX_RECEIVES:
                    self.dead_letters.append(queued.message)
                else:
                    self._queues[service].append(queued)

    def _route(self) -> None:
        for service, messages in self.shop.route().items():
            self._queues[service] += map(_Queued, messages)

    def close(self) -> None:
        """No more orders; consumers go on."""
        self._closing.set()

    def end(self) -> None:
        self._closing.set()
        self._over.set()


@contextmanager
def load(shop: CrashingShop, become: Callable[..., None], mug: str) -> Iterator[Load]:
    """Going on for the length of a block."""
    going_on, environments, threads = Load(shop), [], []

    def at_work(service: str, module: str, work: Callable[[Warm, str], None], what: str) -> None:
        become(service, shop.server)
        name = f"{service} {module} {len(threads)}"
        if module == "api":  # busy until there are no more orders; consumers are busy with a batch
            going_on._busy.add(name)
        environment = Warm(import_module(f"{service}.{module}").handler)
        environments.append(environment)

        def watched() -> None:
            try:
                work(environment, what)
            except BaseException as error:
                going_on.failures.append(error)
            finally:
                going_on._busy.discard(name)

        threads.append(threading.Thread(target=watched, daemon=True))

    for _ in range(CUSTOMERS):
        at_work("orders", "api", going_on.customer, mug)
    for service in NAMES:
        at_work(service, "consumer", going_on.consumer, service)
    try:
        for thread in threads:  # none before the last environment was forked
            thread.start()
        yield going_on
    finally:
        going_on.end()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        for environment in environments:
            environment.end()
