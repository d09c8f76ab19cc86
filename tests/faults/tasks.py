"""Tasks of the ECS design, each a process of its own that serves a service as it is served there, on HTTP; forked, so
that what is patched now holds there too."""

import io
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import urllib3

from common.configuration import configuration
from common.observability import logger
from ecs.runtime import service_tokens
from ecs.runtime.settings import settings
from ecs.runtime.wsgi import application
from localcloud.mariadb import Server
from notifications import ses
from tests.integration.database import PASSWORD
from tests.integration.ecs.identity import Identity
from tests.integration.ecs.serving import Answer
from tests.integration.environments import Elsewhere

SECRET = "secret-of-the-sweep"


def environment(service: str, server: Server, pool: Identity, neighbours: str) -> dict[str, str]:
    """What a task is told. `neighbours` is the URL where all others are."""
    return {
        "SERVICE": service,
        "DATABASE_HOST": server.host,
        "DATABASE_PORT": str(server.port),
        "DATABASE_PASSWORD": PASSWORD,
        "DATABASE_CA_FILE": str(server.ca_file),
        "NEIGHBOUR_URL": neighbours,
        "CLIENT_ID": service,
        **pool.environment,
    }


class Task:
    """`prepared` is called in it before anything else, to take something away from it, and from nobody else."""

    def __init__(self, service: str, told: Mapping[str, str], prepared: Callable[[], object] = lambda: None) -> None:
        http = make_server("127.0.0.1", 0, lambda *_: [], server_class=_Server, handler_class=_Quiet)
        self.port = http.server_port
        http.begun_by = os.getpid()
        self._process = Elsewhere(partial(_serve, http, service, dict(told), prepared))
        http.server_close()  # the process has it; when that is killed, nobody listens any more

    def ask(self, method: str, path: str, body: Any = None, token: str = "", **headers: str) -> Answer:
        if token:
            headers["Authorization"] = f"Bearer {token}"
        http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=30), retries=False)
        answer = http.request(method, f"http://127.0.0.1:{self.port}{path}", json=body, headers=headers)
        return Answer(answer.status, answer.headers, answer.data.decode())

    def sweep(self) -> None:
        assert self.ask("POST", "/sweep", Authorization=SECRET).status == 204

    def kill(self) -> None:
        self._process.kill()


class _Server(WSGIServer):
    """Ends when whoever began it is gone."""

    begun_by = 0

    def service_actions(self) -> None:
        if os.getppid() != self.begun_by:
            os._exit(1)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def _serve(http: WSGIServer, service: str, told: dict[str, str], prepared: Callable[[], object]) -> None:
    os.environ |= told
    for kept in (configuration, settings, ses._client):
        kept.cache_clear()
    service_tokens._kept.clear()
    # Logs and metrics would fill the report of a failure with what is meant to happen.
    logger.setLevel("CRITICAL")
    sys.stdout = io.StringIO()
    prepared()
    serve = application(service, secret=SECRET)

    def serve_what_was_sent(environ: dict[str, Any], start: Any) -> Any:
        """This server's input has no end."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        return serve({**environ, "wsgi.input": io.BytesIO(environ["wsgi.input"].read(length))}, start)

    http.set_app(serve_what_was_sent)
    http.serve_forever(poll_interval=1)
