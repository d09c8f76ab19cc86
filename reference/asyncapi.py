"""The events as AsyncAPI 3.0: what EventBridge carries as `detail`, by detail-type."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from common.events import Envelope
from reference.schemas import schemas
from reference.services import NAMES, consumed, published

EXAMPLES = Path(__file__).parent / "events"
"""`data` of every version that an event ever had, as OrderPlaced.v1.json: one may still lie in an archive."""
DESCRIPTION = """\
What the services tell each other, through one event bus. A channel is a detail-type; the source is the service that
publishes it. A message is the `detail`: its `data` says what happened, `id` tells duplicates, `correlation_id` is the
same from the first HTTP request to the last event of a story, and `causation_id` is the `id` of the event that led to
this one.

At least once, in no order. Adding an optional field keeps the version; anything else is a new one.
"""


def document() -> dict[str, Any]:
    events = {name: published()[name] for name in sorted(published())}
    given, components = schemas([Envelope, *(event for _, event in events.values())])
    data = dict(zip(events, given[1:], strict=True))
    envelope = components.pop("Envelope")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Kumiki",
            "version": "1.0.0",
            "description": DESCRIPTION,
            "tags": [{"name": name, "description": import_module(name).__doc__} for name in NAMES],
        },
        "defaultContentType": "application/json",
        "channels": {
            name: {"address": name, "messages": {name: {"$ref": f"#/components/messages/{name}"}}} for name in events
        },
        "operations": _operations(events),
        "components": {
            "messages": {
                name: {
                    "name": name,
                    "title": name,
                    "summary": event.__doc__ or "",
                    "tags": [{"name": service}],
                    "payload": {
                        "type": "object",
                        "properties": envelope["properties"]
                        | {"version": {"type": "integer", "const": event.VERSION}, "data": data[name]},
                        "required": envelope["required"],
                    },
                    "examples": [{"payload": _example(name, event.VERSION)}],
                }
                for name, (service, event) in events.items()
            },
            "schemas": components,
        },
    }


def _operations(events: dict[str, Any]) -> dict[str, Any]:
    senders = {f"{service}-publishes-{name}": ("send", name, service) for name, (service, _) in events.items()}
    readers = {
        f"{service}-reads-{name}": ("receive", name, service)
        for name in events
        for service in NAMES
        if name in consumed(service)
    }
    return {
        identifier: {"action": action, "channel": {"$ref": f"#/channels/{name}"}, "tags": [{"name": service}]}
        for identifier, (action, name, service) in sorted((senders | readers).items())
    }


def _example(name: str, version: int) -> dict[str, Any]:
    return {
        "id": "019a0c5e-1b58-7000-9a00-1b2c3d4e5f00",
        "time": "2025-10-23T12:00:00.123456Z",
        "version": version,
        "correlation_id": "0a53c1f4-5b7e-4c0c-9d8a-3f3f1f6f2b10",
        "causation_id": None,
        "data": json.loads((EXAMPLES / f"{name}.v{version}.json").read_text(encoding="utf-8")),
    }
