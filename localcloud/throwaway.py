"""MariaDB servers for tests, which start in a tenth of a second on a copy of prepared data."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from localcloud.home import child_environment, free_port, memory
from localcloud.mariadb import SERVER_PATH, Server, create


@contextmanager
def serving(server: Server, *options: str, ended_by: signal.Signals = signal.SIGTERM) -> Iterator[Server]:
    """The server, answering for the length of a block, in the caller's process group. `options` are mariadbd's."""
    with subprocess.Popen([*server.command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            server.wait(lambda: process.poll() is None)
            yield server
        finally:
            process.send_signal(ended_by)


def template(directory: Path, prepare: Callable[[Server], object]) -> Server:
    """A stopped server with what `prepare` put into it, for `throw_away` to copy."""
    environment = child_environment(PATH=SERVER_PATH)
    server = Server(directory, free_port(), f"Aa1-{directory.name}")
    create(server, lambda command: subprocess.run(command, env=environment, check=True, capture_output=True))
    with serving(server):
        prepare(server)
    return server


@contextmanager
def throw_away(template: Server, *options: str) -> Iterator[Server]:
    """A server of one's own, answering, on a copy of a template; gone at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="kumiki-mariadb-", dir=memory()) as folder:
        server = Server(Path(folder) / "server", free_port(), template.password)
        shutil.copytree(template.directory, server.directory)
        with serving(server, *options, ended_by=signal.SIGKILL):
            yield server
