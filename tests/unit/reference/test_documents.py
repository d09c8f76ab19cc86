"""The reference says what the code does, all of it, today."""

import json
from typing import Any

import jsonschema
import msgspec
import openapi_spec_validator
import pytest

from common.http import Resolver
from common.operation import operation
from reference import asyncapi, openapi, schemas, services
from reference.__main__ import DOCUMENTS, text
from reference.problems import Problem, answers

OPENAPI = openapi.document()
ASYNCAPI = asyncapi.document()
TYPES = [given for route in services.routes() for given in openapi.types_of(route)]
BODIES = {given.__name__: given for given in [Problem, *TYPES] if hasattr(given, "__struct_fields__")}
DATED = {"format_checker": jsonschema.Draft202012Validator.FORMAT_CHECKER}


def conforms(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    whole = schema | {"components": document["components"]}
    jsonschema.Draft202012Validator(whole, **DATED).validate(value)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_document_is_the_codes_own(path: Any) -> None:
    assert path.read_text(encoding="utf-8") == text(DOCUMENTS[path]()), "stale: `make docs` writes it anew"


def test_it_is_openapi() -> None:
    openapi_spec_validator.validate(OPENAPI)


def test_a_route_that_says_nothing_of_itself_is_named() -> None:
    app = Resolver("workshop", {})
    app.get("/lamps/<lamp_id>")(lambda lamp_id: None)
    with pytest.raises(services.NotDescribed, match=r"GET /lamps/\{lamp_id\} of workshop lacks @operation"):
        list(services.routes_of("workshop", app))


def test_every_route_of_every_resolver_is_there() -> None:
    described = {(method.upper(), path) for path, methods in OPENAPI["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in services.routes()}
    assert len(described) == len(services.routes())


def test_each_has_the_answers_that_it_can_give() -> None:
    def statuses(method: str, path: str) -> str:
        return " ".join(OPENAPI["paths"][path][method]["responses"])

    everywhere = "429 500 503 504"
    assert statuses("get", "/products") == f"200 422 {everywhere}"
    assert statuses("get", "/orders/{order_id}") == f"200 401 404 {everywhere}"
    assert statuses("post", "/orders") == f"202 400 401 409 413 422 {everywhere}"
    assert statuses("delete", "/products/{product_id}") == f"204 401 403 404 {everywhere}"
    assert statuses("put", "/stock/{product_id}") == f"200 400 401 403 404 409 413 422 {everywhere}"


def test_every_route_and_every_event_says_what_it_is_for() -> None:
    routes = {f"{method} {path}": it for path, methods in OPENAPI["paths"].items() for method, it in methods.items()}
    assert [name for name, route in routes.items() if not route["description"]] == []
    assert [name for name, event in ASYNCAPI["components"]["messages"].items() if not event["summary"]] == []


class LampTooHot(Exception):
    """It glows."""


def test_what_the_domain_refuses_is_told_in_its_own_words() -> None:
    app = Resolver("workshop", {LampTooHot: 409})
    app.put("/lamps/<lamp_id>")(operation("staff", refuses=(LampTooHot,))(lambda lamp_id: None))
    [route] = [route for route in services.routes_of("workshop", app) if route.identifiers]
    assert answers(route)["409"]["description"] == "It glows"


@pytest.mark.parametrize("name", BODIES)
def test_every_body_has_an_example_that_the_code_reads_and_the_schema_allows(name: str) -> None:
    schema, example = OPENAPI["components"]["schemas"][name], schemas.EXAMPLES[name]
    assert schema["examples"] == [example]
    msgspec.json.decode(json.dumps(example), type=BODIES[name])
    conforms(example, schema, OPENAPI)


def test_no_example_is_left_over() -> None:
    assert set(schemas.EXAMPLES) <= set(BODIES)


@pytest.mark.parametrize("name", ASYNCAPI["components"]["messages"])
def test_every_event_has_an_example_that_its_schema_allows(name: str) -> None:
    message = ASYNCAPI["components"]["messages"][name]
    [example] = message["examples"]
    conforms(example["payload"], message["payload"], ASYNCAPI)
    with pytest.raises(jsonschema.ValidationError):
        conforms(example["payload"] | {"data": {}}, message["payload"], ASYNCAPI)


def test_references_lead_somewhere() -> None:
    for document in (OPENAPI, ASYNCAPI):
        for reference in references(document):
            found = document
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]


def references(part: Any) -> list[str]:
    if isinstance(part, list):
        return [reference for item in part for reference in references(item)]
    if isinstance(part, dict):
        return [part["$ref"]] if "$ref" in part else references(list(part.values()))
    return []
