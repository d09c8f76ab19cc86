"""Service Connect: no names are asked for; a proxy beside each task knows where those are that the task calls."""

from threading import Lock

from localcloud import programs
from localcloud.ecs.graph import CALLS, PORT, loopback
from localcloud.ecs.proxy import Proxy
from localcloud.ecs.task import Task
from localcloud.home import Home

# A task that refuses a connection is left out until its health check succeeds.
OUTLIERS = "observe layer4 error-limit 1 on-error mark-down"


class Mesh:
    """A `localcloud.ecs.registrar.Directory`: what it is told, it tells every proxy."""

    def __init__(self, home: Home) -> None:
        self._home, self._lock = home, Lock()
        self._proxies: dict[str, Proxy] = {}
        self._registered: set[tuple[str, str]] = set()

    def join(self, task: Task) -> None:
        """Start the proxy of a task that is about to start. Raises TimeoutError."""
        called = CALLS.get(task.service, ())
        if not called:
            return
        frontends = [
            f"frontend to-{service}\n    bind {loopback(service)}:{PORT}\n    default_backend {service}"
            for service in called
        ]
        proxy = Proxy(self._home, f"{task.name}-proxy", called, "\n".join(frontends), OUTLIERS)
        proxy.start(task.inside(*proxy.command()))
        with self._lock:
            self._proxies[task.name] = proxy
            for registered in self._registered:
                proxy.put(*registered)

    def leave(self, task: Task) -> None:
        with self._lock:
            proxy = self._proxies.pop(task.name, None)
        if proxy:
            programs.stop(self._home, proxy.name, grace=0)

    def put(self, service: str, address: str) -> None:
        with self._lock:
            self._registered.add((service, address))
            for proxy in self._proxies.values():
                proxy.put(service, address)

    def remove(self, service: str, address: str) -> None:
        with self._lock:
            self._registered.discard((service, address))
            for proxy in self._proxies.values():
                proxy.remove(service, address)
