"""Real MariaDB, a bus and a post office in memory, and the environment of the service that a test's folder names."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common import bus as common_bus
from common import connection
from common.configuration import configuration
from common.observability import metrics
from localcloud import throwaway
from localcloud.mariadb import Server
from notifications import consumer as notifications
from tests.integration.database import PASSWORD, Database, migrate, schemas
from tests.integration.fake_bus import FakeBus
from tests.integration.fake_post import FakePost

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A stopped server with every schema, for `throw_away` to copy where a test needs a server of its own."""
    return throwaway.template(tmp_path_factory.mktemp("mariadb"), migrate)


@pytest.fixture(scope="session")
def server(template: Server) -> Iterator[Server]:
    """The server that the tests of this process share."""
    with throwaway.throw_away(template) as server:
        yield server


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    """The folder's name under tests/integration; `workshop` for the layer, which is no service. Tests that are in none
    of these folders parametrize it, or use `become`."""
    folder = request.path.relative_to(HERE).parts[0]
    return {"common": "workshop"}.get(folder, folder)


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch, server: Server) -> Iterator[Callable[[str], None]]:
    """Call it with a service's name, and `common` works for that service from then on."""

    def become(service: str, server: Server = server) -> None:
        monkeypatch.setenv("SERVICE", service)
        monkeypatch.setenv("DATABASE_HOST", server.host)
        monkeypatch.setenv("DATABASE_PORT", str(server.port))
        monkeypatch.setenv("DATABASE_PASSWORD", PASSWORD)
        monkeypatch.setenv("DATABASE_CA_FILE", str(server.ca_file))
        monkeypatch.setenv("EVENT_BUS", "kumiki-test")
        forget()

    yield become
    forget()


def forget() -> None:
    """What an execution environment keeps."""
    if connection.kept.cache_info().currsize:
        connection.kept().drop()
    connection.kept.cache_clear()
    configuration.cache_clear()
    metrics.clear_metrics()


@pytest.fixture
def database(become: Callable[[str], None], service: str, server: Server) -> Iterator[Database]:
    """The service's schema, with all tables empty."""
    become(service)
    database = Database(server, service)
    database.empty()
    yield database
    database.close()


@pytest.fixture
def still(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database's clock stands still for the service and for `database`: where seconds count, none passes."""
    stand_still, connect = f"SET timestamp = {int(time.time())}", connection.connect

    def connected() -> Any:
        raw = connect()
        raw.query(stand_still)
        return raw

    forget()
    monkeypatch.setattr(connection, "connect", connected)
    database.execute(stand_still)


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> FakeBus:
    fake = FakeBus()
    monkeypatch.setattr(common_bus, "_client", lambda: fake)
    return fake


@pytest.fixture(autouse=True)
def post(monkeypatch: pytest.MonkeyPatch) -> FakePost:
    """No test writes to anybody."""
    fake = FakePost()
    monkeypatch.setattr(notifications, "mailer", fake)
    return fake


@pytest.fixture(autouse=True)
def _service(request: pytest.FixtureRequest, service: str) -> None:
    """Tests in a service's folder have its environment and the bus, whether they mention them or not."""
    if service in schemas():
        request.getfixturevalue("database")
        request.getfixturevalue("bus")
