"""A shop whose execution environments can be killed at any of their calls, and what AWS does about it afterwards."""

import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from common import bus as common_bus
from common.configuration import configuration
from common.values import uuid7
from localcloud.mariadb import Server
from notifications import ses
from tests.faults.calls import Calls, Moment
from tests.faults.http_bus import HttpBus, door
from tests.faults.tap import Tap
from tests.integration.database import Database
from tests.integration.environments import Elsewhere
from tests.integration.gateway import Answer
from tests.integration.orders.shop import order_of, product
from tests.integration.whole_shop import NAMES, Shop

Message = dict[str, Any]
Work = Callable[[], Any]
Subscription = tuple[str, str]
"""A service and a detail-type."""
QUANTITY, IN_STOCK = 2, 1_000_000
ROUNDS = 8  # more than any order needs
REACHABLE = {"email": "alice@example.com", "email_verified": "true", "locale": "en"}
"""The claims of a customer who is told by mail."""
_PAST = "NOW(6) - INTERVAL 1 SECOND"


class Point(NamedTuple):
    """Where an environment is killed, or held up: at one of its calls."""

    number: int
    call: str
    moment: Moment

    def __repr__(self) -> str:
        return f"at call {self.number + 1}, {self.call}, {self.moment.value}"


class CrashingShop(Shop):
    """All services on one server. What is not killed runs in this process, as a new environment each time."""

    def __init__(self, server: Server, bus: HttpBus, become: Callable[..., None]) -> None:
        super().__init__(server, bus, become)
        self.bus = bus
        self.connect()
        self._routed = 0
        self.seen: dict[str, set[UUID]] = defaultdict(set)
        """By service, the events that were found committed, but not known to be sent, when it was killed."""

    def connect(self) -> None:
        """To look into every schema; again after the server was away."""
        self.databases = {name: Database(self.server, name) for name in NAMES}

    def open(self) -> str:
        """A product of which there is enough."""
        mug = str(uuid7())
        self._accept("catalog", product("ProductAdded", mug))
        self.settle_all()
        assert self.staff("inventory", "PUT", f"/stock/{mug}", {"on_hand": IN_STOCK}).status == 200
        return mug

    def order(self, mug: str, key: str, card: str = "tok_visa") -> Answer:
        body = order_of((mug, QUANTITY), payment_method=card)
        return self.ask("orders", "POST", "/orders", body, key=key, claims=REACHABLE)

    def cancel(self, order_id: str) -> Answer:
        return self.ask("orders", "POST", f"/orders/{order_id}/cancel")

    def announce(self, source: str, detail_type: str, **data: Any) -> None:
        """An event that no service has made here: it is on the bus."""
        self._accept(source, {"detail-type": detail_type, "detail": {**_envelope(), "data": data}})

    def settle_all(self, *hold: Subscription) -> list[Message]:
        """Deliver what was announced, in batches, and what comes of it, to everybody. Messages of the subscriptions
        `hold` are not delivered, but returned."""
        held: list[Message] = []
        while queues := self.route():
            for service, messages in queues.items():
                held += [message for message in messages if (service, message["detail-type"]) in hold]
                others = [message for message in messages if (service, message["detail-type"]) not in hold]
                for start in range(0, len(others), 10):
                    assert self.deliver(service, *others[start : start + 10]) == []
        return held

    def settle_for_good(self) -> int:
        """Time passes: messages are delivered and what is left over swept, until there is nothing more. Returns how
        many rows were left over. Raises AssertionError when there is no end to it."""
        swept = 0
        for _ in range(ROUNDS):
            self.settle_all()
            if not (rows := self.sweep_all()):
                return swept
            swept += rows
        raise AssertionError(f"{rows} rows are left over for ever")

    def sweep_all(self) -> int:
        """What services left over is due, and swept. Returns how many rows there were: events and mails."""
        rows = 0
        for service in NAMES:
            if left := self.make_due(service):
                rows += left
                self.sweep(service)
        return rows

    def make_due(self, service: str) -> int:
        """Ten seconds pass, or a minute: what is left over is for the next sweep. Returns how many rows there are in
        the outbox, and mails to be sent."""
        database = self.databases[service]
        for table in {"payments": ("payments", "refunds")}.get(service, ()):
            database.execute(f"UPDATE {table} SET due_at = {_PAST} WHERE due_at IS NOT NULL")
        rows = database.execute(f"UPDATE outbox SET available_at = {_PAST}")
        if service == "notifications":
            rows += database.execute(f"UPDATE mails SET due_at = {_PAST} WHERE due_at IS NOT NULL")
        return rows

    def pass_deadline(self, order_id: str) -> None:
        self.databases["orders"].execute(
            f"UPDATE orders SET due_at = {_PAST} WHERE order_id = %s AND due_at IS NOT NULL", (UUID(order_id).bytes,)
        )

    def look_into_outbox(self, service: str) -> None:
        rows = self.databases[service].rows("SELECT event_id FROM outbox")
        self.seen[service] |= {UUID(bytes=row["event_id"]) for row in rows}

    def outcome(self, order_id: str) -> dict[str, Any]:
        """What became of an order, everywhere: the same for two orders that fared alike."""
        key = (UUID(order_id).bytes,)
        placed = self.databases["orders"].rows("SELECT status, timeline, refunded FROM orders WHERE order_id = %s", key)
        held = self.databases["inventory"].rows("SELECT status FROM reservations WHERE order_id = %s", key)
        sent = self.databases["shipping"].rows("SELECT status FROM shipments WHERE order_id = %s", key)
        payments = self.databases["payments"]
        return {
            "order": [
                (row["status"], [step["status"] for step in json.loads(row["timeline"])], row["refunded"])
                for row in placed
            ],
            "reservation": [row["status"] for row in held],
            "shipment": [row["status"] for row in sent],
            "payment": payments.rows("SELECT state, captured, refunded FROM payments WHERE order_id = %s", key),
            "refunds": payments.rows("SELECT amount, status FROM refunds WHERE order_id = %s", key),
            "ledger": payments.rows(
                "SELECT outcome, amount FROM sandbox_ledger WHERE charge_key = %s ORDER BY outcome", key
            ),
            "events": self.events_of(order_id),
            "mails": self.databases["notifications"].rows(
                "SELECT topic, status FROM mails WHERE order_id = %s ORDER BY topic", key
            ),
            "told": sorted(set(self.bus.mails[order_id])),
        }

    def events_of(self, order_id: str) -> Counter[str]:
        """The events of an order by type, told apart by their ids: a duplicate is the same event."""
        entries = {
            (entry["DetailType"], json.loads(entry["Detail"])["id"])
            for entry in self.bus.accepted
            if order_id in entry["Detail"]
        }
        return Counter(detail_type for detail_type, _ in entries)

    def stock(self, mug: str) -> tuple[int, int]:
        """On hand, reserved."""
        sql = "SELECT on_hand, reserved FROM stock WHERE product_id = %s"
        [row] = self.databases["inventory"].rows(sql, (UUID(mug).bytes,))
        return row["on_hand"], row["reserved"]

    def waiting_for_locks(self) -> bool:
        time.sleep(0.15)  # asked more often than each 0.1 s, InnoDB repeats what it said
        return bool(
            self.databases["orders"].value(
                "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"
            )
        )

    def unsent(self) -> int:
        return sum(database.count("outbox") for database in self.databases.values())

    def unreceived(self) -> list[tuple[str, str]]:
        """Events on the bus that a subscriber has not dealt with."""
        inboxes = {
            name: {row["event_id"] for row in self.databases[name].rows("SELECT event_id FROM inbox")} for name in NAMES
        }
        return [
            (service, entry["DetailType"])
            for entry in self.bus.accepted
            for service in self.listeners(entry["DetailType"])
            if UUID(json.loads(entry["Detail"])["id"]).bytes not in inboxes[service]
        ]

    def close(self) -> None:
        for database in self.databases.values():
            database.close()

    def route(self) -> dict[str, list[Message]]:
        """What was announced since it was asked last, by who listens."""
        queues: dict[str, list[Message]] = defaultdict(list)
        while self._routed < len(self.bus.accepted):
            entry = self.bus.accepted[self._routed]
            self._routed += 1
            message = {
                "version": "0",
                "detail-type": entry["DetailType"],
                "source": entry["Source"],
                "detail": json.loads(entry["Detail"]),
            }
            for service in self.listeners(entry["DetailType"]):
                queues[service].append(message)
        return queues

    def _accept(self, source: str, event: Message) -> None:
        self.bus.accepted.append(
            {"DetailType": event["detail-type"], "Source": source, "Detail": json.dumps(event["detail"])}
        )


