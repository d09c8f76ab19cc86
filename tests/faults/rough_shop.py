"""The whole shop on a rough bus, where each invocation may meet with a mishap, and two may run at once."""

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from importlib import import_module
from typing import Any, TypeVar

import pytest

from common import bus, consumer, database, outbox
from common.configuration import configuration
from common.connection import Connection, connect
from common.observability import logger, metrics
from localcloud.mariadb import Server
from notifications.domain import Letter
from notifications.mailer import MailerUnavailable
from notifications.ses import Ses
from payments import provider
from payments.provider import Charge, ProviderUnavailable
from payments.sandbox import Sandbox
from tests.faults.rough_bus import Message, NoAnswer, RoughBus
from tests.integration.database import PASSWORD
from tests.integration.gateway import Answer, Context, ask, on_schedule
from tests.integration.whole_shop import Shop

WELL = "well"
KILLED = {f"killed {side} commit {number}": (side, number) for number in (1, 2, 3) for side in ("before", "after")}
ANSWER_LOST = "its answer is lost"
BUS = ("the bus is away", "the bus refuses", "the bus refuses one", "the bus's answers are lost")
PROVIDER = ("the provider is away", "the provider stumbles", "the provider's answers are lost")
MAILER_AWAY = "the mailer is away"
NEVER_RUN = "it never runs"
MISHAPS = (WELL, ANSWER_LOST, NEVER_RUN, *KILLED, *BUS, *PROVIDER, MAILER_AWAY)

T = TypeVar("T")


class Killed(BaseException):
    """The process is gone, and with it what it had not committed."""


class Trouble:
    """One invocation's mishap, and what it has come to. `meanwhile` runs, once, right after it has read an order or a
    shipment that it may change: as another invocation at the same time."""

    def __init__(self, mishap: str = WELL, meanwhile: Callable[[], None] | None = None) -> None:
        self.mishap, self.meanwhile = mishap, meanwhile
        self._commits, self._dead, self._stumbled = 0, False, False

    @contextmanager
    def committing(self) -> Iterator[None]:
        self.alive()
        self._commits += 1
        side, number = KILLED.get(self.mishap, ("", 0))
        if number == self._commits and side == "before":
            self._die()
        yield
        if number == self._commits:
            self._die()

    @contextmanager
    def asking_provider(self) -> Iterator[None]:
        self.alive()
        stumbles = self.mishap == "the provider stumbles" and not self._stumbled
        self._stumbled = True
        if stumbles or self.mishap == "the provider is away":
            raise ProviderUnavailable
        yield
        if self.mishap == "the provider's answers are lost":
            raise ProviderUnavailable

    @contextmanager
    def asking_mailer(self) -> Iterator[None]:
        self.alive()
        if self.mishap == MAILER_AWAY:
            raise MailerUnavailable
        yield

    def alive(self) -> None:
        if self._dead:
            raise Killed

    def _die(self) -> None:
        self._dead = True
        raise Killed


