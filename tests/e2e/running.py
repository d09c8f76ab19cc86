"""Fixtures: one shop for all tests that want one; each test makes what it needs: products, orders, trouble.

With `--design=ecs`, inside of `python -m localcloud.ecs exec`, it is that of the ECS design, under the same names.
"""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud import cloud, mariadb, users
from localcloud.api import Api
from localcloud.home import REPOSITORY, Home
from localcloud.stack import SERVICES, Stack
from tests.e2e.database import count, tables
from tests.e2e.queues import Queues
from tests.e2e.shop import Shop
from tests.e2e.waiting import eventually


@pytest.fixture(scope="session")
def design(pytestconfig: pytest.Config) -> str:
    """lambda, or ecs"""
    return str(pytestconfig.getoption("--design"))


@pytest.fixture(scope="session")
def ecs(design: str, pytestconfig: pytest.Config) -> Iterator[Any]:
    """The ECS design in its namespaces, a `localcloud.ecs.shop.Shop`; skips the test where it is not asked for."""
    if design != "ecs":
        pytest.skip("of the ECS design alone")
    from localcloud.ecs.graph import CLOUD
    from localcloud.ecs.shop import Shop

    discovery = pytestconfig.getoption("--discovery")
    shop = Shop(Home(REPOSITORY / ".local" / "test" / discovery, CLOUD), discovery, settings={"SWEEP_SECONDS": "1"})
    try:
        yield shop
    finally:
        shop.close()


@pytest.fixture(scope="session")
def home(design: str, request: pytest.FixtureRequest) -> Home:
    if design == "ecs":
        home: Home = request.getfixturevalue("ecs").home
        return home
    return Home(REPOSITORY / ".local" / "test")


@pytest.fixture(scope="session")
def stack(design: str, home: Home, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Begun anew: what an earlier run left may be of other code. Whatever ends the tests ends the cloud: a signal comes
    as KeyboardInterrupt, after which pytest tears down."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    if design == "ecs":
        yield SimpleNamespace(**request.getfixturevalue("ecs").describe())  # type: ignore[misc]
        return
    cloud.down(home)
    shutil.rmtree(home.root / mariadb.NAME, ignore_errors=True)
    try:
        yield cloud.up(home)
    finally:
        cloud.down(home)


@pytest.fixture(scope="session")
def queues(home: Home, stack: Stack) -> Iterator[Queues]:
    """At the end of all tests nothing may be left in them, but for what a test put there and took out again."""
    queues = Queues(home, stack)
    yield queues
    queues.drained()
    assert {service: queues.dead_letters(service) for service in stack.dead_letter_queues} == {
        service: [] for service in stack.dead_letter_queues
    }


@pytest.fixture(scope="session")
def drained(design: str, stack: Stack, request: pytest.FixtureRequest) -> Callable[[], None]:
    """Call it, and all that was begun is done: no queue, or no journal, has anything in it."""
    if design == "ecs":
        journals = [service for service in SERVICES if "journal" in tables(stack, service)]
        return lambda: eventually(lambda: not any(count(stack, service, "journal") for service in journals))
    drained: Callable[[], None] = request.getfixturevalue("queues").drained
    return drained


@pytest.fixture(scope="session")
def accepted(design: str) -> int:
    """The status with which an order is taken."""
    return 201 if design == "ecs" else 202


@pytest.fixture(scope="session")
def alice(home: Home, stack: Stack) -> Api:
    return Api(stack.api_url, users.id_token(home, stack, "alice"))


@pytest.fixture(scope="session")
def bob(home: Home, stack: Stack) -> Api:
    return Api(stack.api_url, users.id_token(home, stack, "bob"))


@pytest.fixture(scope="session")
def staff(home: Home, stack: Stack) -> Api:
    return Api(stack.api_url, users.id_token(home, stack, "staff"))


@pytest.fixture(scope="session")
def shop(staff: Api) -> Shop:
    return Shop(staff)


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")
