"""The tasks that a neighbour's name stands for at the moment, chosen without preference."""

import random
import socket
import time
from http.client import HTTPException
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError

from common.observability import describe, logger
from ecs.runtime.exchange import Answer, Request, exchange

AVOIDED_SECONDS = 10


class NoAnswer(Exception):
    """From the task that was asked, or it says that it cannot just now. Another one may."""


class Tasks:
    """Remembers which addresses just failed. The name is resolved at each request, since tasks come and go.

    Resolving waits as long as the resolver does: where it is silent 20 s, and 4 s with glibc's `timeout:1 attempts:2`.
    """

    def __init__(self) -> None:
        self._failed: dict[str, float] = {}

    def ask(self, url: str, request: Request, ends: float) -> Answer:
        """The answer of one of them, by `time.monotonic() == ends`. Raises NoAnswer, AnswerTooLarge."""
        name, address, status = urlsplit(url), None, None
        host, port = str(name.hostname), name.port or 80
        try:
            address = self._choose(host)
            answer = exchange(host, port, address, request, ends)
            status = answer.status
            if status in (502, 503, 504):
                raise NoAnswer(f"status {status}")
        except (OSError, HTTPException, HTTPError, NoAnswer) as error:
            if address:
                self._failed[address] = time.monotonic()
            asked = {"host": host, "address": address, "method": request.method, "path": request.path.partition("?")[0]}
            logger.warning("no answer from a neighbour", extra={**asked, "status": status, **describe(error)})
            raise NoAnswer from error
        return answer

    def _choose(self, host: str) -> str:
        """One at random of those that have not failed lately: `getaddrinfo` sorts, so that the first would have it all.
        Where all failed, the one whose failure was the longest ago. Raises OSError when the name has no address."""
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)}
        since = time.monotonic() - AVOIDED_SECONDS
        self._failed = {address: at for address, at in self._failed.items() if at > since}
        return random.choice([*found - self._failed.keys()] or [min(found, key=self._failed.__getitem__)])
