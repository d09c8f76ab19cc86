"""Batches of ten messages, a transaction each, through the layer's consumer.

Against a loop written by hand that is as safe: one transaction a message with its inbox row, events sent after it and
then deleted, a failed message given back alone, a line in the log for each. The reaction is the same: an order is
confirmed, which is announced.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from bench.far import far
from bench.function import become
from bench.in_turn import in_turn
from bench.measuring import Comparison, Variants
from bench.shop import database
from common import bus
from common.connection import Raw, kept
from common.database import Transaction
from common.events import Sealed
from common.observability import correlate
from common.values import uuid7
from localcloud.mariadb import Server
from orders import consumer, use_cases
from orders.domain import Status
from tests.integration.gateway import Context, event, queue_event
from tests.integration.orders import shop

ROUNDS = 5
COMPARISONS = [
    Comparison("consumer / hand-written loop, database at 0 ms", "consumer at 0 ms", "by hand at 0 ms", at_most=1.3),
    Comparison("consumer / hand-written loop, database at 1 ms", "consumer at 1 ms", "by hand at 1 ms", at_most=1.3),
    Comparison("consumer, ms a message, database at 1 ms", "consumer at 1 ms"),
]
TIMES, BATCH = 7, 10
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@contextmanager
def variants() -> Iterator[Variants]:
    with database() as server, far(server, 1) as at_1_ms:
        with become("orders", server):
            shop.sell(shop.MUG)

        pairs = [
            {
                f"consumer at {ms} ms": partial(_batch, consumer.handler, server, where),
                f"by hand at {ms} ms": partial(_batch, _by_hand, server, where),
            }
            for ms, where in ((0, server), (1, at_1_ms))
        ]
        yield {name: ask for pair in pairs for name, ask in in_turn(pair, TIMES).items()}


def _batch(handler: Handler, server: Server, where: Server) -> float:
    """Milliseconds a message of a batch, after one that brings the connection up."""
    with become("orders", server):
        captured = [event("PaymentCaptured", {"order_id": shop.placed()}) for _ in range(BATCH + 1)]
    with become("orders", where):
        assert handler(queue_event(captured[0]), Context()) == {"batchItemFailures": []}
        start = time.perf_counter()
        assert handler(queue_event(*captured[1:]), Context()) == {"batchItemFailures": []}
        return (time.perf_counter() - start) * 1000 / BATCH


def _by_hand(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    connection = kept()._live()
    failed, announced = [], []
    for record in batch["Records"]:
        try:
            announced += _react(connection, json.loads(record["body"]))
        except Exception as error:
            connection.rollback()
            failed.append({"itemIdentifier": record["messageId"]})
            _log(failed=record["messageId"], error=repr(error))
    if sent := [event for event, refusal in bus.put(announced) if refusal is None]:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM outbox WHERE event_id IN %s", ([event.event_id.bytes for event in sent],))
        connection.commit()
    return {"batchItemFailures": failed}


def _react(connection: Raw, message: dict[str, Any]) -> list[Sealed]:
    detail, tx = message["detail"], _Plain(connection)
    correlate(detail["correlation_id"], detail["id"])
    sql = "INSERT IGNORE INTO inbox (consumer, event_id) VALUES (%s, %s)"
    if tx.execute(sql, ("orders", UUID(detail["id"]).bytes)):
        use_cases.record(tx, UUID(detail["data"]["order_id"]), Status.CONFIRMED, datetime.now(UTC))
        for sealed in tx.events:
            row = (sealed.event_id.bytes, sealed.detail_type, sealed.detail)
            tx.execute("INSERT INTO outbox (event_id, detail_type, detail) VALUES (%s, %s, %s)", row)
    connection.commit()
    _log(event=message["detail-type"], id=detail["id"], correlation_id=detail["correlation_id"])
    return tx.events


class _Plain(Transaction):
    """The driver's own connection, with nothing in between."""

    def __init__(self, connection: Raw) -> None:
        self._raw, self.events = connection, []

    def execute(self, sql: str, parameters: Any = ()) -> int:
        with self._raw.cursor() as cursor:
            return cursor.execute(sql, parameters)

    def one(self, sql: str, parameters: Any = ()) -> Any:
        with self._raw.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchone()


def _log(**fields: str) -> None:
    print(json.dumps({"time": datetime.now(UTC).isoformat(), "id": str(uuid7()), **fields}), file=sys.stdout)
