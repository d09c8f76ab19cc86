"""Calls to other services over HTTP: repeated on another task while there is time, given up at once if none answers.

Everything that is called is idempotent, by its method, its path or an Idempotency-Key.
"""

import random
import time
from types import NoneType
from typing import Any, TypeVar

import msgspec
from pybreaker import CircuitBreakerError

from common.connection import left
from common.http import JSON
from common.observability import correlation, count
from ecs.runtime import service_tokens
from ecs.runtime.breaker import breaker
from ecs.runtime.exchange import AnswerTooLarge, Request
from ecs.runtime.settings import settings
from ecs.runtime.tasks import NoAnswer, Tasks

ATTEMPT_SECONDS = 3.0
CALL_SECONDS = 20.0  # for who has no deadline
PAUSE_SECONDS = (0.05, 1.0)  # before the first repetition, doubled each time up to the last

T = TypeVar("T")
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class NeighbourUnavailable(Exception):
    """Nobody answered in time, or nobody has for a while. Whether it was done is open."""


class NeighbourRefused(Exception):
    """An answer that repeating does not better; `problem` says why. A status below 300: not what was agreed on."""

    def __init__(self, service: str, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{service} answered {status}")
        self.status, self.problem = status, problem


class _InProgress(Exception):
    """The neighbour is at work on the same already."""


class Neighbour:
    """A service that this one calls, with a circuit breaker of this process."""

    def __init__(self, service: str) -> None:
        self._service, self._tasks = service, Tasks()
        self._breaker = breaker(service, [NeighbourRefused, _InProgress])

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        gives: type[T] = NoneType,  # type: ignore[assignment]
    ) -> T:
        """Ask it, with `body` as JSON, and return its answer as `gives`. Takes no longer than `left()`.

        Raises NeighbourUnavailable, NeighbourRefused.
        """
        sent = None if body is None else msgspec.json.encode(body)
        try:
            ends = time.monotonic() + min(CALL_SECONDS, left())
            request = Request(method, path, sent, self._headers(key))
            return self._decoded(self._repeated(request, ends), gives)
        except (NoAnswer, _InProgress, CircuitBreakerError, service_tokens.TokenUnavailable, TimeoutError) as error:
            raise NeighbourUnavailable(f"{self._service} does not answer") from error

    def _headers(self, key: str | None) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {service_tokens.token(self._service)}",
            "X-Correlation-Id": correlation().correlation_id,
            "Content-Type": JSON,
        }
        return headers if key is None else {**headers, "Idempotency-Key": key}

    def _repeated(self, request: Request, ends: float) -> bytes:
        pause, longest = PAUSE_SECONDS
        while True:
            try:
                return self._breaker.call(self._attempt, request, min(ends, time.monotonic() + ATTEMPT_SECONDS))
            except (NoAnswer, _InProgress):
                wait = random.uniform(0.5, 1) * pause
                if time.monotonic() + wait >= ends:
                    raise
                count("CallsRepeated")
                time.sleep(wait)
                pause = min(2 * pause, longest)

    def _attempt(self, request: Request, ends: float) -> bytes:
        try:
            answer = self._tasks.ask(settings().neighbour_url.format(service=self._service), request, ends)
        except AnswerTooLarge as error:
            raise NeighbourRefused(self._service, 200, {"detail": str(error)}) from error
        if 200 <= answer.status < 300:
            return answer.body
        if answer.status == 409 and "Retry-After" in answer.headers:
            raise _InProgress
        if answer.status == 401:
            service_tokens.refused(self._service)
        raise NeighbourRefused(self._service, answer.status, _problem(answer.body))

    def _decoded(self, body: bytes, gives: type[T]) -> T:
        try:
            return msgspec.json.decode(b"null" if gives is NoneType else body, type=gives)
        except _NOT_JSON as error:
            raise NeighbourRefused(self._service, 200, {"detail": "not what was agreed on"}) from error


def _problem(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except _NOT_JSON:
        return {"detail": "no problem in JSON"}
