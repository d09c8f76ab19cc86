"""A bridge, and network namespaces on it: one a task, with an address and a firewall of its own, as awsvpc gives it.

`python -m localcloud.ecs.network COMMAND …` makes the bridge, then runs a command beside it.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcloud.ecs.graph import CLOUD, PORT, PREFIX

BRIDGE = "shop"
FIREWALL = """
table inet firewall {{
    chain input {{
        type filter hook input priority 0; policy drop;
        iif lo accept
        ct state established,related accept
        {admitted}
    }}
}}
"""
# Mounts that the command alone sees: with which names it asks whom.
ENTER = 'mount --bind "$0/resolv.conf" /etc/resolv.conf && mount --bind "$0/hosts" /etc/hosts && exec "$@"'


def up() -> None:
    """The bridge, with the address of the cloud. What is mounted is seen in this namespace alone."""
    resolver = Path("/etc/resolv.conf").resolve()
    for folder in ("/run", "/dev/shm"):
        _run("mount", "-t", "tmpfs", "tmpfs", folder)
    if not resolver.exists():  # it was in /run
        resolver.parent.mkdir(parents=True)
        resolver.touch()
    _ip(
        "link set lo up",
        # With an address of its own: a bridge that takes that of a link changes it when the link goes.
        f"link add {BRIDGE} address 02:00:00:00:00:01 type bridge",
        f"address add {CLOUD}/{PREFIX} dev {BRIDGE}",
        f"link set {BRIDGE} up",
    )


def is_up() -> bool:
    return BRIDGE in [name for _, name in socket.if_nameindex()]


def attach(name: str, address: str, admitted: Sequence[str] = ()) -> None:
    """A namespace with that address; where `admitted` is given, new connections come from those addresses alone."""
    outside = f"v{address.split('.', 2)[2]}"
    _ip(
        f"netns add {name}",
        f"link add {outside} master {BRIDGE} type veth peer name eth0 netns {name}",
        f"link set {outside} up",
    )
    _run(
        "ip",
        "-netns",
        name,
        "-batch",
        "-",
        given=f"link set lo up\naddress add {address}/{PREFIX} dev eth0\nlink set eth0 up",
    )
    anybody = f"tcp dport {PORT} accept"
    known = f"ip saddr {{ {', '.join(admitted)} }} {anybody}"
    _run(*_within(name), "nft", "-f", "-", given=FIREWALL.format(admitted=known if admitted else anybody))


def detach(name: str) -> None:
    """Nobody answers at its address any more, not even with a refusal."""
    _ip(f"netns delete {name}")


def name_files(folder: Path, asked: str = "", names: Mapping[str, str] | None = None) -> Path:
    """A folder with what a command may find in /etc: the server that is asked for names, addresses by name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "resolv.conf").write_text(f"nameserver {asked}\noptions timeout:1 attempts:2\n" if asked else "")
    known = {"localhost": "127.0.0.1", **(names or {})}
    (folder / "hosts").write_text("".join(f"{address} {name}\n" for name, address in known.items()))
    return folder


def inside(name: str, name_files: Path, *command: str | Path) -> list[str]:
    """The command that runs `command` in a namespace; it becomes that command, whose process it then is."""
    return [*_within(name), "unshare", "--mount", "sh", "-c", ENTER, str(name_files), *map(str, command)]


def _within(name: str) -> list[str]:
    return ["nsenter", f"--net=/run/netns/{name}"]


def _ip(*lines: str) -> None:
    _run("ip", "-batch", "-", given="\n".join(lines))


def _run(*command: str, given: str = "") -> None:
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def main(command: list[str]) -> int:
    """As the first process of its namespace, this one takes over those whose parents are gone, and buries them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command decides, for it hears it as well
    up()
    child = subprocess.Popen(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
