"""Processor time of a request to a function that runs already: `loop.py HANDLER`, with the event as standard input.

Lambda's own client hands it over and takes the answer, from and to nobody. Of the database each statement is asked
once, and what it said then is what it says from then on. The best of ten batches counts, as the least disturbed.
"""

import json
import sys
import time
from importlib import import_module
from typing import Any

from awslambdaric.bootstrap import handle_event_request  # type: ignore[import-not-found]
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller  # type: ignore[import-not-found]

BEFORE, BATCHES, REQUESTS = 100, 10, 40


class Client:
    """Of Lambda's runtime API."""

    marshaller = LambdaMarshaller()

    def __init__(self) -> None:
        self.answers = 0
        self.last: Any = None

    def post_invocation_result(self, invoke_id: str, result: Any, content_type: str, *rest: Any) -> None:
        self.answers, self.last = self.answers + 1, result

    def post_invocation_error(self, invoke_id: str, error: str, *rest: Any) -> None:
        raise SystemExit(error)


class Replay:
    """A connection of the driver, and its cursor."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._known: dict[str, tuple[int, list[Any]]] = {}
        self._now: tuple[int, list[Any]] = (0, [])

    def cursor(self) -> "Replay":
        return self

    def execute(self, sql: str, parameters: Any = ()) -> None:
        self._do("execute", sql, parameters)

    def executemany(self, sql: str, rows: Any) -> None:
        self._do("executemany", sql, rows)

    def _do(self, method: str, sql: str, parameters: Any) -> None:
        if sql not in self._known:
            cursor = self._connection.cursor()
            getattr(cursor, method)(sql, parameters)
            self._known[sql] = cursor.rowcount, list(cursor.fetchall())
            self._connection.commit()
        self._now = self._known[sql]

    @property
    def rowcount(self) -> int:
        return self._now[0]

    def fetchone(self) -> Any:
        return self._now[1][0] if self._now[1] else None

    def fetchall(self) -> list[Any]:
        return self._now[1]

    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def let_go(self) -> None: ...
    def __enter__(self) -> "Replay":
        return self

    def __exit__(self, *error: object) -> None: ...


class Table:
    """Of DynamoDB, where every key is a new one."""

    def put_item(self, **item: Any) -> None: ...
    def update_item(self, **item: Any) -> None: ...


class Bus:
    def put_events(self, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803  # boto3's name
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}


def main(name: str) -> None:
    module: Any = import_module(name.rpartition(".")[0])
    common: Any = sys.modules.get("common.connection")
    if common:
        connect = common.connect
        common.connect = lambda: Replay(connect())
        common_bus: Any = sys.modules["common.bus"]
        common_bus._client = Bus
    elif usual := sys.modules.get("usual"):
        usual.connection, usual.events = Replay(usual.connection), Bus()  # type: ignore[attr-defined]
    if hasattr(module, "keys"):
        module.keys.client = Table()
    event, client = sys.stdin.buffer.read(), Client()

    def request() -> None:
        deadline = int(time.time() * 1000) + 25_000
        arn = "arn:aws:lambda:ap-northeast-1:123456789012:function:bench"
        handle_event_request(
            client, module.handler, "r", event, "application/json", None, None, arn, deadline, None, None
        )

    for _ in range(BEFORE):
        request()
    batches = []
    for _ in range(BATCHES):
        began = time.process_time()
        for _ in range(REQUESTS):
            request()
        batches.append((time.process_time() - began) / REQUESTS)
    status = json.loads(client.last)["statusCode"]
    print(json.dumps({"seconds": min(batches), "answers": client.answers, "status": status}), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