class Environments:
    """Execution environments of their own, whose calls are seen."""

    def __init__(self, shop: CrashingShop, tap: Tap, calls: Calls, clients: list[Any]) -> None:
        self.shop, self._tap, self.calls, self._clients = shop, tap, calls, clients

    def calls_of(self, service: str, work: Work) -> list[str]:
        """The calls of work that nobody disturbs."""
        self.calls.listen()
        self.begin(service, work).result()
        self._tap.quiet()
        return list(self.calls.made)

    def kill(self, service: str, work: Work, point: Point) -> None:
        """Begin the work and kill its environment at the point, which must come."""
        with self.held_up(service, work, point) as environment:
            environment.kill()
        self.shop.look_into_outbox(service)

    @contextmanager
    def held_up(self, service: str, work: Work, point: Point) -> Iterator[Elsewhere[Any]]:
        """Within, the work has come to that point and gets no further."""
        self.calls.listen(point.number, point.moment)
        environment = self.begin(service, work)
        try:
            call = self.calls.reach(environment.running)
            assert call == point.call, f"another call than in an undisturbed run: {call}, {point}"
            yield environment
        except BaseException:
            environment.kill()
            raise
        finally:
            self.calls.resolve(cut=not environment.alive())
            if not environment.alive():
                self._tap.quiet()

    def begin(self, service: str, work: Work) -> Elsewhere[Any]:
        self.shop._become(service, self.shop.server)

        def alone() -> Any:
            os.environ["DATABASE_PORT"] = str(self._tap.port)
            configuration.cache_clear()
            common_bus._client = lambda: self._clients[0]  # type: ignore[assignment]
            ses._client = lambda: self._clients[1]  # type: ignore[assignment]
            return work()

        return Elsewhere(alone)


