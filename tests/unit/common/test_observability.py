"""What the log says of an error: enough to tell one trouble from another, and nothing that a customer wrote."""

import io
import json
import logging
import ssl
from itertools import pairwise
from typing import Any

import pytest
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from botocore.exceptions import ClientError, EndpointConnectionError
from pymysql.err import DataError, InterfaceError, OperationalError

from common.connection import DatabaseUnavailable
from common.observability import Formatter, correlate, describe, invoked, logger
from tests.integration.gateway import Context


def raised(*chain: BaseException) -> BaseException:
    """The first, raised from the second, and so on."""
    for error, cause in pairwise(chain):
        error.__cause__ = cause
    try:
        raise chain[0]
    except BaseException as error:
        return error


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "canary"}}, "PutEvents")


@pytest.mark.parametrize(
    ("chain", "causes", "code"),
    [
        (
            [
                DatabaseUnavailable("canary"),
                OperationalError(2003, "canary"),
                ssl.SSLCertVerificationError(1, "canary"),
            ],
            ["OperationalError", "SSLCertVerificationError"],
            2003,
        ),
        (
            [DatabaseUnavailable("canary"), OperationalError(2003, "canary"), ConnectionRefusedError(111, "canary")],
            ["OperationalError", "ConnectionRefusedError"],
            2003,
        ),
        ([DatabaseUnavailable("canary"), OperationalError(9501, "canary")], ["OperationalError"], 9501),
        ([DatabaseUnavailable("canary"), InterfaceError(0, "canary")], ["InterfaceError"], 0),
        ([DataError(1406, "canary")], [], 1406),
        ([refused("AccessDeniedException")], [], "AccessDeniedException"),
        ([refused("ThrottlingException")], [], "ThrottlingException"),
        ([EndpointConnectionError(endpoint_url="canary")], [], None),
        ([KeyError(4_111_111_111_111_111)], [], None),
        ([RuntimeError("canary"), ValueError("canary")], ["ValueError"], None),
        ([RuntimeError()], [], None),
    ],
)
def test_an_error_is_described_by_its_classes_and_codes(chain: list[Any], causes: list[str], code: Any) -> None:
    described = describe(raised(*chain))
    assert (described["error"], described["causes"], described["code"]) == (type(chain[0]).__name__, causes, code)
    assert described["frames"][-1].startswith(f"{__file__}:")
    assert described["frames"][-1].endswith(" in raised")
    assert "canary" not in json.dumps(described)
    assert "4111" not in json.dumps(described)


def test_a_cause_is_also_what_was_being_handled() -> None:
    error = raised(OperationalError(2003, "away"))
    error.__context__ = TimeoutError()
    assert describe(error)["causes"] == ["TimeoutError"]


def test_an_error_that_was_never_raised_and_a_chain_without_an_end_are_described() -> None:
    error = RuntimeError()
    error.__cause__ = ValueError()
    error.__cause__.__cause__ = error
    assert len(describe(error)["causes"]) == 4
    assert describe(error)["frames"] == []


def test_a_line_is_the_one_that_powertools_would_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-68fa1b40-5c3d8e1f0a2b4c6d7e8f9012;Parent=53995c3f42cd8ad8")
    ours = Formatter(utc=True, use_rfc3339=True)
    theirs = LambdaPowertoolsFormatter(utc=True, use_rfc3339=True)
    for formatter in (ours, theirs):
        formatter.append_keys(service="orders", location=None, correlation_id="story", about=None, cold_start=False)
    more = {"order_id": "é", "status": 202, "nothing": None}
    for level, message, arguments in ((logging.INFO, "placed", ()), (logging.WARNING, "%s of %d", ("one", 2))):
        record = logging.getLogger().makeRecord("n", level, "f", 1, message, arguments, None, extra=more)
        assert json.loads(ours.format(record)) == json.loads(theirs.format(record))


def test_a_line_of_an_error_has_its_traceback() -> None:
    error = raised(ValueError("lamp"))
    information = (ValueError, error, error.__traceback__)
    record = logging.getLogger().makeRecord("n", logging.ERROR, "f", 1, "odd", (), information)
    assert "ValueError: lamp" in json.loads(Formatter().format(record))["exception"]


def test_lines_name_their_invocation_and_nothing_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)
    monkeypatch.setattr("common.observability._cold_start", True)
    for number in ("first", "second"):
        invoked(Context(aws_request_id=number))
        logger.info("begun")
        correlate(f"story of the {number}")
        logger.info("told")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["function_request_id"] for line in lines] == ["first", "first", "second", "second"]
    assert [line["cold_start"] for line in lines] == [True, True, False, False]
    assert [line.get("correlation_id") for line in lines] == [None, "story of the first", None, "story of the second"]
    assert {line["service"] for line in lines} == {logger.service}
    assert not any("location" in line for line in lines)
