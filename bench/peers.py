"""Two other ways to place and read an order, put in the place of orders' SQL while a block lasts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock
from uuid import UUID

from common import idempotency, outbox
from common.connection import Connection
from common.database import Announcer, Transaction, announce_through
from common.events import Sealed
from common.requests import Principal
from orders import repository
from orders.domain import Order, Product

OF_AN_ORDER = "order_id, customer_id, status, order_lines, total, shipping_address, timeline, correlation_id"
PROCEDURES = [
    "CREATE TABLE lines_apart (order_id BINARY(16), product_id BINARY(16), PRIMARY KEY (order_id, product_id))",
    f"""
    CREATE PROCEDURE place(products JSON, o1 BINARY(16), o2 VARBINARY(128), o3 VARCHAR(16), o4 TEXT, o5 BIGINT, o6 TEXT,
        o7 TEXT, o8 VARCHAR(100), deadline INT, e1 BINARY(16), e2 VARCHAR(64), e3 TEXT, f1 BINARY(16), f2 VARCHAR(64),
        f3 TEXT, k1 BINARY(32), k2 BINARY(32), k3 SMALLINT, k4 BLOB)
    BEGIN
        DECLARE sold INT;
        SELECT SUM(price) INTO sold FROM products WHERE NOT retired AND product_id IN (
            SELECT UNHEX(id) FROM JSON_TABLE(products, '$[*]' COLUMNS (id CHAR(32) PATH '$')) AS asked);
        INSERT INTO orders ({OF_AN_ORDER}, due_at)
        VALUES (o1, o2, o3, o4, o5, o6, o7, o8, NOW(6) + INTERVAL deadline SECOND);
        INSERT INTO outbox (event_id, detail_type, detail) VALUES (e1, e2, e3), (f1, f2, f3);
        INSERT INTO idempotency_keys (request_key, body_hash, status, answer) VALUES (k1, k2, k3, k4);
        COMMIT;
    END
    """,
    f"""
    CREATE PROCEDURE read_order(id BINARY(16), reader VARBINARY(128), staff BOOLEAN)
    BEGIN
        SELECT {OF_AN_ORDER} FROM orders WHERE order_id = id AND (customer_id = reader OR staff);
        COMMIT;
    END
    """,
    "GRANT EXECUTE ON orders.* TO orders@'%%'",
]


@contextmanager
def loops() -> Iterator[None]:
    products, add, get = repository.products, repository.add, repository.get

    def one_by_one(tx: Transaction, product_ids: Sequence[UUID]) -> Mapping[UUID, Product]:
        found = [products(tx, [product_id]) for product_id in product_ids]
        return {product_id: product for one in found for product_id, product in one.items()}

    def add_by_line(tx: Transaction, order: Order, deadline_seconds: int) -> None:
        add(tx, order, deadline_seconds)
        for line in order.lines:
            row = (order.order_id.bytes, line.product_id.bytes)
            tx.execute("INSERT INTO lines_apart (order_id, product_id) VALUES (%s, %s)", row)

    def get_by_line(tx: Transaction, order_id: UUID, reader: Principal) -> Order:
        order = get(tx, order_id, reader)
        one_by_one(tx, [line.product_id for line in order.lines])
        return order

    with mock.patch.multiple(repository, products=one_by_one, add=add_by_line, get=get_by_line), _announced(_ByRow()):
        yield


class _ByRow:
    """An outbox with a statement for each event, and a call of the bus."""

    def store(self, connection: Connection, events: Sequence[Sealed]) -> None:
        for event in events:
            outbox.store(connection, [event])

    def announce(self, connection: Connection, events: Sequence[Sealed]) -> None:
        for event in events:
            outbox.announce(connection, [event])


@contextmanager
def _announced(announcer: Announcer) -> Iterator[None]:
    announce_through(announcer)
    try:
        yield
    finally:
        announce_through(outbox)


class _Call:
    """Gathers what a transaction would write, and sends it when it would commit. The procedure commits."""

    def __init__(self) -> None:
        self._order: list[Any] = []
        self._key: list[Any] = []

    def products(self, tx: Transaction, product_ids: Sequence[UUID]) -> Mapping[UUID, Product]:
        self._order = [json.dumps([product_id.hex for product_id in product_ids])]
        return {product_id: Product("Mug", 800) for product_id in product_ids}

    def add(self, tx: Transaction, order: Order, deadline_seconds: int) -> None:
        row = mock.Mock(execute=lambda sql, parameters: self._order.extend(parameters))
        ADD(row, order, deadline_seconds)

    def keep(self, tx: Transaction, key: bytes, body_hash: bytes, status: int, answer: str) -> None:
        STORE(mock.Mock(execute=lambda sql, parameters: self._key.extend(parameters)), key, body_hash, status, answer)

    def store(self, connection: Connection, events: Sequence[Sealed]) -> None:
        if self._key:
            rows = [value for event in events for value in (event.event_id.bytes, event.detail_type, event.detail)]
            _call(connection, "CALL place(%s)", [*self._order, *rows, *self._key])
            self._key = []

    def announce(self, connection: Connection, events: Sequence[Sealed]) -> None:
        outbox.announce(connection, events)

    def get(self, tx: Transaction, order_id: UUID, reader: Principal) -> Order:
        row = _call(tx._connection, "CALL read_order(%s)", [order_id.bytes, reader.sub, reader.is_staff])
        return repository._order(row)


ADD, STORE = repository.add, idempotency._store


def _call(connection: Connection, sql: str, parameters: list[Any]) -> Any:
    """Past our connection, which would commit what is committed already."""
    with connection._live().cursor() as cursor:
        cursor.execute(sql.replace("%s", ", ".join(["%s"] * len(parameters))), parameters)
        return cursor.fetchone()


@contextmanager
def one_call() -> Iterator[None]:
    call = _Call()
    with (
        mock.patch.multiple(repository, products=call.products, add=call.add, get=call.get),
        mock.patch.object(idempotency, "_store", call.keep),
        _announced(call),
    ):
        yield
