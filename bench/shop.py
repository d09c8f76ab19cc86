"""What a benchmark has around it: a database with every schema, and the environment that a function finds."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcloud import throwaway
from localcloud.home import memory
from localcloud.mariadb import Server
from tests.integration.database import PASSWORD, migrate


@contextmanager
def database(*options: str) -> Iterator[Server]:
    """A server of its own, set up as RDS is, with the schemas of all services. `options` are mariadbd's."""
    with (
        tempfile.TemporaryDirectory(prefix="kumiki-bench-", dir=memory()) as folder,
        throwaway.throw_away(throwaway.template(Path(folder) / "template", migrate), *options) as server,
    ):
        yield server


def settings(service: str, server: Server) -> dict[str, str]:
    """What template.yaml tells a function of `service`."""
    return {
        "SERVICE": service,
        "DATABASE_HOST": server.host,
        "DATABASE_PORT": str(server.port),
        "DATABASE_PASSWORD": PASSWORD,
        "DATABASE_CA_FILE": str(server.ca_file),
        "EVENT_BUS": "kumiki-bench",
        "MAIL_SENDER": "shop@example.com",
        "ORDER_DEADLINE_SECONDS": "900",
        "POWERTOOLS_SERVICE_NAME": service,
        "POWERTOOLS_METRICS_NAMESPACE": "Kumiki",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }
