"""A service in containers of its own, called as orders, customers and staff call it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcloud.mariadb import Server
from tests.integration.database import Database
from tests.integration.ecs.identity import Identity
from tests.integration.ecs.neighbourhood import Neighbourhood
from tests.integration.ecs.serving import Answer, Task, serving

STORY = "the-first-request"
AT_ONCE = 8


class Called:
    """`task` is its container that is asked, and never sweeps; in `swept` another does little else."""

    task: Task

    def __init__(self, service: str, pool: Identity, server: Server, around: Neighbourhood, folder: Path) -> None:
        self.service, self.around = service, around
        self._pool, self._server, self._folder = pool, server, folder
        self.database = Database(server, service)

    @contextmanager
    def serving(self, sweep_seconds: float = 600) -> Iterator[Task]:
        more: dict[str, Any] = {
            "NEIGHBOUR_URL": self.around.url,
            "AWS_ENDPOINT_URL": self.around.url,
            "AWS_DEFAULT_REGION": "ap-northeast-1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "MAIL_SENDER": "Kumiki <shop@kumiki.example>",
            "SWEEP_SECONDS": sweep_seconds,
        }
        log = self._folder / f"{self.service}-{time.monotonic_ns()}.log"
        with serving(self.service, self._pool, self._server, log, **more) as task:
            yield task

    def internal(self, method: str, path: str, body: Any = None, key: str | None = None) -> Answer:
        """As orders asks."""
        headers = {"X-Correlation-Id": STORY, **({} if key is None else {"Idempotency-Key": key})}
        token = self._pool.service("orders", self.service)
        return self.task.ask(method, f"/internal{path}", body, token, headers=headers)

    def at_once(self, *requests: tuple[Any, ...]) -> list[Answer]:
        """As orders asks, all at the same time."""
        with ThreadPoolExecutor(len(requests)) as threads:
            return list(threads.map(lambda request: self.internal(*request), requests))

    def staff(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return self.task.ask(method, path, body, self._pool.user("sam", "staff"), headers=headers)

    def customer(self, method: str, path: str, body: Any = None) -> Answer:
        return self.task.ask(method, path, body, self._pool.user("alice"))

    def journal(self) -> list[str]:
        """What is still to be told to others."""
        return [row["detail_type"] for row in self.database.rows("SELECT detail_type FROM journal ORDER BY event_id")]

    def swept(self, until: Callable[[], bool], seconds: float = 90) -> None:
        """Sweeps begin, what waits for one has waited long enough, and they go on until there is what is wanted."""
        waiting = time.monotonic() + seconds
        self.database.execute("UPDATE journal SET available_at = NOW(6)")
        with self.serving(sweep_seconds=0.2):
            while not until():
                assert time.monotonic() < waiting, "no sweep brought it about"
                time.sleep(0.05)
