"""The servers of the local cloud survive being killed, and nobody else's port is taken."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pymysql
import pytest
import urllib3

from localcloud import aws, cloud, mariadb, ministack, programs, servers
from localcloud.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    cloud.down(home)


def kill(home: Home, name: str) -> int:
    pid = programs.pid(home, name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while programs.pid(home, name):
        pass
    return pid


def test_killed_servers_are_named_and_come_back_with_their_data(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    database = servers.start(home)
    aws.create_user(home)
    aws.client(home, "ssm").put_parameter(Name="/kept", Value="yes", Type="String")
    ministack.save(home)
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE kept")

    for killed in ([mariadb.NAME], [ministack.NAME], [mariadb.NAME, ministack.NAME]):
        pids = [kill(home, name) for name in killed]
        capsys.readouterr()
        database = servers.start(home)
        said = capsys.readouterr().out
        assert [f"process {pid}) was killed" in said for pid in pids] == [True] * len(pids)
        with database.connect() as connection, connection.cursor() as cursor:
            assert cursor.execute("SHOW DATABASES LIKE 'kept'") == 1
        assert aws.client(home, "ssm").get_parameter(Name="/kept")["Parameter"]["Value"] == "yes"


def test_running_servers_are_left_alone(home: Home) -> None:
    servers.start(home)
    ministack.save(home)
    before = [programs.pid(home, name) for name in servers.PORTS]
    servers.start(home)
    assert [programs.pid(home, name) for name in servers.PORTS] == before


def test_a_server_that_stood_still_for_a_moment_is_left_alone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    servers.start(home)
    ministack.save(home)
    pid = programs.pid(home, ministack.NAME)
    assert pid is not None
    monkeypatch.setattr(ministack, "HTTP", urllib3.PoolManager(timeout=0.3, retries=False))
    os.kill(pid, signal.SIGSTOP)
    Timer(1.5, os.kill, (pid, signal.SIGCONT)).start()
    servers.start(home)
    assert programs.pid(home, ministack.NAME) == pid


def test_one_that_never_answers_is_started_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    servers.start(home)
    ministack.save(home)
    pid = programs.pid(home, ministack.NAME)
    assert pid is not None
    monkeypatch.setattr(servers, "PATIENCE_SECONDS", 0.5)
    with monkeypatch.context() as hasty:
        hasty.setattr(ministack, "answers", lambda _: programs.pid(home, ministack.NAME) != pid)
        servers.start(home)
    assert programs.pid(home, ministack.NAME) not in (None, pid)


def test_without_a_saved_emulator_the_database_begins_anew_as_well(home: Home) -> None:
    with servers.start(home).connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE orphan")
    kill(home, ministack.NAME)
    with servers.start(home).connect() as connection, connection.cursor() as cursor:
        assert cursor.execute("SHOW DATABASES LIKE 'orphan'") == 0


def test_a_port_that_somebody_took_is_left_to_them(home: Home) -> None:
    taken = home.settings.database_port
    with socket.create_server(("127.0.0.1", taken)):
        assert servers.start(home).port != taken


def test_servers_listen_on_loopback_alone(home: Home) -> None:
    servers.start(home)
    sockets = [
        line.split() for file in ("tcp", "tcp6") for line in Path("/proc/net", file).read_text().splitlines()[1:]
    ]
    listening = [fields[1] for fields in sockets if fields[3] == "0A"]
    for port in (getattr(home.settings, name) for name in servers.PORTS.values()):
        assert [address for address in listening if address.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


def test_the_database_lets_nobody_in_without_tls(home: Home) -> None:
    database = servers.start(home)
    login: dict[str, Any] = {
        "host": database.host,
        "port": database.port,
        "user": "admin",
        "password": database.password,
    }
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        pymysql.connect(**login, ssl_disabled=True)
    pymysql.connect(**login, ssl_ca=str(database.ca_file)).close()


def test_a_stranger_to_iam_is_refused(home: Home) -> None:
    servers.start(home)
    aws.create_user(home)
    home.settings.access_key_id = "AKIAIOSFODNN7EXAMPLE"
    ssm = aws.client(home, "ssm")
    with pytest.raises(ssm.exceptions.ClientError, match="UnrecognizedClientException"):
        ssm.describe_parameters()
