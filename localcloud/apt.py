"""What comes from the operating system's packages. Standard library only."""

import os
import shutil
import subprocess

from localcloud.home import Home, child_environment
from localcloud.programs import CommandFailed, run

# Of haproxy the program is wanted, and not that one runs on the machine from now on.
_NO_SERVICE = ("/etc/init.d/haproxy", "*/systemd/system/haproxy.service")


class Missing(Exception):
    """Something must be installed by hand; the message has the command."""


def install(home: Home, what: str, *packages: str, brew: str = "") -> None:
    """Install packages where apt and the right to use it are there. Raises Missing."""
    elevated = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") is None or (elevated and not _works("sudo", "-n", "true")):
        by_apt = f"sudo apt-get install --no-install-recommends {' '.join(packages)}"
        command = f"brew install {brew}" if brew and shutil.which("brew") else by_apt
        raise Missing(f"{what} is missing. Install it, then try again:\n    {command}")
    environment = child_environment(DEBIAN_FRONTEND="noninteractive")
    apt_get = [*elevated, "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]  # somebody else may be installing
    without = [option for path in _NO_SERVICE for option in ("-o", f"DPkg::Options::=--path-exclude={path}")]
    wanted = [*apt_get, *without, "install", "--no-install-recommends", *packages]
    try:
        run(home, "apt", wanted, environment)
    except CommandFailed:  # the lists of a fresh machine are empty or old
        run(home, "apt", [*apt_get, "update"], environment)
        run(home, "apt", wanted, environment)


def _works(*command: str) -> bool:
    return shutil.which(command[0]) is not None and subprocess.run(command, capture_output=True).returncode == 0