class RoughShop(Shop):
    """Every service in this process. `count` is told of all that befalls it."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch, count: Callable[[str], None]) -> None:
        self._listeners: dict[str, list[str]] = {}
        self.bus = RoughBus(self.listeners)
        super().__init__(server, self.bus, self._switch)
        self.invocations = 0
        self._count = count
        self._last_error: object = None
        self.mails: Counter[tuple[str, str, str]] = Counter()
        """How often each was sent, by subject, text and the story that it belongs to."""
        self._running = [Trouble()]
        self._connections: dict[tuple[str, int], Connection] = {}
        self._service = ""
        self._take_over(monkeypatch)

    def start_over(self) -> None:
        """With empty queues. Rows of before are none of this story's."""
        self.bus = self._bus = RoughBus(self.listeners)
        self.mails.clear()
        self._running = [Trouble()]

    def end(self) -> None:
        """Its environments are gone, and their connections with them."""
        for connection in self._connections.values():
            connection.drop()

    def request(
        self, service: str, method: str, path: str, body: Any = None, mishap: str = WELL, **request: Any
    ) -> Answer | None:
        """What the caller is answered; None when there is no answer."""
        handler = import_module(f"{service}.api").handler
        meanwhile = request.pop("meanwhile", None)
        answer = self._invoke(service, lambda: ask(handler, method, path, body, **request), mishap, meanwhile)
        assert not answer or answer.status < 500 or mishap != WELL, f"{method} {path}: {answer}"
        return answer

    def receive(
        self,
        service: str,
        picks: Sequence[int] = range(10),
        mishap: str = WELL,
        twice: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> tuple[list[Message], list[Message]]:
        """Hand the service a batch from its queue, and leave a second copy of it there for `twice`.

        Returns the batch and what of it came back, which is nothing when all went well.
        """
        queue = self.bus.queue(service)
        batch = queue.take(picks)
        if not batch:
            return [], []
        if twice:
            self._count("duplicates")
            queue.messages += [message.again() for message in batch]
        self._count("deliveries")
        records = {"Records": [message.record() for message in batch]}
        handler = self._consumer(service).handler
        work = lambda: json.loads(json.dumps(handler(records, Context())))  # noqa: E731  # as Lambda passes it on
        answer = None if mishap == NEVER_RUN else self._invoke(service, work, mishap, meanwhile)
        back = queue.settle(batch, NoAnswer if answer is None else answer, mishap)
        assert mishap != WELL or not back, f"{service} gave back {back[0].detail_type}: {self._last_error}"
        return batch, back

    def sweep(self, service: str, mishap: str = WELL) -> None:
        self._invoke(service, lambda: on_schedule(self._consumer(service).handler), mishap)

    def calm_down(self, *services: str, newest_first: bool = False) -> None:
        """Each of the services gets all that is in its queue, and what comes of it."""
        picks = range(-1, -11, -1) if newest_first else range(10)
        while sum(len(self.receive(service, picks)[0]) for service in services):
            pass

    def listeners(self, detail_type: str) -> list[str]:
        if detail_type not in self._listeners:
            self._listeners[detail_type] = super().listeners(detail_type)
        return self._listeners[detail_type]

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803  # AWS's name
        """The client of the bus, which has its mishaps too."""
        trouble = self._running[-1]
        trouble.alive()
        self.bus.recover()
        match trouble.mishap:
            case "the bus is away":
                self.bus.fail(ConnectionError("the bus is away"))
            case "the bus refuses":
                self.bus.refuse("ThrottlingException")
            case "the bus refuses one":
                self.bus.refuse("InternalFailure", lambda entry: entry is Entries[0])
        answer = self.bus.put_events(Entries=Entries)
        if trouble.mishap == "the bus's answers are lost":
            raise ConnectionError("the answer is lost")
        return answer

    def _invoke(
        self, service: str, work: Callable[[], T], mishap: str, meanwhile: Callable[[], None] | None = None
    ) -> T | None:
        """What the function answers; None when it does not, as mishaps have it."""
        self.invocations += 1
        if mishap != WELL:
            self._count("crashes" if mishap in KILLED else "mishaps")
        before, trouble = self._service, Trouble(mishap, meanwhile)
        self._running.append(trouble)
        self._switch(service)
        try:
            answer = copy_context().run(work)
        except Killed:
            self._kept().rollback()  # the server's part, when a connection ends
            return None
        except Exception:
            if mishap == WELL:
                raise
            return None
        finally:
            self._running.pop()
            self._switch(before or service)
        return None if mishap == ANSWER_LOST else answer

    def _switch(self, service: str, server: Server | None = None) -> None:
        """Each service keeps its environment, and in it its connection."""
        if service != self._service:
            os.environ["SERVICE"] = self._service = service
            configuration.cache_clear()

    def _kept(self) -> Connection:
        return self._connections.setdefault((self._service, len(self._running)), Connection(connect))

    def _describe(self, error: BaseException) -> dict[str, object]:
        self._last_error = repr(error)
        return {}

    def _take_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        environment = {
            "SERVICE": "",
            "DATABASE_HOST": self.server.host,
            "DATABASE_PORT": str(self.server.port),
            "DATABASE_PASSWORD": PASSWORD,
            "DATABASE_CA_FILE": str(self.server.ca_file),
            "EVENT_BUS": "kumiki-test",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        logger.setLevel(logging.CRITICAL)  # thousands of stories; those that fail are told by what they assert
        commit, one = Connection.commit, Connection.one
        shop = self

        def fatal_commit(self: Connection) -> None:
            with shop._running[-1].committing():
                commit(self)

        def interrupted_one(self: Connection, sql: str, parameters: Sequence[Any] = ()) -> Any:
            row = one(self, sql, parameters)
            trouble = shop._running[-1]
            if trouble.meanwhile and ("FROM orders" in sql or "FROM shipments" in sql) and "FOR UPDATE" not in sql:
                meanwhile, trouble.meanwhile = trouble.meanwhile, None
                meanwhile()
            return row

        def moody_send(self: Ses, email: str, letter: Letter, correlation_id: str) -> str:
            with shop._running[-1].asking_mailer():
                shop.mails[letter.subject, letter.text, correlation_id] += 1
            return "sent"

        charge, refund = Sandbox.charge, Sandbox.refund

        def moody_charge(self: Sandbox, *parameters: Any) -> Charge:
            with shop._running[-1].asking_provider():
                return charge(self, *parameters)

        def moody_refund(self: Sandbox, *parameters: Any) -> None:
            with shop._running[-1].asking_provider():
                refund(self, *parameters)

        monkeypatch.setattr(Connection, "commit", fatal_commit)
        monkeypatch.setattr(Connection, "one", interrupted_one)
        monkeypatch.setattr(Sandbox, "charge", moody_charge)
        monkeypatch.setattr(Sandbox, "refund", moody_refund)
        monkeypatch.setattr(Ses, "send", moody_send)
        monkeypatch.setattr(provider, "PAUSE_SECONDS", 0.0)
        monkeypatch.setattr(database, "RETRY_SECONDS", 1.0)  # nor is anybody else there to make way
        monkeypatch.setattr(database, "kept", self._kept)
        monkeypatch.setattr(outbox, "kept", self._kept)
        monkeypatch.setattr(bus, "_client", lambda: self)
        monkeypatch.setattr(bus, "CALLS_AT_ONCE", 1)  # a story that is told again is the same story
        monkeypatch.setattr(consumer, "describe", self._describe)
        monkeypatch.setattr(metrics, "flush_metrics", metrics.clear_metrics)
