"""Every consumer reads every version of every event to which it is subscribed, as its publisher has or had it."""

import json
from typing import Any

import msgspec
import pytest

from common.events import Event
from common.values import Money
from reference import asyncapi, services

Data = dict[str, Any]
KEPT = {path.name.removesuffix(".json"): path for path in sorted(asyncapi.EXAMPLES.iterdir())}
"""By name and version, such as OrderPlaced.v1"""
SUBSCRIPTIONS = [
    pytest.param(version, event, id=f"{service}-{version}")
    for service in services.NAMES
    for name, event in services.consumed(service).items()
    for version in KEPT
    if version.startswith(f"{name}.v")
]


def read(version: str) -> Data:
    data: Data = json.loads(KEPT[version].read_text(encoding="utf-8"))
    return data


def understood(event: type[Event], data: Data) -> Data:
    """What is left of the data when it was read as `event`. Raises msgspec.ValidationError."""
    found: Data = msgspec.to_builtins(msgspec.json.decode(msgspec.json.encode(data), type=event))
    return found


def test_every_event_that_somebody_reads_is_published_by_one_service() -> None:
    read_by = {name for service in services.NAMES for name in services.consumed(service)}
    assert read_by <= services.published().keys()


@pytest.mark.parametrize("service", services.NAMES)
def test_a_service_has_models_of_what_it_publishes_or_reads_and_of_nothing_else(service: str) -> None:
    own = [event for _, (publisher, event) in services.published().items() if publisher == service]
    used = {*own, *services.consumed(service).values()}
    for event in services.events(service).values():
        assert any(issubclass(other, event) for other in used), event


def test_an_example_is_kept_of_every_version_of_every_event() -> None:
    versions = {
        f"{name}.v{v}" for name, (_, event) in services.published().items() for v in range(1, event.VERSION + 1)
    }
    assert KEPT.keys() == versions


@pytest.mark.parametrize("name", services.published())
def test_what_was_published_as_a_version_still_is_that_version(name: str) -> None:
    """A field that is gone, renamed, of another type or newly required makes another version."""
    _, event = services.published()[name]
    data = read(f"{name}.v{event.VERSION}")
    assert holds(understood(event, data), data)


@pytest.mark.parametrize(("version", "event"), SUBSCRIPTIONS)
def test_every_subscriber_reads_it(version: str, event: type[Event]) -> None:
    assert int(version.rpartition(".v")[2]) <= event.VERSION
    data = read(version)
    assert holds(data, understood(event, data))


@pytest.mark.parametrize(("version", "event"), SUBSCRIPTIONS)
def test_every_subscriber_reads_it_with_whatever_may_be_null_or_left_out(version: str, event: type[Event]) -> None:
    name = version.partition(".")[0]
    schema = asyncapi.document()["components"]["schemas"][name]
    for field, shape in schema["properties"].items():
        if {"type": "null"} in shape.get("anyOf", []):
            understood(event, read(version) | {field: None})
        if field not in schema["required"]:
            understood(event, {key: value for key, value in read(version).items() if key != field})


@pytest.mark.parametrize(("version", "event"), SUBSCRIPTIONS)
def test_every_subscriber_reads_it_with_fields_that_are_yet_to_come(version: str, event: type[Event]) -> None:
    data = read(version)
    assert understood(event, extended(data)) == understood(event, data)


@pytest.mark.parametrize(("version", "event"), SUBSCRIPTIONS)
def test_a_field_that_a_subscriber_needs_would_be_missed(version: str, event: type[Event]) -> None:
    for field in msgspec.structs.fields(event):
        if field.required:
            left = {key: value for key, value in read(version).items() if key != field.encode_name}
            with pytest.raises(msgspec.ValidationError, match=field.encode_name):
                understood(event, left)


def holds(more: Any, less: Any) -> bool:
    """Whether everything in `less` is in `more` as well, wherever it stands."""
    if isinstance(less, dict):
        return isinstance(more, dict) and all(key in more and holds(more[key], value) for key, value in less.items())
    if isinstance(less, list):
        return len(more) == len(less) and all(map(holds, more, less))
    return bool(more == less)


def extended(part: Any) -> Any:
    """With a field more in every object, but for money: there it would change what the amount means."""
    if isinstance(part, dict):
        closed = part.keys() == set(Money.__struct_fields__)
        return {key: extended(value) for key, value in part.items()} | ({} if closed else {"yet_to_come": [{}]})
    return [extended(item) for item in part] if isinstance(part, list) else part
