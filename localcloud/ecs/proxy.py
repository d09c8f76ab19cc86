"""haproxy: the front door's load balancer, and with Service Connect the proxy beside each task."""

import socket
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from localcloud import programs
from localcloud.ecs.graph import PORT
from localcloud.home import Home, child_environment

SLOTS = 16
"""Tasks that a service may have at once, old and new."""
CONFIGURATION = """
global
    stats socket {socket} mode 600 level admin
defaults
    mode http
    timeout connect 500ms
    timeout client 35s
    timeout server 29s
    timeout http-request 10s
    timeout check 5s
    # A connection that is refused is tried elsewhere; what was sent is not sent again.
    retries 3
    option redispatch 1
    # One request a connection, so that none ends with the task at its other end.
    option http-server-close
{errors}
{frontends}
{backends}
"""
ERROR = """
    http-error status {status} content-type application/problem+json string \
'{{"type":"about:blank","title":"{title}","status":{status}}}' hdr Retry-After 1"""
ERRORS = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}
BACKEND = """
backend {service}
    balance roundrobin
    option httpchk GET /health
    default-server inter 1s fall 2 rise 1 {options}
    server-template {service} 1-{slots} 0.0.0.0:{port} check disabled
"""


class Proxy:
    """A `localcloud.ecs.registrar.Directory`: what is registered takes its share of the requests."""

    def __init__(self, home: Home, name: str, services: Iterable[str], frontends: str, options: str = "") -> None:
        self._home, self.name = home, name
        self._slots: dict[str, list[str]] = {service: [""] * SLOTS for service in services}
        self._lock = Lock()
        self._socket = Path("/run") / f"{name}.sock"  # a path may not be long
        configuration = CONFIGURATION.format(
            socket=self._socket,
            errors="".join(ERROR.format(status=status, title=title) for status, title in ERRORS.items()),
            frontends=frontends,
            backends="".join(
                BACKEND.format(service=service, options=options, slots=SLOTS, port=PORT) for service in self._slots
            ),
        )
        self._file = home.root / f"{name}.cfg"
        self._file.write_text(configuration)

    def command(self) -> list[str | Path]:
        return ["haproxy", "-db", "-f", self._file]

    def start(self, command: list[str]) -> None:
        """By `command`, which runs the proxy's own in the right place. Raises TimeoutError."""
        programs.start(self._home, self.name, command, child_environment())
        programs.wait(self._home, self.name, self._answers)

    def put(self, service: str, address: str) -> None:
        with self._lock:
            slots = self._slots.get(service, [address])
            if address not in slots:
                slot = slots.index("")
                slots[slot] = address
                server = f"{service}/{service}{slot + 1}"
                self._tell(f"set server {server} addr {address} port {PORT}; set server {server} state ready")

    def remove(self, service: str, address: str) -> None:
        """Requests that it has are answered; it gets no other."""
        with self._lock:
            slots = self._slots.get(service, [])
            if address in slots:
                slot = slots.index(address)
                slots[slot] = ""
                self._tell(f"set server {service}/{service}{slot + 1} state maint")

    def _answers(self) -> bool:
        try:
            self._tell("show info")
        except OSError:
            return False
        return True

    def _tell(self, commands: str) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(self._socket))
            connection.sendall(f"{commands}\n".encode())
            while connection.recv(4096):
                pass
