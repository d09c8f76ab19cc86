"""Functions in the client that Lambda's Python runtime is (awslambdaric), which asks an API of ours for its work."""

import compileall
import json
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import IO, Any
from uuid import uuid4

from localcloud import sam
from localcloud.home import REGION, REPOSITORY, Home, child_environment, virtual_environment

HOME = Home(REPOSITORY / ".local" / "bench")
RUNTIME = virtual_environment("runtime") / "bin" / "python"
LAYER = HOME.root / "build" / "CommonLayer" / "python"
SECONDS = 60


class Failed(Exception):
    """The function raised, or did not answer."""


@dataclass(frozen=True)
class Function:
    """Code in `folder`, what it imports from elsewhere in `layers`, and what its environment says. Nothing that it
    compiles is kept, as Lambda's folders are read-only."""

    handler: str
    folder: Path
    layers: Sequence[Path] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


def build() -> None:
    """`sam build` for this machine. Raises CommandFailed."""
    sam.build(HOME, HOME.root)


def usual() -> Path:
    """What a function written the usual way has beside its code, as `sam build` ships it: without bytecode."""
    [packages] = virtual_environment("usual").glob("lib/*/site-packages")
    return packages


def service(function: str) -> str:
    return function.removesuffix("Api").removesuffix("Consumer").lower()


def built(function: str, variables: Mapping[str, str]) -> Function:
    """A function of template.yaml as `build` left it: `OrdersApi`."""
    module = f"{service(function)}.{function.lower().removeprefix(service(function))}"
    return Function(f"{module}.handler", HOME.root / "build" / function, [LAYER], variables)


def compiled(packages: Path) -> Path:
    """A copy of `packages` with bytecode, as good as ours."""
    copy = HOME.root / "compiled"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(packages, copy)
    compileall.compile_dir(copy, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return copy


def environment(function: Function, **variables: str) -> dict[str, str]:
    """Of its process."""
    lambdas = {
        "AWS_LAMBDA_FUNCTION_NAME": function.folder.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_GROUP_NAME": "bench",
        "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "LAMBDA_TASK_ROOT": str(function.folder),
        "PYTHONPATH": ":".join(map(str, [function.folder, *function.layers])),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return child_environment(**lambdas, **function.variables, **variables)


@contextmanager
def started(function: Function) -> Iterator["Running"]:
    """The function's process, from its very start; killed at the end."""
    with _Api() as api:
        variables = environment(function, AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{api.server_port}")
        command: list[str | Path] = [RUNTIME, "-m", "awslambdaric", function.handler]
        api.begun = time.perf_counter()
        with (
            tempfile.TemporaryFile() as log,
            subprocess.Popen(command, cwd=function.folder, env=variables, stdout=log, stderr=log) as process,
        ):
            try:
                yield Running(api, process, log)
            finally:
                process.kill()


class Running:
    def __init__(self, api: "_Api", process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._api, self._process, self._log = api, process, log

    def invoke(self, event: Any) -> tuple[Any, float]:
        """What the function answers, and after how many seconds from its start. Raises Failed."""
        self._api.asked.put(json.dumps(event).encode())
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                path, answer, at = self._api.answered.get(timeout=0.2)
            except queue.Empty:
                continue
            if not path.endswith("/response"):
                break
            return json.loads(answer), at - self._api.begun
        raise Failed(self.output)

    @property
    def output(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def cpu_seconds(self) -> float:
        """What the process's threads have had of the processor so far."""
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


class _Api(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.asked: queue.Queue[bytes] = queue.Queue()
        self.answered: queue.Queue[tuple[str, bytes, float]] = queue.Queue()
        self.begun = 0.0
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> "_Api":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A function that was killed has hung up."""


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Api

    def do_GET(self) -> None:
        event = self.server.asked.get()
        self._answer(
            200,
            event,
            **{
                "Lambda-Runtime-Aws-Request-Id": str(uuid4()),
                "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 25_000),
                "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:{REGION}:123456789012:function:bench",
                "Lambda-Runtime-Trace-Id": "Root=1-68fa1b40-5c3d8e1f0a2b4c6d7e8f9012;Parent=53995c3f42cd8ad8;Sampled=0",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        at = time.perf_counter()
        self._answer(202, b"")
        self.server.answered.put((self.path, body, at))

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Nobody reads it."""
