"""Customers and staff at work, all at once, each as an app would be: what gets no answer, or is told to come back, is
asked again under the same key, until it is answered. Every attempt is written down."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import urllib3

from localcloud.api import Api
from tests.e2e.shop import new_key, request

CALLERS = 6
STORIES = ("kept", "cancelled", "refunded", "delivered", "declined", "scarce", "refunded, then cancelled")
PRICE = 1_000
PATIENCE_SECONDS = 120
PAUSE_SECONDS = 0.5  # less than they are told to wait, which is harder
LONGER_THAN_ANY_ANSWER = 40

_HTTP = urllib3.PoolManager(
    timeout=urllib3.Timeout(connect=5, read=LONGER_THAN_ANY_ANSWER), maxsize=4 * CALLERS, retries=False
)


class Wrong(Exception):
    """An answer that no trouble excuses."""


@dataclass(frozen=True)
class Attempt:
    began: float
    ended: float
    status: int | None
    """None, if the connection was cut."""
    retry_after: str | None
    data: bytes

    @property
    def failed(self) -> bool:
        """It was cut, it is told to come back, or the proxy had no answer from the task."""
        return self.status in (None, 502, 503, 504) or (self.status == 409 and self.retry_after is not None)


@dataclass
class Request:
    method: str
    path: str
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def failures(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.failed]

    @property
    def seconds(self) -> float:
        """From the first attempt to the answer."""
        return self.attempts[-1].ended - self.attempts[0].began

    def __str__(self) -> str:
        said = ", ".join(f"{attempt.status} after {attempt.ended - attempt.began:.2f} s" for attempt in self.attempts)
        return f"{self.method} {self.path}: {said}"


@dataclass
class Load:
    """What goes on, and what came of it. `placed` has each key's answer. Without `keyed`, a repeat has another key."""

    alice: Api
    bob: Api
    staff: Api
    product_id: str
    scarce_id: str
    """Of this one there are a few, and more are asked for."""
    stories: Sequence[str] = STORIES
    keyed: bool = True
    requests: list[Request] = field(default_factory=list)
    placed: dict[str, bytes] = field(default_factory=dict)
    finished: int = 0
    wrong: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _closing: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def failed(self) -> list[Request]:
        """Those that were not answered at once."""
        return [each for each in list(self.requests) if each.failures]

    @property
    def longest(self) -> float:
        """The longest that somebody waited for an answer, repeats included, in seconds."""
        return max(each.seconds for each in list(self.requests) if each.attempts)

    def go_on(self, stories: int = CALLERS) -> None:
        """Until so many more stories have come to their end. Raises AssertionError."""
        goal, deadline = self.finished + stories, time.monotonic() + PATIENCE_SECONDS
        while self.finished < goal:
            assert not self.wrong, self.wrong
            assert time.monotonic() < deadline, f"nothing goes on: {[str(each) for each in self.requests[-CALLERS:]]}"
            time.sleep(0.02)

    def work(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                story = self.stories[next(self._numbers) % len(self.stories)]
            try:
                self._play(story)
            except Exception as error:
                self.wrong.append(f"{story}: {error!r}")
                return
            self.finished += 1

    def close(self) -> None:
        """No new story begins; those that have begun come to their end."""
        self._closing.set()

    def ask(
        self, api: Api, method: str, path: str, body: Any = None, key: str = "", so_far: tuple[int, ...] = ()
    ) -> Any:
        """The first answer that is none of trouble, parsed. `so_far` are statuses that mean: not yet."""
        asked, deadline = Request(method, path), time.monotonic() + PATIENCE_SECONDS
        self.requests.append(asked)
        while True:
            attempt = self.once(api, method, path, body, key)
            asked.attempts.append(attempt)
            if not attempt.failed and attempt.status not in so_far:
                break
            if time.monotonic() > deadline:
                raise Wrong(f"nobody answers {asked}")
            if attempt.status == 503 and not attempt.retry_after:
                raise Wrong(f"503 without Retry-After: {asked}")
            if not self.keyed and key:
                key = new_key()
            time.sleep(PAUSE_SECONDS)
        if attempt.status not in (200, 201, 202, 404):
            raise Wrong(f"{asked} {attempt.data.decode()}")
        if key and path == "/orders" and self.placed.setdefault(key, attempt.data) != attempt.data:
            raise Wrong(f"another answer for the same key: {self.placed[key]!r}, then {attempt.data!r}")
        return json.loads(attempt.data) if attempt.status != 404 else None

    def once(self, api: Api, method: str, path: str, body: Any = None, key: str = "") -> Attempt:
        headers = {"Authorization": f"Bearer {api.token}", "Connection": "close"}
        headers |= {"Idempotency-Key": key} if key else {}
        began = time.monotonic()
        try:
            answer = _HTTP.request(method, api.url + path, json=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            return Attempt(began, time.monotonic(), None, None, repr(error).encode())
        return Attempt(began, time.monotonic(), answer.status, answer.headers.get("Retry-After"), answer.data)

    def _play(self, story: str) -> None:
        """An order from its placing to its end, and what its customer looks at meanwhile."""
        ends = {"declined": ("rejected",), "scarce": ("confirmed", "rejected")}.get(story, ("confirmed",))
        product_id = self.scarce_id if story == "scarce" else self.product_id
        wanted = request({product_id: 1}, "tok_declined" if story == "declined" else "tok_visa")
        product = self.ask(self.bob, "GET", f"/products/{product_id}")
        self._see(product["price"]["amount"] == PRICE, story, product)

        key = new_key()
        order = self.ask(self.alice, "POST", "/orders", wanted, key)
        self._see(order["status"] in ends, story, order)
        self._see(order["total"]["amount"] == PRICE, story, order)
        order_id, end = order["order_id"], order["status"]
        if self.keyed:
            self.ask(self.alice, "POST", "/orders", wanted, key)
        self._see(self.ask(self.alice, "GET", f"/orders/{order_id}")["status"] == end, story, order_id)
        self._see(self.ask(self.bob, "GET", f"/orders/{order_id}") is None, "another customer's", order_id)
        self.ask(self.bob, "GET", f"/stock/{product_id}")

        if story.startswith("refunded"):
            amount = {"amount": {"amount": PRICE // 4, "currency": "JPY"}}
            payment = self.ask(self.staff, "POST", f"/payments/{order_id}/refund", amount, new_key())
            self._see(payment["refunded"]["amount"] == PRICE // 4, story, payment)
        if story.endswith("cancelled"):
            order = self.ask(self.alice, "POST", f"/orders/{order_id}/cancel")
            self._see(order["status"] in ("cancelling", "cancelled"), story, order)
        if story == "delivered":
            for step, status in (("dispatch", "dispatched"), ("deliver", "delivered")):
                # Shipping may not have heard of the order.
                shipment = self.ask(self.staff, "POST", f"/shipments/{order_id}/{step}", so_far=(404,))
                self._see(shipment["status"] == status, story, shipment)

    def _see(self, right: bool, story: str, seen: Any) -> None:
        if not right:
            raise Wrong(f"{story}: {seen}")


@contextmanager
def going_on(load: Load, meanwhile: Callable[[], object], callers: int = CALLERS) -> Iterator[Load]:
    """For the length of a block; then all that was begun comes to its end, and `meanwhile` is called every second."""
    threads = [threading.Thread(target=load.work, daemon=True) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.close()
        for thread in threads:
            while thread.is_alive():
                thread.join(1)
                meanwhile()
