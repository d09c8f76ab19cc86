"""Virtual environments made from the files in requirements/: `python3 -m localcloud.environments` for all commands.

Standard library only: this runs on a machine where nothing has been installed yet. Done at once when nothing changed.
"""

import hashlib
import importlib.util
import shutil
import sys
from pathlib import Path

from localcloud import apt, programs
from localcloud.home import REPOSITORY, Busy, Home, child_environment, virtual_environment
from localcloud.steps import step

HOME = Home(REPOSITORY / ".local" / "setup")
NAMES = ("tools", "dev", "sam", "ministack")  # tools first: it has uv, which makes the others
BENCHMARKS = ("runtime", "usual")  # which only `make bench` needs
NOT_COMPILED = {"usual"}  # as `sam build` ships it


def main(*names: str) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036, for it is what this asks
        print(f"Python 3.11 or later is needed, this is {sys.version.split()[0]}: make run PYTHON=python3.13")
        return 1
    missing = [name for name in names or NAMES if not _ready(name)]
    if not missing:
        return 0
    try:
        with HOME.locked():
            for name in missing:
                with step(f"Python environment {name!r}", HOME.log(name)):
                    _install(name)
    except (programs.CommandFailed, apt.Missing, Busy) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _install(name: str) -> None:
    folder = virtual_environment(name)
    shutil.rmtree(folder, ignore_errors=True)
    if name == "tools":
        if importlib.util.find_spec("ensurepip") is None:
            package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
            apt.install(HOME, "Python's venv", package)
        _run(name, sys.executable, "-m", "venv", folder)
        _run(name, folder / "bin" / "python", "-m", "pip", "install", "--require-hashes", "-r", _lock(name))
    else:
        uv = virtual_environment("tools") / "bin" / "uv"
        _run(name, uv, "venv", "--python", sys.executable, folder)
        # Compiled now: SAM CLI and every start of a function would otherwise do it again and again.
        compiled = [] if name in NOT_COMPILED else ["--compile-bytecode"]
        _run(name, uv, "pip", "sync", "--python", folder, "--require-hashes", *compiled, _lock(name))
    (folder / "fingerprint").write_text(_fingerprint(name))


def _run(name: str, *command: str | Path) -> None:
    programs.run(HOME, name, command, child_environment(UV_PYTHON_DOWNLOADS="never", UV_LINK_MODE="copy"))


def _ready(name: str) -> bool:
    folder = virtual_environment(name)
    fingerprint = folder / "fingerprint"
    return (
        fingerprint.exists() and fingerprint.read_text() == _fingerprint(name) and (folder / "bin" / "python").exists()
    )


def _fingerprint(name: str) -> str:
    """Of the lock file and of the Python that it was installed for."""
    return hashlib.sha256(_lock(name).read_bytes() + f"{sys.version} {sys.base_prefix}".encode()).hexdigest()


def _lock(name: str) -> Path:
    return REPOSITORY / "requirements" / f"{name}.txt"


if __name__ == "__main__":
    sys.exit(main())