def points(calls: Sequence[str], every: bool = True) -> list[Point]:
    """Where to kill an environment that makes these calls: at each when it has not arrived, and when it has not been
    answered. Without `every`, only before the first and after each: to the others that is the same, as what lies
    between an answer and the next call is seen by nobody but the environment."""
    moments = [(number, call, moment) for number, call in enumerate(calls) for moment in Moment]
    return [Point(*each) for each in moments if every or each[0] == 0 or each[2] is Moment.UNANSWERED]


@contextmanager
def watching(server: Server, become: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Environments]:
    """For the length of a block: environments on a server, with a shop that has nothing yet and a bus of its own."""
    bus, calls = HttpBus(), Calls()
    with ExitStack() as stack:
        tap = Tap(server, calls, ends_of_reads=False)
        stack.callback(tap.close)
        clients = []
        for address in (stack.enter_context(door(bus, calls)), stack.enter_context(door(bus))):
            monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", address)
            monkeypatch.setenv("AWS_ENDPOINT_URL_SES", address)
            for client in (common_bus._client, ses._client):
                client.cache_clear()
                stack.callback(client.cache_clear)
                clients.append(client())
        monkeypatch.setenv("MAIL_SENDER", "Kumiki <shop@example.com>")
        shop = CrashingShop(server, bus, become)
        stack.callback(shop.close)
        for database in shop.databases.values():
            database.empty()
        yield Environments(shop, tap, calls, clients[:2])


def _envelope() -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "time": "2026-05-04T03:02:01.000000Z",
        "version": 1,
        "correlation_id": "the-first-request",
        "causation_id": None,
    }
