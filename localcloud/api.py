"""The shop's HTTP API, as somebody calls it."""

import json
from dataclasses import dataclass
from typing import Any

import urllib3

_HTTP = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=30), retries=False)


class UnexpectedAnswer(Exception):
    """The API did not answer with the status that the caller counts on."""


@dataclass(frozen=True)
class Api:
    url: str
    token: str = ""

    def request(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and parsed body of one call."""
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        answer = _HTTP.request(method, self.url + path, json=body, headers=headers)
        return answer.status, json.loads(answer.data) if answer.data else None

    def get(self, path: str) -> Any:
        """Raises UnexpectedAnswer unless it is 200."""
        return self.expect(200, "GET", path)

    def expect(self, status: int, method: str, path: str, body: object = None, **headers: str) -> Any:
        """The parsed body. Raises UnexpectedAnswer for another status."""
        actual, answer = self.request(method, path, body, **headers)
        if actual != status:
            raise UnexpectedAnswer(f"{method} {path} answered {actual} instead of {status}: {answer}")
        return answer
