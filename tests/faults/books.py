"""What the shop's databases say, held against each other and against the provider's ledger, order by order."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

from pymysql.constants import ER
from pymysql.err import OperationalError

from localcloud.mariadb import Server
from tests.integration.database import administrator
from tests.integration.whole_shop import NAMES

FORWARD = {
    "placed": {"reserved", "rejected", "cancelled", "expired"},
    "reserved": {"confirmed", "rejected", "cancelled", "expired"},
    "confirmed": {"cancelling", "shipped"},
    "cancelling": {"cancelled", "shipped"},
    "shipped": {"delivered"},
}
ENDED = {"rejected", "cancelled", "expired"}
TOPICS = {"shipped": "dispatched"}
STAND = {"confirmed", "shipped", "delivered"}
ONCE_AN_ORDER = {
    *{"OrderPlaced", "OrderConfirmed", "OrderRejected", "OrderCancelled", "OrderExpired", "ContactGiven"},
    *{"StockReserved", "StockRejected", "PaymentCaptured", "PaymentDeclined"},
}
EITHER_OR = [{"StockReserved", "StockRejected"}, {"PaymentCaptured", "PaymentDeclined"}]
EITHER_OR += [{"OrderConfirmed", "OrderRejected"}, {"OrderRejected", "OrderCancelled", "OrderExpired"}]

ONE_ROW = {
    "orders.orders": "order_id, status, total, timeline, refunded",
    "inventory.stock": "product_id AS order_id, on_hand, reserved",
    "inventory.reservations": "order_id, status, order_lines",
    "payments.payments": "order_id, state, captured, refunded",
    "shipping.shipments": "order_id, status",
}
MANY_ROWS = {
    "notifications.mails": "order_id, topic, status",
    "payments.refunds": "order_id, amount, asked, status",
    "payments.sandbox_ledger": "charge_key AS order_id, amount, outcome",
}
TABLES = ONE_ROW | MANY_ROWS
"""What is read of an order, or of a product, in one row or in many."""

Row = dict[str, Any]


class Books:
    """An administrator's view, by procedures in a schema of its own. `name` says what a story calls an identifier."""

    def __init__(self, server: Server) -> None:
        self._connection = administrator(server)
        self._connection.autocommit(True)
        columns = self._rows(
            "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t, COLUMN_NAME AS c FROM information_schema.COLUMNS "
            "WHERE TABLE_SCHEMA IN %s AND TABLE_NAME <> 'schema_migrations'",
            (NAMES,),
        )
        self._tables = sorted({f"`{row['s']}`.`{row['t']}`" for row in columns})
        self._clocks = [
            (f"`{row['s']}`.`{row['t']}`", row["c"]) for row in columns if row["c"] in ("due_at", "available_at")
        ]
        # One round trip instead of many, thousands of times.
        read = "; ".join(f"SELECT {names} FROM {table}" for table, names in TABLES.items())
        empty = "; ".join(f"DELETE FROM {table}" for table in self._tables)
        self._execute("CREATE DATABASE IF NOT EXISTS books")
        self._execute(f"CREATE OR REPLACE PROCEDURE books.all_of_them() BEGIN {read}; END")
        self._execute(f"CREATE OR REPLACE PROCEDURE books.empty() BEGIN START TRANSACTION; {empty}; COMMIT; END")
        self.name: Callable[[UUID], str] = str
        self._seen: dict[UUID, list[str]] = {}

    def start_over(self, name: Callable[[UUID], str]) -> None:
        """Empty tables, for a new story."""
        self.name, self._seen = name, {}
        self._execute("CALL books.empty()")

    def close(self) -> None:
        self._connection.close()

    def pass_time(self, seconds: int) -> None:
        """Whatever waits for a time has waited so much longer: deadlines go by the database's clock."""
        for table, column in self._clocks:
            self._execute(f"UPDATE {table} SET {column} = {column} - INTERVAL %s SECOND", (seconds,))

    def read(self) -> None:
        """What is committed at this moment."""
        found: dict[str, list[Row]] = {}
        with self._connection.cursor() as cursor:
            cursor.execute("CALL books.all_of_them()")
            for table in TABLES:
                found[table] = [{**row, "order_id": UUID(bytes=row["order_id"])} for row in cursor.fetchall()]
                cursor.nextset()
        self.orders, self.stock, self.reservations, self.payments, self.shipments = (
            {row["order_id"]: row for row in found[table]} for table in ONE_ROW
        )
        self.mails, self.refunds, self.ledger = (_grouped(found[table]) for table in MANY_ROWS)

    # After every step

    def check(self, counted: Mapping[UUID, int]) -> None:
        """What holds at any moment, whatever is under way. `counted` is what staff said of each product's units: those
        that have left since, and those that are left, must make it up."""
        self.read()
        self._check_stock(counted)
        for order_id in {*self.orders, *self.payments, *self.ledger, *self.reservations, *self.shipments}:
            self._check_timeline(order_id)
            self._check_money(order_id)

    def units(self, status: str) -> Counter[UUID]:
        """How many of each product the reservations of that status have."""
        units: Counter[UUID] = Counter()
        for row in self.reservations.values():
            if row["status"] == status:
                for line in json.loads(row["order_lines"]):
                    units[UUID(line["product_id"])] += line["quantity"]
        return units

    def captured(self, order_id: UUID) -> int:
        return sum(row["amount"] for row in self.ledger[order_id] if row["outcome"] == "captured")

    def refunded(self, order_id: UUID) -> int:
        return sum(row["amount"] for row in self.ledger[order_id] if row["outcome"] == "refunded")

    def by_staff(self, order_id: UUID) -> list[Row]:
        return [row for row in self.refunds[order_id] if row["asked"] is not None]

    def _check_stock(self, counted: Mapping[UUID, int]) -> None:
        held, gone = self.units("reserved"), self.units("dispatched")
        for product_id, row in self.stock.items():
            name = self.name(product_id)
            on_hand, reserved = row["on_hand"], row["reserved"]
            assert 0 <= reserved <= on_hand, f"{name}: {reserved} reserved of {on_hand} on hand"
            assert reserved == held[product_id], f"{name}: {reserved} reserved, orders hold {held[product_id]}"
            left = f"{name}: {gone[product_id]} gone, {on_hand} left, {counted[product_id]} counted"
            assert on_hand + gone[product_id] == counted[product_id], left

    def _check_timeline(self, order_id: UUID) -> None:
        name = self.name(order_id)
        assert order_id in self.orders, f"{name} is known to others only"
        order = self.orders[order_id]
        timeline = [step["status"] for step in json.loads(order["timeline"])]
        assert timeline[0] == "placed", f"{name} begins {timeline}"
        for before, after in pairwise(timeline):
            assert after in FORWARD.get(before, ()), f"{name}: {timeline} goes back or repeats"
        assert order["status"] == timeline[-1], f"{name} is {order['status']} after {timeline}"
        seen = self._seen.get(order_id, [])
        assert timeline[: len(seen)] == seen, f"{name} was {seen} and is {timeline}"
        self._seen[order_id] = timeline

    def _check_money(self, order_id: UUID) -> None:
        name, payment = self.name(order_id), self.payments.get(order_id)
        charges = [row for row in self.ledger[order_id] if row["outcome"] != "refunded"]
        captured, refunded = self.captured(order_id), self.refunded(order_id)
        assert len(charges) <= 1, f"{name} was charged {len(charges)} times"
        total = self.orders[order_id]["total"]
        assert not charges or charges[0]["amount"] == total, f"{name} costs {total}, was charged {charges[0]['amount']}"
        assert refunded <= captured, f"{name}: {refunded} refunded of {captured} captured"
        if charges:
            held = self.reservations.get(order_id, {}).get("status")
            assert held not in (None, "rejected"), f"{name} was charged, and its stock never held: {held}"
        if payment:
            assert payment["captured"] in (0, captured), f"{name}: payments has {payment}, the provider {captured}"
            assert payment["refunded"] <= refunded, f"{name}: payments has {payment}, the provider {refunded} refunded"
        recorded = self.orders[order_id]["refunded"]
        assert recorded <= refunded, f"{name}: orders recorded {recorded} refunded, the provider {refunded}"

    # Of what was announced

    def check_announced(self, events: Sequence[Row]) -> None:
        """One effect an event: what can happen to an order once was announced as one event, however often sent."""
        of_order: dict[UUID, dict[str, str]] = defaultdict(dict)
        for event in events:
            data, kind = event["detail"]["data"], event["detail-type"]
            if kind in ONCE_AN_ORDER:
                ours = of_order[UUID(data["order_id"])].setdefault(kind, event["detail"]["id"])
                assert ours == event["detail"]["id"], f"{self.name(UUID(data['order_id']))}: two different {kind}"
        for order_id, kinds in of_order.items():
            for alternatives in EITHER_OR:
                both = alternatives & set(kinds)
                assert len(both) <= 1, f"{self.name(order_id)}: {' and '.join(sorted(both))}"

    def check_mails(self, sent: Mapping[tuple[str, str, str], int], crashed: bool) -> None:
        """A customer is told of each thing once; by two equal mails only where a function was killed."""
        for order_id, mails in self.mails.items():
            for topic, count in Counter(mail["topic"] for mail in mails).items():
                most = len(self.refunds[order_id]) if topic == "refunded" else 1
                assert count <= most, f"{self.name(order_id)}: {count} mails that it is {topic}"
        equal_refunds = max(map(len, self.refunds.values()), default=0)
        for (subject, _, _), count in sent.items():
            assert crashed or count <= max(1, equal_refunds), f"{subject!r} was sent {count} times"

    # When all has come to rest

    def unrest(self) -> list[str]:
        """What is still to happen by itself."""
        return [
            f"{count} in {table} wait for their {column}"
            for table, column in self._clocks
            if (count := self._rows(f"SELECT COUNT({column}) AS n FROM {table}")[0]["n"])
        ]

    def check_settled(self) -> None:
        """Each order is where it will stay, and everybody agrees on it."""
        self.read()
        for order_id, order in self.orders.items():
            name, status = self.name(order_id), order["status"]
            captured, refunded = self.captured(order_id), self.refunded(order_id)
            given_back = sum(row["amount"] for row in self.by_staff(order_id))
            held = self.reservations.get(order_id, {}).get("status")
            payment, shipment = self.payments.get(order_id), self.shipments.get(order_id, {}).get("status")
            assert status in ENDED | STAND, f"{name} is {status} for good"
            told = {mail["topic"] for mail in self.mails[order_id] if mail["status"] == "sent"}
            assert TOPICS.get(status, status) in told, f"{name} is {status}, and its customer heard of {told}"
            if status in ENDED:
                assert captured == refunded, f"{name} is {status}: {captured} captured, {refunded} refunded"
                assert held in ("released", "rejected", None), f"{name} is {status}, and its stock {held}"
                assert shipment in ("cancelled", None), f"{name} is {status}, and its shipment {shipment}"
            else:
                kept = f"{name} is {status}: {captured} captured, {refunded} refunded of {order['total']}"
                assert captured - refunded == order["total"] - given_back, kept
                expected = "reserved" if status == "confirmed" else "dispatched"
                assert held == expected, f"{name} is {status}, and its stock {held}"
                sent = {"confirmed": "preparing", "shipped": "dispatched", "delivered": "delivered"}[status]
                assert shipment == sent, f"{name} is {status}, and its shipment {shipment}"
            if payment:
                agreed = (payment["captured"], payment["refunded"]) == (captured, refunded)
                assert agreed, f"{name}: payments has {payment}, the provider {captured} and {refunded}"
            recorded = order["refunded"]
            assert recorded == refunded, f"{name}: orders recorded {recorded} refunded, the provider {refunded}"

    def check_copies(self) -> None:
        """Orders knows all products that catalog has, as it has them."""
        copies = self._rows(
            "SELECT p.product_id, p.name, p.price, p.retired, p.revision FROM catalog.products p "
            "LEFT JOIN orders.products o USING (product_id, name, price, retired, revision) WHERE o.product_id IS NULL"
        )
        assert not copies, f"orders missed {[self.name(UUID(bytes=row['product_id'])) for row in copies]}"

    def _execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> None:
        """Again where the services, who are at work on the same rows, were let go first: then nothing was done."""
        for last in (False, False, False, True):
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute(sql, parameters)
                return
            except OperationalError as error:
                if last or error.args[0] not in (ER.LOCK_DEADLOCK, ER.LOCK_WAIT_TIMEOUT):
                    raise

    def _rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Row]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())


def _grouped(rows: Sequence[Row]) -> Mapping[UUID, list[Row]]:
    grouped: dict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["order_id"]].append(row)
    return grouped
