"""Where one local cloud lives: its data, logs and process files, its ports and passwords. Standard library only."""

import json
import os
import random
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fcntl import LOCK_EX, LOCK_NB, flock
from functools import cached_property
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
REGION = "ap-northeast-1"


class Busy(Exception):
    """Another command is bringing this local cloud up."""


def memory() -> Path:
    """For files that must be quick and may be lost: in memory, where the system offers that."""
    return Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())


def in_use(port: int) -> bool:
    with socket.socket() as candidate:
        return candidate.connect_ex(("127.0.0.1", port)) == 0


_given: set[int] = set()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, below those that the system hands out by itself; and
    none that this process was given before, on which somebody is perhaps about to listen."""
    port = next(port for port in random.sample(range(20000, 32768), 1000) if port not in _given and not in_use(port))
    _given.add(port)
    return port


def _password() -> str:
    """Satisfies the strictest password policy of a user pool, and needs no quoting anywhere."""
    return f"Aa1-{secrets.token_hex(12)}"


@dataclass
class Settings:
    """What is drawn once for a local cloud and then stays, so that whatever is restarted is found where it was."""

    database_port: int = field(default_factory=free_port)
    endpoint_port: int = field(default_factory=free_port)
    reference_port: int = field(default_factory=free_port)
    admin_password: str = field(default_factory=_password)
    service_password: str = field(default_factory=_password)
    user_password: str = field(default_factory=_password)
    access_key_id: str = ""
    secret_access_key: str = ""


@dataclass(frozen=True)
class Home:
    root: Path
    host: str = "127.0.0.1"
    """Where its servers listen."""

    @classmethod
    def default(cls) -> "Home":
        """The folder that KUMIKI_HOME names, `.local` in the repository without it."""
        return cls(REPOSITORY / os.environ.get("KUMIKI_HOME", ".local"))

    @cached_property
    def settings(self) -> Settings:
        drawn = json.loads(self._settings_file.read_text()) if self._settings_file.exists() else {}
        settings = Settings(**drawn)
        if drawn != asdict(settings):  # all of it, or what an earlier state of this code did not have
            self.save(settings)
        return settings

    def save(self, settings: Settings) -> None:
        self.write("settings.json", asdict(settings))

    def write(self, name: str, content: object) -> None:
        """Replace a file of this home by `content` as JSON, readable by its owner alone: there are passwords in it."""
        self.root.mkdir(parents=True, exist_ok=True)
        new = self.root / f"{name}.new"
        new.touch(mode=0o600)
        new.write_text(json.dumps(content, indent=2) + "\n")
        new.rename(self.root / name)

    def log(self, name: str) -> Path:
        return self.root / "logs" / f"{name}.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps two commands from changing the same home at once. Raises Busy."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as lock:
            try:
                flock(lock, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                raise Busy(f"another command is at work in {self.root}") from None
            yield

    @property
    def endpoint_url(self) -> str:
        return f"http://{self.host}:{self.settings.endpoint_port}"

    @property
    def _settings_file(self) -> Path:
        return self.root / "settings.json"


def virtual_environment(name: str) -> Path:
    """Shared by all homes of the repository."""
    return REPOSITORY / ".local" / "venv" / name


def child_environment(**variables: str) -> dict[str, str]:
    """This process's environment for a child: AWS settings of the user's own left out, no proxy before loopback."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_", "PYTHON"))}
    return inherited | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"} | variables
