"""The shop in the ECS design, where orders can be killed at any of its calls, to its database or to its neighbours."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest

from common.database import announce_through
from ecs import orders as ecs_orders
from ecs.runtime import service_tokens
from ecs.runtime.settings import settings
from localcloud.mariadb import Server
from orders import api
from tests.faults.crashing import IN_STOCK, QUANTITY, REACHABLE, CrashingShop, Environments, Work, watching
from tests.faults.crossroads import Crossroads, crossroads
from tests.faults.http_bus import HttpBus
from tests.faults.tasks import Task, environment
from tests.integration.ecs.identity import Identity, identity
from tests.integration.ecs.serving import Answer
from tests.integration.gateway import ALICE, ask, on_schedule
from tests.integration.orders.shop import order_of
from tests.integration.whole_shop import NAMES


class CallingShop(CrashingShop):
    """One task a service, on one server. Their calls pass `roads`, those of environments of orders `observed`."""

    def __init__(
        self,
        server: Server,
        post: HttpBus,
        become: Callable[..., None],
        pool: Identity,
        roads: Crossroads,
        observed: Crossroads,
    ) -> None:
        super().__init__(server, post, become)
        self.pool, self.roads, self.observed = pool, roads, observed
        self.tasks: dict[str, Task] = {}
        for service in NAMES:
            self.start(service)

    def start(self, service: str, prepared: Callable[[], object] = lambda: None) -> None:
        """A new task in the place of the one that there is."""
        self.stop(service)
        told = environment(service, self.server, self.pool, self.roads.url)
        self.tasks[service] = Task(service, told, prepared)
        self.roads.ports[service] = self.tasks[service].port

    def stop(self, service: str) -> None:
        if service in self.tasks:
            self.tasks.pop(service).kill()

    def customer(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        token = self.pool.user(ALICE, **REACHABLE)
        return self.tasks["orders"].ask(method, path, body, token, **headers)

    def by_staff(self, service: str, method: str, path: str, body: Any = None) -> Answer:
        return self.tasks[service].ask(method, path, body, self.pool.user("sam", "staff"))

    def open(self, on_hand: int = IN_STOCK) -> str:
        product = {"name": "Mug", "price": {"amount": 800, "currency": "JPY"}}
        mug = str(self.by_staff("catalog", "POST", "/products", product).json["product_id"])
        assert self.by_staff("inventory", "PUT", f"/stock/{mug}", {"on_hand": on_hand}).status == 200
        return mug

    def place(self, request: dict[str, Any], key: str) -> Answer:
        return self.customer("POST", "/orders", request, **{"Idempotency-Key": key})

    def placed_as(self, order_id: str) -> str:
        return str(self.customer("GET", f"/orders/{order_id}").json["status"])

    def make_due(self, service: str) -> int:
        """As ever, and what waits in the journal."""
        waiting = "UPDATE journal SET available_at = NOW(6) - INTERVAL 1 SECOND"
        return super().make_due(service) + self.databases[service].execute(waiting)

    def sweep(self, service: str) -> None:
        self.tasks[service].sweep()

    def settle_all(self, *hold: Any) -> list[Any]:
        """There are no messages."""
        return []

    def journal(self) -> list[str]:
        """What is still to be done about events, by any service."""
        return [
            row["detail_type"] for name in NAMES for row in self.databases[name].rows("SELECT detail_type FROM journal")
        ]

    def close(self) -> None:
        for service in list(self.tasks):
            self.stop(service)
        super().close()


def placing(request: dict[str, Any], key: str) -> Work:
    """What an environment of orders does when that is asked of it; each has a connection of its own."""
    handler = ecs_orders.overrides.handler
    return _journaling(partial(ask, handler, "POST", "/orders", request, key=key, claims=REACHABLE))


def cancelling(order_id: str) -> Work:
    return _journaling(partial(ask, api.handler, "POST", f"/orders/{order_id}/cancel"))


def sweeping() -> Work:
    return _journaling(partial(on_schedule, ecs_orders.consumer.handler))


def mugs(mug: str, card: str = "tok_visa", quantity: int = QUANTITY) -> dict[str, Any]:
    return order_of((mug, quantity), payment_method=card)


def _journaling(work: Work) -> Work:
    def journaled() -> Any:
        announce_through(ecs_orders.journal)
        return work()

    return journaled


@contextmanager
def calling(server: Server, become: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Environments]:
    """For the length of a block: environments of orders whose calls are seen, and a shop around them."""
    with ExitStack() as stack:
        environments = stack.enter_context(watching(server, become, monkeypatch))
        pool, ports = stack.enter_context(identity()), dict[str, int]()
        roads = stack.enter_context(crossroads(ports))
        observed = stack.enter_context(crossroads(ports, environments.calls))
        shop = CallingShop(server, environments.shop.bus, become, pool, roads, observed)
        stack.callback(shop.close)
        for name, value in environment("orders", server, pool, observed.url).items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        stack.callback(settings.cache_clear)
        stack.callback(service_tokens._kept.clear)
        for service in NAMES:  # an environment has had tokens for long
            service_tokens.token(service)
        environments.shop = shop
        yield environments
