"""One order's story, out of the logs of all functions: found by its identifier, told by its correlation ids."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, NamedTuple
from uuid import UUID

from operations.cloud import Cloud, NotThere

LOOK_BACK = timedelta(days=1)  # for identifiers that do not tell their time
# What the columns show already, or what says nothing about the story.
_SHOWN = {"timestamp", "service", "message", "correlation_id", "causation_id", "about", "level", "location", "frames"}
_NOISE = {
    "cold_start",
    "xray_trace_id",
    "function_arn",
    "function_memory_size",
    "function_name",
    "function_request_id",
    "request_id",
}


class Line(NamedTuple):
    at: datetime
    function: str
    fields: dict[str, Any]

    @property
    def correlation_id(self) -> str:
        """Empty where a line belongs to no story."""
        return str(self.fields.get("correlation_id", ""))

    @property
    def text(self) -> str:
        told = {name: value for name, value in self.fields.items() if name not in _SHOWN | _NOISE and value}
        return " ".join([self.fields["message"], *(f"{name}={_brief(value)}" for name, value in told.items())])


def tell(cloud: Cloud, identifier: str) -> None:
    """Print every line of the order's story in order of time. Raises NotThere when no line names it."""
    lines = story(cloud, identifier)
    if not lines:
        raise NotThere(f"no log line in {cloud.environment} names {identifier} since {_since(identifier):%F %T} UTC")
    print(f"{identifier}: correlation id {', '.join(sorted({line.correlation_id for line in lines} - {''}))}")
    for line in lines:
        level = "" if line.fields["level"] == "INFO" else f"{line.fields['level']}: "
        passed = (line.at - lines[0].at).total_seconds()
        print(f"{line.at:%F %T}.{line.at:%f}"[:23], f"{passed:+10.3f} s  {line.function:<22} {level}{line.text}")


def story(cloud: Cloud, identifier: str) -> list[Line]:
    """All lines that name the identifier, and all that share a correlation id with one of them."""
    if not re.fullmatch(r"[0-9A-Za-z-]{8,64}", identifier):
        raise NotThere(f"{identifier!r} is no identifier; say ORDER= and an order's, or the request_id of an answer")
    since = _since(identifier)
    named = list(_having(cloud, [identifier], since))
    stories = {line.correlation_id for line in named} - {"", identifier}
    shared = list(_having(cloud, sorted(stories), since))
    return sorted({json.dumps(line.fields): line for line in named + shared}.values(), key=lambda line: line.at)


def _having(cloud: Cloud, texts: list[str], since: datetime) -> Iterator[Line]:
    with ThreadPoolExecutor(8) as threads:
        places = product(sorted(cloud.functions), texts)
        for found in [threads.submit(search, cloud, function, text, since) for function, text in places]:
            yield from found.result()


def search(cloud: Cloud, function: str, text: str, since: datetime) -> list[Line]:
    """The structured lines of one function that contain the text. In a service's group lines name their function."""
    name, logs = cloud.functions[function], cloud.client("logs")
    group = cloud.client("lambda").get_function_configuration(FunctionName=name)["LoggingConfig"]["LogGroup"]
    try:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, filterPattern=f'"{text}" "{name}"', startTime=int(since.timestamp() * 1000)
        )
        return [line for page in pages for event in page["events"] if (line := _line(function, event["message"]))]
    except logs.exceptions.ResourceNotFoundException:
        return []  # it has never run


def _line(function: str, message: str) -> Line | None:
    try:
        fields = json.loads(message)
        at = datetime.fromisoformat(fields["timestamp"])
    except (ValueError, TypeError, KeyError):
        return None  # metrics, and what Lambda itself writes
    return Line(at.astimezone(UTC), function, fields)


def _since(identifier: str) -> datetime:
    """A version 7 identifier begins with the time at which it was made; other things are looked for from a day ago."""
    now = datetime.now(UTC)
    try:
        made = UUID(identifier)
    except ValueError:
        return now - LOOK_BACK
    if made.version != 7:
        return now - LOOK_BACK
    return datetime.fromtimestamp((made.int >> 80) / 1000, UTC) - timedelta(minutes=1)


def _brief(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
