"""JSON schemas of msgspec types, as documents have them."""

import json
from collections.abc import Iterable
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec

REFERENCE = "#/components/schemas/{name}"
EXAMPLES: dict[str, Any] = json.loads((Path(__file__).parent / "examples.json").read_text(encoding="utf-8"))
"""Of bodies, by the name of their type"""

Schema = dict[str, Any]


def schemas(types: Iterable[Any]) -> tuple[list[Schema], dict[str, Schema]]:
    """One schema a type, and the components to which they refer, with an example each that has one."""
    given, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    for name, schema in components.items():
        if name in EXAMPLES:
            schema["examples"] = [EXAMPLES[name]]
        if "description" in schema:
            schema["description"] = cleandoc(schema["description"])
    return [portable(schema) for schema in given], {name: portable(components[name]) for name in sorted(components)}


def portable(schema: Any) -> Any:
    r"""The schema without \A and \Z, which only Python's regular expressions know; ^ and $ are the same in others."""
    match schema:
        case dict():
            return {
                key: value.replace(r"\A", "^").replace(r"\Z", "$") if key == "pattern" else portable(value)
                for key, value in schema.items()
            }
        case list():
            return [portable(item) for item in schema]
    return schema
