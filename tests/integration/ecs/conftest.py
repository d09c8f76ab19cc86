"""A user pool, and the service that sells nothing in a container's process."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from localcloud.mariadb import Server
from tests.integration.database import Database
from tests.integration.ecs.called import Called
from tests.integration.ecs.identity import Identity, identity
from tests.integration.ecs.neighbourhood import Neighbourhood, neighbourhood
from tests.integration.ecs.serving import Task, serving


@pytest.fixture(scope="session")
def pool() -> Iterator[Identity]:
    with identity() as pool:
        yield pool


@pytest.fixture(scope="session")
def task(pool: Identity, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Task]:
    """One for all tests that leave it as it is."""
    log = tmp_path_factory.mktemp("task") / "log"
    with serving("workshop", pool, server, log, "tests.integration.ecs.workshop") as task:
        yield task


@pytest.fixture
def notes(server: Server) -> Iterator[Database]:
    """The schema of that service, empty."""
    database = Database(server, "workshop")
    database.empty()
    yield database
    database.close()


@pytest.fixture(scope="session")
def _around() -> Iterator[Neighbourhood]:
    with neighbourhood() as around:
        yield around


@pytest.fixture(scope="session")
def _begin(
    pool: Identity, server: Server, _around: Neighbourhood, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Called]]:
    """Each service is begun once, when it is first wanted."""
    with ExitStack() as running:

        @cache
        def begin(service: str) -> Called:
            called = Called(service, pool, server, _around, tmp_path_factory.mktemp(service))
            running.callback(called.database.close)
            called.task = running.enter_context(called.serving())
            return called

        yield begin


@pytest.fixture
def called(request: pytest.FixtureRequest, _begin: Callable[[str], Called], _around: Neighbourhood) -> Called:
    """The service that the test's module is named after, with empty tables and neighbours that take everything."""
    called = _begin(request.path.stem.removeprefix("test_"))
    called.database.empty()
    _around.clear()
    return called


@pytest.fixture
def fresh(called: Called, monkeypatch: pytest.MonkeyPatch) -> Iterator[Called]:
    """The same, asked in a container of the test's own: whom it finds away, it leaves alone for a while."""
    with called.serving() as task:
        monkeypatch.setattr(called, "task", task)
        yield called
