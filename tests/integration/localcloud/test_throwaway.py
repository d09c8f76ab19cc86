"""Servers for tests: each on its own copy, with the settings of the parameter group."""

from pathlib import Path
from shutil import copytree

import pytest

from localcloud import throwaway
from localcloud.home import free_port, in_use
from localcloud.mariadb import Server


def run(server: Server, statement: str) -> tuple[tuple[object, ...], ...]:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return throwaway.template(
        tmp_path_factory.mktemp("template"), lambda server: run(server, "CREATE DATABASE prepared")
    )


def test_each_server_has_what_was_prepared_and_nothing_of_the_others(template: Server) -> None:
    with throwaway.throw_away(template) as one, throwaway.throw_away(template) as other:
        run(one, "CREATE DATABASE mine")
        assert run(one, "SHOW DATABASES LIKE 'prepared'") == run(other, "SHOW DATABASES LIKE 'prepared'") != ()
        assert run(other, "SHOW DATABASES LIKE 'mine'") == ()


def test_nothing_of_a_server_is_left(template: Server) -> None:
    with throwaway.throw_away(template) as server:
        assert in_use(server.port)
    assert not in_use(server.port)
    assert not server.directory.exists()


def test_settings_are_those_of_rds(template: Server) -> None:
    with throwaway.throw_away(template) as server:
        [row] = run(server, "SELECT @@tx_isolation, @@time_zone, @@innodb_lock_wait_timeout, @@collation_server")
    assert row == ("READ-COMMITTED", "+00:00", 5, "utf8mb4_unicode_520_ci")


def test_options_of_the_caller_win(template: Server) -> None:
    with throwaway.throw_away(template, "--max-connections=17") as server:
        assert run(server, "SELECT @@max_connections") == ((17,),)


def test_a_deep_folder_is_no_obstacle(template: Server, tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["where-a-socket-could-not-be"] * 5)
    copytree(template.directory, deep)
    with throwaway.serving(Server(deep, free_port(), template.password)) as server:
        assert run(server, "SHOW DATABASES LIKE 'prepared'") != ()
