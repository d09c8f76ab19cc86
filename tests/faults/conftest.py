"""The proofs of the promises, each with a control that shows the harm without the mechanism.

Those in deployed/ run against the local cloud, beside tests/e2e; the others have a MariaDB and buses of their own, as
tests/integration has.
"""

from collections.abc import Callable, Iterator

import pytest

from localcloud.mariadb import Server
from tests.faults.books import Books
from tests.faults.calling_shop import calling
from tests.faults.crashing import Environments, watching
from tests.integration.conftest import become, server, template

__all__ = ["become", "server", "template"]


@pytest.fixture
def environments(
    server: Server,  # the fixture
    become: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Environments]:
    """Execution environments whose calls are seen, of a shop that has nothing yet."""
    with watching(server, become, monkeypatch) as environments:
        yield environments


@pytest.fixture
def callers(
    server: Server,  # the fixture
    become: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Environments]:
    """Environments of orders in the ECS design, whose calls are seen, to the database and to neighbours."""
    with calling(server, become, monkeypatch) as environments:
        yield environments


@pytest.fixture
def books(server: Server, callers: Environments) -> Iterator[Books]:
    """Of that design's shop."""
    books = Books(server)
    yield books
    books.close()
