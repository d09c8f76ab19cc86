"""The database connection of an execution environment: opened when first used, kept for its life, replaced when dead.

Nothing here may pin a session of RDS Proxy: no prepared statements, no session variables, no statement above 15 KB.
Isolation level, `sql_mode`, time zone and lock waits are the server's own settings.
"""

import math
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import pymysql
from pymysql.constants import COMMAND, CR, ER
from pymysql.cursors import DictCursor

from common import iam_token
from common.configuration import configuration
from common.observability import describe, logger

Row = Mapping[str, Any]
if TYPE_CHECKING:
    Raw: TypeAlias = pymysql.Connection[DictCursor]
else:  # no generic when it runs
    Raw = pymysql.Connection

AMAZON_ROOTS = Path(__file__).parent / "certificates" / "amazon.pem"
STATEMENT_BYTES = 15_000  # RDS Proxy pins a session at 16 KB
RECYCLE_SECONDS = 600
WRITE_SECONDS = 10
TO_ANSWER_SECONDS = 4  # of an invocation: what it has left to say that the database did not answer, or to hear the bus

_ends: ContextVar[float] = ContextVar("ends", default=math.inf)

_CONTENTION = {ER.LOCK_DEADLOCK, ER.LOCK_WAIT_TIMEOUT, 1020}  # 1020: MariaDB, a row changed since it was read
_UNAVAILABLE = {
    ER.CON_COUNT_ERROR,  # too many connections
    ER.SERVER_SHUTDOWN,
    ER.NORMAL_SHUTDOWN,
    ER.TOO_MANY_USER_CONNECTIONS,
    ER.ACCESS_DENIED_ERROR,  # by IAM too: throttled, a clock that is off, a user not known everywhere yet
    ER.OPTION_PREVENTS_STATEMENT,  # read-only: the writer before a failover
    1836,  # MySQL: the same
    1927,  # MariaDB: connection was killed
    3169,  # MySQL: session was killed
    4031,  # MySQL: disconnected for inactivity
    9501,  # RDS Proxy: no connection came free in time
}


class DatabaseUnavailable(Exception):
    """The database cannot be reached or turned the connection away; the same request may work later."""


class Contention(Exception):
    """Somebody else held or changed the rows; the same work in a fresh transaction may succeed."""


class DuplicateKey(Exception):
    """A unique key exists already. The transaction must not go on: use a fresh one."""


