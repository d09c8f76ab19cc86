"""A task: a container's processes, at an address of their own."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from localcloud import programs
from localcloud.ecs import graph, network
from localcloud.home import Home, virtual_environment

HEALTH_SECONDS = 5  # as ECS waits for its answer, by ecs/service.yaml
STOP_SECONDS = 60
"""As long as ECS would let it end by itself."""
_HTTP = urllib3.PoolManager(timeout=HEALTH_SECONDS, retries=False, maxsize=1)


@dataclass(eq=False)
class Task:
    home: Home
    service: str
    number: int
    name_files: Path
    registered: bool = field(default=False, init=False)
    leaving: bool = field(default=False, init=False)
    """Another is to take its place."""
    ending: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        return f"{self.service}-{self.number}"

    @property
    def address(self) -> str:
        return graph.address(self.service, self.number)

    @property
    def url(self) -> str:
        return f"http://{self.address}:{graph.PORT}"

    @property
    def log(self) -> Path:
        return self.home.log(self.name)

    @property
    def pids(self) -> list[int]:
        return programs.members(self.home, self.name)

    def attach(self) -> None:
        network.attach(self.name, self.address, graph.admitted(self.service))

    def start(self, environment: dict[str, str]) -> None:
        """Its processes have that environment and nothing else."""
        python = virtual_environment("dev") / "bin" / "python"
        programs.start(self.home, self.name, self.inside(python, "-m", "ecs.server"), environment)

    def inside(self, *command: str | Path) -> list[str]:
        """The command that runs `command` at its address, with the names that it knows."""
        return network.inside(self.name, self.name_files, *command)

    def ended(self, within: float = 0) -> bool:
        """Whether its main process is gone, or goes within so many seconds."""
        return programs.ended(self.home, self.name, within)

    def healthy(self) -> bool:
        try:
            return _HTTP.request("GET", f"{self.url}/health", headers={"Connection": "close"}).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def kill(self) -> None:
        """As the kernel does when memory is short: all its processes, unasked."""
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        """It hangs: its connections stay, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def terminate(self) -> int | None:
        """Ask its main process to end, and kill all in the end. Returns the status; None of one that did not end."""
        status = None
        if pid := programs.pid(self.home, self.name):
            with suppress(ProcessLookupError):  # it has ended just now
                os.kill(pid, signal.SIGTERM)
            status = programs.status(self.home, self.name) if self.ended(STOP_SECONDS) else None
        return status

    def destroy(self) -> None:
        """Nothing of it is left, nor of its address."""
        programs.stop(self.home, self.name, grace=0)
        network.detach(self.name)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
