"""A shop of the ECS design that begins empty, and its books, which have to agree in the end."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from localcloud.api import Api
from localcloud.stack import SERVICES, Stack
from tests.e2e.database import count, tables
from tests.e2e.shop import Shop
from tests.e2e.waiting import eventually
from tests.ecs.load import PRICE, Load, going_on
from tests.faults import figures
from tests.faults.books import Books

ON_HAND, FEW = 100_000, 5
REST_SECONDS = 120


class Trial:
    """A shop under load. `noted` are figures, which docs/promises.md shows if all went well."""

    def __init__(self, ecs: Any, stack: Stack, people: tuple[Api, Api, Api], long: bool) -> None:
        self.ecs, self.stack, self._people, self._long = ecs, stack, people, long
        self.books = Books(ecs.database)
        self.rest()  # what others have left
        self.books.start_over(str)
        shop = Shop(people[-1])
        self._counted = {uuid.UUID(shop.sell(units, PRICE)): units for units in (ON_HAND, FEW)}

    @contextmanager
    def load(self, **options: Any) -> Iterator[Load]:
        """For the length of a block. After it no answer was wrong."""
        load = Load(*self._people, *map(str, self._counted), **options)
        with going_on(load, self.pass_time):
            yield load
        assert not load.wrong, load.wrong

    def agree(self, load: Load) -> None:
        """When nothing is left to be done: an order a key, whose money, stock, parcel and mails agree."""
        self.rest()
        self.books.check(self._counted)
        self.books.check_settled()
        assert len(self.books.orders) == len(load.placed) == len(set(load.placed.values()))
        # Nobody would take a row out of an outbox: there is no bus.
        outboxes = [service for service in SERVICES if "outbox" in tables(self.stack, service)]
        assert {service: count(self.stack, service, "outbox") for service in outboxes} == dict.fromkeys(outboxes, 0)

    def rest(self) -> None:
        """Until nothing is left to be done by itself."""

        def unrest() -> list[str]:
            left = self.books.unrest()
            if left:
                self.pass_time()
            return left

        eventually(lambda: not unrest(), REST_SECONDS)

    def pass_time(self) -> None:
        """Half a minute at once, where there is no time: so long, what a crash left is left alone, because whoever had
        it may be alive."""
        if not self._long:
            self.books.pass_time(30)

    def note(self, **counted: object) -> None:
        figures.note(f"under_load.{self.ecs.discovery}", **counted)


@pytest.fixture
def trial(ecs: Any, stack: Stack, alice: Api, bob: Api, staff: Api, long: bool) -> Iterator[Trial]:
    ecs.settle()
    trial = Trial(ecs, stack, (alice, bob, staff), long)
    yield trial
    ecs.delay_registry(0)
    ecs.settle()
    trial.books.close()


@pytest.fixture
def thorough(ecs: Any, long: bool) -> None:
    """For proofs that are the same in both ways of discovery: in the second one they run where there is time."""
    if ecs.discovery != "cloud-map" and not long:
        pytest.skip("for `make verify`")
