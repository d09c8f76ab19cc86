"""Into namespaces of one's own: users, network, mounts and processes. Nothing that is made in them outlives them."""

import shutil
import subprocess
import sys
from collections.abc import Sequence

from localcloud import apt, mariadb, servers
from localcloud.home import REPOSITORY, Home, child_environment

PACKAGES = {"ip": "iproute2", "nft": "nftables", "dnsmasq": "dnsmasq-base", "haproxy": "haproxy"}
"""By program, the package that has it."""
OUTSIDE = ("unshare", "nsenter", "setpriv", "mount")
"""Programs of util-linux, which every distribution has."""
# Whatever ends this process ends the namespaces, and with them all that runs inside.
UNSHARE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--map-root-user", "--net", "--mount", "--pid"]
UNSHARE += ["--mount-proc", "--fork", "--kill-child"]

NETWORK = [sys.executable, "-m", "localcloud.ecs.network"]


def run(home: Home, command: Sequence[str]) -> int:
    """The status with which a command ended that ran inside, as root there. Raises apt.Missing."""
    _check(home)
    paths = ":".join(str(REPOSITORY / folder) for folder in ("services", "layers", "."))
    environment = child_environment(PATH=mariadb.SERVER_PATH, PYTHONPATH=paths, PYTHONDONTWRITEBYTECODE="1")
    with subprocess.Popen([*UNSHARE, *NETWORK, *command], env=environment, cwd=REPOSITORY) as process:
        try:
            return process.wait()
        except BaseException:
            process.kill()
            raise


def _check(home: Home) -> None:
    if sys.platform != "linux":
        raise apt.Missing("The ECS design runs in Linux namespaces: on other systems, in a Linux virtual machine.")
    if missing := [program for program in OUTSIDE if _path(program) is None]:
        raise apt.Missing(f"{', '.join(missing)} of the package util-linux is missing.")
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        raise apt.Missing(
            f"This system does not let this user make namespaces: {tried.stderr.strip()}\n"
            "Allow it, or try as root where only root may:\n"
            "    sudo sysctl -w user.max_user_namespaces=10000\n"
            "    sudo sysctl -w kernel.unprivileged_userns_clone=1                # Debian\n"
            "    sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0    # Ubuntu"
        )
    servers.install(home)
    if packages := [package for program, package in PACKAGES.items() if _path(program) is None]:
        apt.install(home, " and ".join(packages), *packages)


def _path(program: str) -> str | None:
    return shutil.which(program, path=mariadb.SERVER_PATH)
