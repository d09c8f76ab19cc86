"""dnsmasq in the place of Route 53's private zone: a name a service, an address a task that is registered."""

import shutil
from contextlib import suppress

from localcloud import programs
from localcloud.ecs.graph import CLOUD, DOMAIN
from localcloud.home import Home, child_environment

NAME = "dnsmasq"


class Zone:
    """A `localcloud.ecs.registrar.Directory`, a file an address: dnsmasq sees files come and go."""

    def __init__(self, home: Home) -> None:
        self._home, self._files = home, home.root / "zone"

    def start(self) -> None:
        shutil.rmtree(self._files, ignore_errors=True)
        self._files.mkdir(parents=True)
        # In debug mode it stays who it is: it could not become another user, who is not in this namespace.
        own = ["--no-daemon", "--conf-file=/dev/null", "--pid-file=", f"--listen-address={CLOUD}", "--bind-interfaces"]
        zone = ["--no-resolv", "--no-hosts", f"--local=/{DOMAIN}/", f"--hostsdir={self._files}"]
        programs.start(self._home, NAME, [NAME, *own, *zone], child_environment())

    def put(self, service: str, address: str) -> None:
        new = self._files.with_name(f"{address}.new")
        new.write_text(f"{address} {service}.{DOMAIN}\n")
        new.rename(self._files / address)

    def remove(self, service: str, address: str) -> None:
        with suppress(FileNotFoundError):
            (self._files / address).unlink()
