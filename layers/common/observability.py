"""Logs, metrics, and the correlation id that ties a request to all that comes of it."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pymysql
from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import RESERVED_LOG_ATTRS, LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import Metrics, MetricUnit

_encoder = msgspec.json.Encoder(enc_hook=str)
_OF_EVERY_RECORD = frozenset(RESERVED_LOG_ATTRS) | {"taskName"}


class Formatter(LambdaPowertoolsFormatter):
    """What Powertools' own writes, in a third of its time: a line is a message, what it was given, and the keys."""

    def format(self, record: logging.LogRecord) -> str:
        given = {name: value for name, value in record.__dict__.items() if name not in _OF_EVERY_RECORD}
        line = {
            **self.log_format,
            **given,
            "level": record.levelname,
            "message": record.getMessage(),
            "timestamp": self.formatTime(record),
            "xray_trace_id": self._get_latest_trace_id(),
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return _encoder.encode({name: value for name, value in line.items() if value is not None}).decode()


# What no line says is not looked for (Python's Logging HOWTO, "Optimization"): its message tells where it is from.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
logging._srcfile = None
# The form of time is what Lambda reads in a line of JSON.
logger = Logger(logger_formatter=Formatter(utc=True, use_rfc3339=True, location=None))
metrics = Metrics()
_cold_start = True


class Correlation(NamedTuple):
    """`correlation_id` is the first request's; `causation_id` the event that is being reacted to, if any."""

    correlation_id: str
    causation_id: str | None = None


_current: ContextVar[Correlation] = ContextVar("correlation")


def invoked(context: Any) -> None:
    """From here on, log lines belong to this invocation, and to no story."""
    global _cold_start
    logger.structure_logs(
        cold_start=_cold_start,
        function_name=context.function_name,
        function_memory_size=int(context.memory_limit_in_mb),
        function_arn=context.invoked_function_arn,
        function_request_id=context.aws_request_id,
    )
    _cold_start = False


def correlate(correlation_id: str, causation_id: str | None = None) -> None:
    """From here on, log lines and published events belong to this story."""
    _current.set(Correlation(correlation_id, causation_id))
    logger.append_keys(correlation_id=correlation_id, causation_id=causation_id)


def correlation() -> Correlation:
    """The story that is being told. Raises LookupError outside of one."""
    return _current.get()


def concern(event: msgspec.Struct | None) -> None:
    """From here on, log lines name what this is about: the event's fields that are identifiers, nothing else of it."""
    fields = {name: getattr(event, name) for name in event.__struct_fields__} if event else {}
    logger.append_keys(about={name: value for name, value in fields.items() if isinstance(value, UUID)} or None)


@contextmanager
def aside() -> Iterator[None]:
    """Within, another story may be told; after it, this one goes on."""
    story, about = correlation(), logger.get_current_keys().get("about")
    try:
        yield
    finally:
        correlate(*story)
        logger.append_keys(about=about)


def forget() -> None:
    """Log lines belong to no story from here on."""
    logger.remove_keys(["correlation_id", "causation_id", "about"])


def count(name: str, value: float = 1) -> None:
    """Add to a metric of this invocation; `flush` writes it."""
    metrics.add_metric(name, MetricUnit.Count, value)


def flush() -> None:
    """Write this invocation's metrics, in the embedded metric format, to the log."""
    if metrics.metric_set:
        metrics.flush_metrics()


def describe(error: BaseException) -> dict[str, Any]:
    """An error as log fields, without its arguments: those may hold a customer's data. What it and its causes are, the
    first code that the driver, the system or AWS gave one of them, and the last places it went through."""
    chain = [error]
    while len(chain) < 5 and (cause := chain[-1].__cause__ or chain[-1].__context__):
        chain.append(cause)
    frames = list(traceback.walk_tb(error.__traceback__))[-20:]
    return {
        "error": type(error).__name__,
        "causes": [type(cause).__name__ for cause in chain[1:]],
        "code": next((code for code in map(_code, chain) if code is not None), None),
        "frames": [f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}" for frame, line in frames],
    }


def _code(error: BaseException) -> int | str | None:
    if isinstance(error, pymysql.err.MySQLError | OSError) and error.args and isinstance(error.args[0], int):
        return error.args[0]
    match getattr(error, "response", None):  # of botocore's ClientError, which is not imported for this
        case {"Error": {"Code": str(code)}}:
            return code
    return None
