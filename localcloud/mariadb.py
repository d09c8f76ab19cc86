"""A private MariaDB behind TLS, set up as RDS is."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pymysql
import trustme
from pymysql.connections import Connection
from pymysql.cursors import Cursor

NAME = "mariadb"
CONFIGURATION = Path(__file__).with_name("mariadb.cnf")
# Where packages put servers, which is not on everybody's PATH.
SERVER_PATH = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"
# What an administrator of RDS has: not everything, and no SUPER. Accounts can be made once privileges are loaded.
ADMINISTRATOR = """
FLUSH PRIVILEGES;
CREATE USER admin@'%' IDENTIFIED BY '{password}';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES,
      CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER,
      EVENT, TRIGGER ON *.* TO admin@'%' WITH GRANT OPTION;
"""


@dataclass(frozen=True)
class Server:
    """A server of ours, running or not, with its certificates and data in `directory`. Raises pymysql's errors."""

    directory: Path
    port: int
    password: str
    host: str = "127.0.0.1"
    user: str = "admin"

    @property
    def ca_file(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def command(self) -> list[str]:
        where = [f"--bind-address={self.host}", f"--port={self.port}"]
        return [*_program("mariadbd"), f"--datadir={self.directory / 'data'}", *where]

    def described(self) -> dict[str, str | int]:
        return {
            "host": self.host,
            "port": self.port,
            "admin_user": self.user,
            "admin_password": self.password,
            "ca_file": str(self.ca_file),
        }

    def connect(self, user: str = "", password: str = "", database: str | None = None) -> "Connection[Cursor]":
        """As the administrator unless `user` says otherwise; the certificate is verified."""
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=user or self.user,
            password=password or self.password,
            database=database,
            ssl_ca=str(self.ca_file),
            ssl_verify_cert=True,
            ssl_verify_identity=True,
            autocommit=True,
            connect_timeout=5,
            read_timeout=30,
        )

    def answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.err.OperationalError:
            return False
        return True

    def wait(self, alive: Callable[[], bool], seconds: float = 60) -> None:
        """Until it answers. Raises TimeoutError, also when it is not `alive` any more."""
        deadline = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() > deadline or not alive():
                raise TimeoutError(f"MariaDB does not answer on port {self.port}")
            time.sleep(0.02)


def installed() -> bool:
    return shutil.which("mariadbd", path=SERVER_PATH) is not None


def create(server: Server, run: Callable[[list[str]], object]) -> None:
    """Make certificates, and a data directory with nothing but an administrator, by a command that `run` runs.
    What was there is lost."""
    shutil.rmtree(server.directory, ignore_errors=True)
    server.directory.mkdir(parents=True, mode=0o700)
    authority = trustme.CA()
    certificate = authority.issue_cert(server.host, "localhost")
    certificate.private_key_pem.write_to_path(server.directory / "server.key")
    certificate.cert_chain_pems[0].write_to_path(server.directory / "server.pem")
    authority.cert_pem.write_to_path(server.ca_file)
    administrator = server.directory / "administrator.sql"
    administrator.write_text(ADMINISTRATOR.format(password=server.password))
    options = ["--skip-test-db", f"--datadir={server.directory / 'data'}", f"--extra-file={administrator}"]
    run([*_program("mariadb-install-db"), *options])
    administrator.unlink()


def _program(name: str) -> list[str]:
    """With the options that all of them share. Root, as whom containers run, has to say that it means it."""
    as_root = ["--user=root"] if os.geteuid() == 0 else []
    return [shutil.which(name, path=SERVER_PATH) or name, f"--defaults-file={CONFIGURATION}", *as_root]
