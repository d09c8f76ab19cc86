"""Events a second that the outbox's sweep sends, with the database at 1 ms and a PutEvents of 5 ms.

Against a loop that takes one row, sends it and deletes it, as safely: leased, so that no transaction is open meanwhile.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from bench.bus import bus
from bench.far import far
from bench.function import become
from bench.measuring import Comparison, Variants
from bench.shop import database
from common import bus as common_bus
from common import outbox
from common.connection import kept
from common.events import Sealed
from tests.integration.database import Database

ROUNDS = 9
COMPARISONS = [
    Comparison("sweep / one event at a time, events a second", "sweep", "one at a time", at_least=30),
    Comparison("sweep, events a second", "sweep"),
    Comparison("one event at a time, events a second", "one at a time"),
]
SWEPT, ONE_BY_ONE = 1000, 50
# As large as an OrderPlaced of two lines, and due.
FILL = """
    INSERT INTO outbox (event_id, detail_type, detail, available_at)
    SELECT UNHEX(MD5(CONCAT(seq, RAND()))), 'OrderPlaced', JSON_OBJECT('data', REPEAT('x', 600)), NOW(6)
      FROM seq_1_to_%s
"""


@contextmanager
def variants() -> Iterator[Variants]:
    with database() as server, far(server, 1) as at_1_ms, bus(5) as events:
        orders = Database(server, "orders")

        def sweep() -> float:
            orders.execute(FILL, (SWEPT,))
            start = time.perf_counter()
            assert outbox.sweep() == SWEPT
            return SWEPT / (time.perf_counter() - start)

        def one_at_a_time() -> float:
            orders.execute(FILL, (ONE_BY_ONE,))
            start = time.perf_counter()
            for _ in range(ONE_BY_ONE):
                _send_one()
            return ONE_BY_ONE / (time.perf_counter() - start)

        with become("orders", at_1_ms, events):
            yield {"sweep": sweep, "one at a time": one_at_a_time}
        orders.close()


def _send_one() -> None:
    connection = kept()
    [row] = connection.all(
        """
        SELECT event_id, detail_type, detail FROM outbox WHERE parked_at IS NULL AND available_at <= NOW(6)
         ORDER BY available_at LIMIT 1 FOR UPDATE SKIP LOCKED
        """
    )
    lease = "UPDATE outbox SET available_at = NOW(6) + INTERVAL 60 SECOND WHERE event_id = %s"
    connection.execute(lease, (row["event_id"],))
    connection.commit()
    event = Sealed(UUID(bytes=row["event_id"]), row["detail_type"], row["detail"])
    assert [refusal for _, refusal in common_bus.put([event])] == [None]
    connection.execute("DELETE FROM outbox WHERE event_id = %s", (row["event_id"],))
    connection.commit()
