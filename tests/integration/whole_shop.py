"""All services in one process: each becomes the environment in turn, and events go to whoever listens to them."""

import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

from localcloud.mariadb import Server
from tests.integration.database import SERVICES, Database
from tests.integration.fake_bus import FakeBus
from tests.integration.gateway import STAFF, Answer, ask, deliver, on_schedule

NAMES = sorted(folder.parent.name for folder in SERVICES.glob("*/migrations"))


class Shop:
    """`become` is the fixture's; `server` has every schema."""

    def __init__(self, server: Server, bus: FakeBus, become: Callable[..., None]) -> None:
        self.server, self._bus, self._become = server, bus, become
        self._announced = 0

    def empty(self) -> None:
        for name in NAMES:
            database = Database(self.server, name)
            database.empty()
            database.close()

    def ask(self, service: str, method: str, path: str, body: Any = None, **request: Any) -> Answer:
        self._become(service, self.server)
        return ask(import_module(f"{service}.api").handler, method, path, body, **request)

    def staff(self, service: str, method: str, path: str, body: Any = None, **request: Any) -> Answer:
        return self.ask(service, method, path, body, sub=STAFF, groups=["staff"], **request)

    def deliver(self, service: str, *events: dict[str, Any] | str) -> list[str]:
        self._become(service, self.server)
        return deliver(self._consumer(service).handler, *events)

    def sweep(self, service: str) -> None:
        self._become(service, self.server)
        on_schedule(self._consumer(service).handler)

    def settle(self) -> list[str]:
        """Deliver all that was announced, and what comes of it, to everybody. Returns the detail-types, in order."""
        types = []
        while self._announced < len(self._bus.accepted):
            entry = self._bus.accepted[self._announced]
            self._announced += 1
            types.append(entry["DetailType"])
            event = {
                "version": "0",
                "detail-type": entry["DetailType"],
                "source": entry["Source"],
                "detail": json.loads(entry["Detail"]),
            }
            for service in self.listeners(entry["DetailType"]):
                assert self.deliver(service, event) == [], f"{service} gave back {event}"
        return types

    def listeners(self, detail_type: str) -> list[str]:
        return [service for service in NAMES if detail_type in self._consumer(service)._reactions]

    def _consumer(self, service: str) -> Any:
        return import_module(f"{service}.consumer").consumer
