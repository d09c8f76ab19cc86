"""The shop in its namespaces, for whoever plays orders in it or makes trouble."""

import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from common.connection import connect_as
from common.migrator import migrate
from localcloud import aws, ministack, platform_stacks, programs, servers, users
from localcloud.api import Api
from localcloud.ecs import environment, front_door, network, pool
from localcloud.ecs.graph import CALLS, CLOUD, DOMAIN, loopback
from localcloud.ecs.mesh import Mesh
from localcloud.ecs.registrar import Directory, Late, Registrar
from localcloud.ecs.task import Task
from localcloud.ecs.zone import Zone
from localcloud.home import REGION, REPOSITORY, Home
from localcloud.stack import SERVICES
from localcloud.steps import step

Discovery = Literal["cloud-map", "service-connect"]


class Shop:
    """Up when it is made, inside of `localcloud.ecs.unshared`. Raises TaskFailed, TimeoutError, CommandFailed."""

    def __init__(
        self,
        home: Home,
        discovery: Discovery = "cloud-map",
        tasks: int = 2,
        workers: int = 2,
        registry_delay: float = 0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`registry_delay`: seconds until callers can know that a task came or went. `settings`: of every task."""
        self.home, self.discovery, self.api_url = home, discovery, front_door.URL
        self._count, self._workers, self._settings = tasks, workers, settings or {}
        self._numbers: Counter[str] = Counter()
        clean(home)
        # In a folder that no earlier one had: who connects keeps certificates by their path.
        self.database = replace(servers.database_of(home), directory=home.root / f"mariadb-{time.time_ns()}")
        with step("MariaDB, MiniStack"), ThreadPoolExecutor(2) as threads:
            emulator = threads.submit(ministack.start, home)
            servers.start_database(home, self.database)
            emulator.result()
        with step("schemas, user pool"), ThreadPoolExecutor(2) as threads:
            migrations = threads.submit(self._migrate)
            aws.create_user(home)
            aws.client(home, "ses").verify_domain_identity(Domain=platform_stacks.MAIL_DOMAIN)
            self.pool = pool.create(home)
            users.create(home, self.pool)
            migrations.result()
        with step(f"tasks: {tasks} a service, {workers} workers each"):
            self._mesh = Mesh(home) if discovery == "service-connect" else None
            found = self._mesh or self._zone()
            self._registry = Late(found, registry_delay)
            directories: list[Directory] = [self._registry, front_door.start(home)]
            self._registrar = Registrar(self._make, self._launch, self._bury, directories)
            for service in SERVICES:
                self._registrar.want(service, tasks)
            self._registrar.settle()

    def delay_registry(self, seconds: float) -> None:
        """From now on. What was told before with another delay may come later than what is told then."""
        self._registry.seconds = seconds

    def api(self, user: str) -> Api:
        """The public API, as somebody of the sample shop calls it."""
        return Api(self.api_url, users.id_token(self.home, self.pool, user))

    def tasks(self, service: str) -> list[Task]:
        """Those that get requests. To a task itself one can do what a machine does: kill, pause, resume."""
        return self._registrar.tasks(service)

    def settle(self) -> None:
        """Until all that died is replaced."""
        self._registrar.settle()

    def stop(self, task: Task) -> int | None:
        """End a task gracefully; another takes its place. Returns its status, None if it had to be killed."""
        return self._registrar.stop(task)

    def roll(self, service: str) -> None:
        """A rolling update of a service, which returns when the old tasks are gone."""
        self._registrar.roll(service)

    def down(self, service: str) -> None:
        """No task of it is left."""
        self._registrar.drop(service)

    def up(self, service: str) -> None:
        self._registrar.want(service, self._count)
        self._registrar.settle()

    def run(self, task: Task, *command: str, seconds: float = 30) -> subprocess.CompletedProcess[str]:
        """A command at the address of a task, with the names that the task has."""
        return subprocess.run(task.inside(*command), capture_output=True, text=True, timeout=seconds)

    def describe(self) -> dict[str, Any]:
        """Written to ecs.json in its home; fields that stack.json has too mean the same."""
        settings, database = self.home.settings, self.database
        described = {
            "api_url": self.api_url,
            "endpoint_url": self.home.endpoint_url,
            "region": REGION,
            "aws_access_key_id": settings.access_key_id,
            "aws_secret_access_key": settings.secret_access_key,
            **asdict(self.pool),
            "database": database.described() | {"service_password": settings.service_password},
            "discovery": self.discovery,
            "tasks": {service: {task.name: task.address for task in self.tasks(service)} for service in SERVICES},
        }
        self.home.write("ecs.json", described)
        return described

    def close(self) -> None:
        """Nothing of it runs any more. Its logs stay."""
        for service in SERVICES:
            self._registrar.drop(service)
        for name in programs.known(self.home):
            programs.stop(self.home, name, grace=0)
        network.detach(front_door.NAME)

    def _migrate(self) -> None:
        server = self.database
        connection = connect_as(server.host, server.port, server.user, server.password, str(server.ca_file))
        try:
            migrate(connection, REPOSITORY / "services", self.home.settings.service_password)
        finally:
            connection.close()

    def _zone(self) -> Zone:
        zone = Zone(self.home)
        zone.start()
        return zone

    def _make(self, service: str) -> Task:
        self._numbers[service] += 1
        return Task(self.home, service, self._numbers[service], self._name_files(service))

    def _launch(self, task: Task) -> None:
        task.attach()
        if self._mesh:
            self._mesh.join(task)
        own = environment.of(task.service, self.home, self.database, self.pool, self._workers)
        # Not at all addresses: those of the loopback network are the proxy's.
        task.start({**own, "HOST": task.address, **self._settings})

    def _name_files(self, service: str) -> Path:
        """With Service Connect a name is an address on loopback, where the proxy is."""
        folder = self.home.root / "etc" / service
        if self._mesh is None:
            return network.name_files(folder, asked=CLOUD)
        return network.name_files(folder, names={f"{name}.{DOMAIN}": loopback(name) for name in CALLS.get(service, ())})

    def _bury(self, task: Task) -> None:
        if self._mesh:
            self._mesh.leave(task)
        task.destroy()


def clean(home: Home) -> None:
    """A home as if nothing had ever been there, but for modules that were compiled."""
    for path in home.root.glob("*"):
        if path.is_dir() and path.name != "compiled":
            shutil.rmtree(path)
        elif path.is_file() and path.name != "lock":
            path.unlink()
