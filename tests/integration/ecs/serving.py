"""A container's process on this machine, for the length of a block."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from localcloud.home import REPOSITORY, child_environment, free_port
from localcloud.mariadb import Server
from tests.integration.database import PASSWORD
from tests.integration.ecs.identity import Identity


@dataclass
class Answer:
    status: int
    headers: urllib3.HTTPHeaderDict
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Task:
    """One that answers. `ask` opens a connection a request, as everybody does."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def ask(self, method: str, path: str, body: Any = None, token: str = "", **options: Any) -> Answer:
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=options.pop("seconds", 30)), retries=False)
        answer = http.request(method, f"http://127.0.0.1:{self.port}{path}", body=content, headers=headers)
        return Answer(answer.status, answer.headers, answer.data.decode())

    def raw(self, sent: bytes, seconds: float = 10) -> bytes:
        """What comes back for these bytes until the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as connection:
            connection.sendall(sent)
            received = b""
            while part := connection.recv(65536):
                received += part
        return received

    def lines(self) -> list[dict[str, Any]]:
        """What it logged; each line is JSON. The last one may still be on its way."""
        return [json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def lingering(self) -> int:
        """How many requests have begun that were to take some time; see tests.integration.ecs.workshop."""
        return sum(line.get("message") == "lingers" for line in self.lines())

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children]

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def wait(self, seconds: float = 60) -> None:
        """Until it answers."""
        until = time.monotonic() + seconds
        while True:
            try:
                if self.ask("GET", "/health", seconds=5).status == 200:
                    return
            except urllib3.exceptions.HTTPError:
                pass
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.02)


@contextmanager
def serving(
    service: str,
    identity: Identity,
    database: Server,
    log: Path,
    module: str = "ecs.server",
    **settings: object,
) -> Iterator[Task]:
    """`settings` are further variables of its environment; None takes one away."""
    port = free_port()
    usual = {
        "SERVICE": service,
        "DATABASE_HOST": database.host,
        "DATABASE_PORT": str(database.port),
        "DATABASE_PASSWORD": PASSWORD,
        "DATABASE_CA_FILE": str(database.ca_file),
        "AWS_REGION": "ap-northeast-1",
        "POWERTOOLS_SERVICE_NAME": service,
        "POWERTOOLS_METRICS_NAMESPACE": "Kumiki",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "LAME_SECONDS": "0.5",
        "SWEEP_SECONDS": "600",
        "PYTHONPATH": os.pathsep.join(str(REPOSITORY / folder) for folder in ("services", "layers", "")),
        **identity.environment,
        "CLIENT_ID": service,
    }
    told = {name: str(value) for name, value in {**usual, **settings}.items() if value is not None}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", module],
            env=child_environment(**told),
            cwd=REPOSITORY,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        task = Task(port, process, log)
        try:
            task.wait()
            yield task
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):  # not a wish but an order
                if process.poll() is None:
                    process.send_signal(number)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                for worker in task.workers():
                    os.kill(worker, signal.SIGKILL)
                process.kill()