@contextmanager
def within(millis: int, to_answer: float = TO_ANSWER_SECONDS) -> Iterator[None]:
    """An invocation that has so much time: `to_answer` seconds before its end whoever waits for the database gives up.
    With so little that no second would be left to wait, half of it is: who asked and has a deadline, has one later.

    Time-outs alone do not see to that: many answers that are all late, or a time-out here and another there, add up.
    """
    token = _ends.set(time.monotonic() + max(millis / 1000 - to_answer, min(millis / 2000, 1)))
    try:
        yield
    finally:
        _ends.reset(token)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """A part of an invocation that has its own time, and no more than there is."""
    token = _ends.set(min(_ends.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _ends.reset(token)


@contextmanager
def at_least(seconds: float) -> Iterator[None]:
    """A part of an invocation that has so much time, also when nobody waits for it any more: to write down what was
    learnt from elsewhere. Not longer than what the invocation keeps for its answer."""
    token = _ends.set(max(_ends.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _ends.reset(token)


class Connection:
    """Sends statements as text, every parameter escaped by the driver. The first one opens a transaction.

    All methods that send raise DatabaseUnavailable, Contention or DuplicateKey.
    """

    def __init__(self, connect: Callable[[], "_Connection"]) -> None:
        self._connect = connect
        self._raw: _Connection | None = None
        self._opened_at = 0.0
        self._in_transaction = self._wrote = False

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Send one statement. Returns how many rows it wrote: an UPDATE to what is there already writes none."""
        self._wrote = True
        return self._run(lambda cursor: cursor.execute(sql, parameters)).rowcount

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Send one INSERT for all rows; more than one only where it would exceed 15 KB."""
        self._wrote = True
        return self._run(lambda cursor: cursor.executemany(sql, rows)).rowcount

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """The first row, or None when there is none. For what writes nothing, as `all` is."""
        return self._run(lambda cursor: cursor.execute(sql, parameters)).fetchone()

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> Sequence[Row]:
        return self._run(lambda cursor: cursor.execute(sql, parameters)).fetchall()

    def commit(self) -> None:
        """Make it so. When this raises DatabaseUnavailable, whether it was done is open. Where nothing was written,
        nobody waits for the answer."""
        if self._in_transaction:
            try:
                raw = self._live()  # the one of the transaction, which must not be over before this says so
                wrote, self._in_transaction, self._wrote = self._wrote, False, False
                raw.commit() if wrote else raw.let_go()
            except (pymysql.err.Error, OSError) as error:
                self._fail(error)

    def rollback(self) -> None:
        """Undo what was sent. Never raises: a connection that cannot roll back is dropped, which undoes as well."""
        if self._in_transaction:
            try:
                raw = self._live()
                self._in_transaction = self._wrote = False
                raw.rollback()
            except (pymysql.err.Error, OSError) as error:
                logger.info("rollback failed, connection dropped", extra=describe(error))
                self.drop()

    def drop(self) -> None:
        """Close at once and without a goodbye, which a dead peer would keep waiting for.

        That there is a write is not forgotten: it may be what is sent next, on a new connection.
        """
        raw, self._raw, self._in_transaction = self._raw, None, False
        if raw is not None:
            raw._force_close()  # type: ignore[attr-defined]  # the public close() sends a packet first

    def _run(self, send: Callable[[DictCursor], Any]) -> DictCursor:
        """A kept connection that turns out to be dead is replaced, once, while nothing has been sent on it."""
        replaceable = self._raw is not None and not self._in_transaction
        try:
            return self._send(send)
        except DatabaseUnavailable:
            if not replaceable:
                raise
            return self._send(send)

    def _send(self, send: Callable[[DictCursor], Any]) -> DictCursor:
        try:
            cursor = self._live().cursor()
            self._in_transaction = True  # also when it fails: a statement that is refused may leave locks behind
            send(cursor)
            return cursor
        except (pymysql.err.Error, OSError) as error:
            self._fail(error)

    def _live(self) -> "_Connection":
        left()
        if self._raw and not self._in_transaction and time.monotonic() - self._opened_at > RECYCLE_SECONDS:
            self.drop()
        if self._raw is None:
            self._raw, self._opened_at = self._connect(), time.monotonic()
        return self._raw

    def _fail(self, error: Exception) -> NoReturn:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        if code == ER.DUP_ENTRY:
            self._in_transaction = True
            raise DuplicateKey(str(error)) from error
        if code in _CONTENTION:
            self._in_transaction = True
            raise Contention(str(error)) from error
        lost = isinstance(error, pymysql.err.InterfaceError | OSError) or 2000 <= code < 3000  # the client's codes
        if lost or code in _UNAVAILABLE:
            self.drop()
            raise DatabaseUnavailable(str(error)) from error
        raise error


@cache
def kept() -> Connection:
    """The one connection of this execution environment."""
    return Connection(connect)


def connect() -> "_Connection":
    """A new connection as the service's own user to its own schema. Takes at most 3 s to be refused,
    and 10 where a server is reached that says nothing."""
    config = configuration()
    host, port, service = config.database_host, config.database_port, config.service
    password = config.database_password or iam_token.token(host, port, service, config.aws_region)
    return connect_as(host, port, service, password, config.database_ca_file, database=service)


def connect_as(
    host: str,
    port: int,
    user: str,
    password: str,
    ca_file: str = "",
    database: str | None = None,
    read_timeout: int = 10,
) -> "_Connection":
    """A connection over TLS, verified against `ca_file`, or against Amazon's roots when that is empty."""
    return _Connection(
        host=host.encode("ascii"),  # of a text, Python imports the rules for names in any script: 3 ms
        port=port,
        user=user,
        password=password,
        database=database,
        ssl=tls(ca_file or str(AMAZON_ROOTS)),
        connect_timeout=min(3, left()),
        read_timeout=read_timeout,
        cursorclass=_Cursor,
    )


@cache
def tls(ca_file: str) -> ssl.SSLContext:
    """One context for all connections: the driver's own would load the system's roots at each, or verify nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(ca_file)
    return context


def left() -> float:
    """Seconds until the invocation should not wait any more, for whatever. Raises TimeoutError when there are none."""
    seconds = _ends.get() - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time to wait for others is up")
    return seconds


def of_the_rest(seconds: float) -> float:
    """So many seconds for somebody who is asked when the database is done with, and fewer near the invocation's end."""
    return min(seconds, max(0.1, _ends.get() - time.monotonic() + TO_ANSWER_SECONDS - 1))


class _Connection(Raw):
    """Waits no longer for a packet than its time-out, nor than the invocation has time."""

    def __init__(self, read_timeout: float, **options: Any) -> None:
        self._longest, self._unread = read_timeout, False
        # The handshake for TLS is waited for by the time-out of what was written last.
        super().__init__(read_timeout=read_timeout, write_timeout=min(WRITE_SECONDS, left()), **options)
        self._write_timeout = WRITE_SECONDS

    def let_go(self) -> None:
        """Commit what only read, which releases the proxy's back end, without waiting: the answer is read before the
        next command is sent, as the protocol wants it. When it is a refusal, the connection counts as lost: whose
        command is next has nothing to do with it, and the transaction may still be open."""
        self._execute_command(COMMAND.COM_QUERY, "COMMIT")
        self._unread = True

    def _execute_command(self, command: int, sql: str | bytes) -> None:
        if self._unread:
            self._unread = False
            try:
                self._read_ok_packet()  # type: ignore[attr-defined]
            except pymysql.err.Error as error:
                raise pymysql.err.OperationalError(CR.CR_SERVER_LOST, "a read could not be ended") from error
        super()._execute_command(command, sql)  # type: ignore[misc]

    def _read_packet(self, *kind: Any) -> Any:  # where the driver sets the socket's time-out, before it reads
        self._read_timeout = min(self._longest, left())
        return super()._read_packet(*kind)  # type: ignore[no-untyped-call]


class _Cursor(DictCursor):
    max_stmt_length = STATEMENT_BYTES
