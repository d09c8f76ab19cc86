"""MariaDB, MiniStack and the page of the API reference, running: started, left alone where they run, brought back where
they were killed."""

import shutil
from collections.abc import Callable

from localcloud import apt, mariadb, ministack, page, programs
from localcloud.home import Home, child_environment, free_port, in_use
from localcloud.steps import say, step

PATIENCE_SECONDS = 30.0  # with one that runs: a machine may have stood still, or be busy
PORTS = {mariadb.NAME: "database_port", ministack.NAME: "endpoint_port", page.NAME: "reference_port"}


def install(home: Home) -> None:
    """Raises CommandFailed, apt.Missing."""
    if not mariadb.installed():
        with step("MariaDB is installed", home.log("apt")):
            apt.install(home, "MariaDB", "mariadb-server-core", "mariadb-client-core", brew="mariadb")


def start(home: Home) -> mariadb.Server:
    """All answer when this returns; the database is returned. Raises CommandFailed, TimeoutError, apt.Missing."""
    install(home)
    _find_ports(home)
    database = database_of(home)
    if not (database.directory.exists() and ministack.saved(home).exists()):
        # Events in one refer to rows in the other, and rows to users: both have their data or both begin anew.
        for name in PORTS:
            programs.stop(home, name)
            shutil.rmtree(home.root / name, ignore_errors=True)
    _ensure(home, mariadb.NAME, "MariaDB", database.answers, lambda: start_database(home, database))
    _ensure(home, ministack.NAME, "MiniStack", lambda: ministack.answers(home), lambda: ministack.start(home))
    _ensure(home, page.NAME, "API reference", lambda: page.answers(home), lambda: page.start(home))
    return database


def database_of(home: Home) -> mariadb.Server:
    settings = home.settings
    return mariadb.Server(home.root / mariadb.NAME, settings.database_port, settings.admin_password, home.host)


def start_database(home: Home, database: mariadb.Server) -> None:
    """It answers when this returns. Raises CommandFailed, TimeoutError."""
    if not database.directory.exists():
        environment = child_environment(PATH=mariadb.SERVER_PATH)
        mariadb.create(database, lambda command: programs.run(home, "mariadb-install-db", command, environment))
    programs.start(home, mariadb.NAME, database.command, child_environment())
    database.wait(lambda: programs.pid(home, mariadb.NAME) is not None)


def _ensure(home: Home, name: str, title: str, answers: Callable[[], bool], start: Callable[[], None]) -> None:
    port = getattr(home.settings, PORTS[name])
    if programs.pid(home, name) and _answers_in_time(home, name, answers):
        say(f"{title} runs on port {port}")
        return
    if gone := programs.vanished(home, name):
        say(f"{title} (process {gone}) was killed: it comes back with its data")
    elif programs.pid(home, name):
        say(f"{title} runs but does not answer: it is started again")
    programs.stop(home, name, grace=5)
    with step(f"{title} on port {port}", home.log(name)):
        start()


def _answers_in_time(home: Home, name: str, answers: Callable[[], bool]) -> bool:
    try:
        programs.wait(home, name, answers, PATIENCE_SECONDS)
    except TimeoutError:
        return False
    return True


def _find_ports(home: Home) -> None:
    """Ports stay as they are drawn, unless somebody else took one meanwhile."""
    for name, port in PORTS.items():
        if programs.pid(home, name) is None and in_use(getattr(home.settings, port)):
            setattr(home.settings, port, free_port())
            home.save(home.settings)
