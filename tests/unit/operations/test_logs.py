"""How one order's story is found among all log lines."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from operations import logs
from operations.cloud import Cloud, NotThere

ORDER = "019ab998-f300-7000-8000-000000000001"  # of 2025-11-25
LINES = [
    ("OrdersConsumer", "12:00:03.000", {"message": "event", "correlation_id": "first", "about": {"order_id": ORDER}}),
    ("OrdersApi", "12:00:01.000", {"message": "request", "correlation_id": "first", "status": 202}),
    ("OrdersApi", "12:00:02.000", {"message": "request", "correlation_id": "another", "status": 500}),
    ("OrdersConsumer", "12:00:09.000", {"message": "task", "correlation_id": ORDER, "order_id": ORDER}),
    ("OrdersConsumer", "12:00:09.500", {"message": "still waiting", "order_id": ORDER}),
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """CloudWatch Logs with these lines; from when on each search goes is told."""
    asked: list[datetime] = []

    def search(_: Cloud, function: str, text: str, since: datetime) -> list[logs.Line]:
        asked.append(since)
        found = []
        for place, time, fields in LINES:
            message = json.dumps({"timestamp": f"2026-11-20T{time}+00:00", "level": "INFO", **fields})
            if place == function and text in message and (line := logs._line(place, message)):
                found.append(line)
        return found

    monkeypatch.setattr(logs, "search", search)
    return asked


def told(lines: list[logs.Line]) -> list[tuple[str, Any]]:
    return [(line.function, line.fields["message"]) for line in lines]


def test_it_is_all_that_names_the_order_or_shares_a_correlation_id_with_that_in_order_of_time(
    cloud: Cloud, asked: list[datetime]
) -> None:
    assert told(logs.story(cloud, ORDER)) == [
        ("OrdersApi", "request"),
        ("OrdersConsumer", "event"),
        ("OrdersConsumer", "task"),
        ("OrdersConsumer", "still waiting"),
    ]


def test_what_is_no_identifier_is_not_looked_for(cloud: Cloud, asked: list[datetime]) -> None:
    for text in ("", "first", '" "', "x" * 65):
        with pytest.raises(NotThere, match="is no identifier"):
            logs.story(cloud, text)
    assert asked == []


def test_an_orders_identifier_tells_from_when_on_to_look(cloud: Cloud, asked: list[datetime]) -> None:
    logs.story(cloud, ORDER)
    assert {since.date() for since in asked} == {datetime(2025, 11, 25, tzinfo=UTC).date()}
    asked.clear()
    logs.story(cloud, "6f9619ff-8b86-4d01-b42d-00cf4fc964ff")
    assert all((datetime.now(UTC) - since).total_seconds() < 90_000 for since in asked)


def test_a_line_shows_what_it_says_and_no_noise(
    cloud: Cloud, asked: list[datetime], capsys: pytest.CaptureFixture[str]
) -> None:
    logs.tell(cloud, ORDER)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"{ORDER}: correlation id {', '.join(sorted([ORDER, 'first']))}"
    assert lines[0] == "2026-11-20 12:00:01.000     +0.000 s  OrdersApi              request status=202"


@pytest.mark.parametrize("message", ["START RequestId: 1", '{"_aws": {}}', "[]", "null", '{"timestamp": "now"}'])
def test_what_is_no_line_of_ours_is_passed_over(message: str) -> None:
    assert logs._line("OrdersApi", message) is None
