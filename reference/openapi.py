"""The HTTP API as OpenAPI 3.1."""

import inspect
from importlib import import_module
from typing import Any
from uuid import UUID

from common.requests import LARGEST_PAGE, PAGE_SIZE
from reference.problems import Problem, answers, shared
from reference.schemas import Schema, schemas
from reference.services import NAMES, Route, routes

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SECURITY = {"anyone": [], "customer": [{"IdToken": []}], "staff": [{"IdToken": ["staff"]}]}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Repeated with the same key within 24 hours, the request has no second effect and the same answer.",
    "schema": {"type": "string", "pattern": r"^[\x21-\x7e]([\x20-\x7e]{0,62}[\x21-\x7e])?$"},
    "example": "2b1f0a9c-9d55-4f0e-8a53-0b7f6d1c2e3a",
}
PAGE = [
    {
        "name": "limit",
        "in": "query",
        "description": "The most items wanted",
        "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE_SIZE},
    },
    {
        "name": "cursor",
        "in": "query",
        "description": "The `next_cursor` of the page before",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$"},
    },
]
DESCRIPTION = """\
The Lambda design's HTTP API: JSON in snake_case. Money is an integer in minor units with its currency, times are
RFC 3339 in UTC. Every error is a problem (RFC 9457). Lists are newest first; `next_cursor` is null on the last page.
Fields that a request does not have are refused.
"""


def document() -> dict[str, Any]:
    """Raises NotDescribed."""
    described = sorted(routes(), key=lambda route: (route.path, METHODS.index(route.method)))
    types = list({repr(t): t for route in described for t in types_of(route) if t is not None}.values())
    given, components = schemas([Problem, *types])
    known = dict(zip(map(repr, types), given[1:], strict=True))
    paths: dict[str, Any] = {}
    for route in described:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, known)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kumiki", "version": "1.0.0", "description": DESCRIPTION},
        "servers": [
            {
                "url": "https://{api}.execute-api.{region}.amazonaws.com/{environment}",
                "description": "The output ApiUrl of the stack",
                "variables": {
                    "api": {"default": "api"},
                    "region": {"default": "ap-northeast-1"},
                    "environment": {"default": "dev", "enum": ["dev", "prod"]},
                },
            }
        ],
        "tags": [{"name": name, "description": import_module(name).__doc__} for name in NAMES],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": shared(),
            "securitySchemes": {
                "IdToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An ID token of the user pool. Routes that name the role staff are for its group.",
                }
            },
        },
    }


def types_of(route: Route) -> list[Any]:
    return [route.operation.takes, route.gives, *route.operation.query.values()]


def _operation(route: Route, known: dict[str, Schema]) -> dict[str, Any]:
    noted, name = route.operation, route.function.__name__.strip("_")
    answer: dict[str, Any] = {"description": {201: "Made", 202: "Taken on", 204: "Done"}.get(noted.status, "Found")}
    if route.method != "GET" and noted.status == 200:
        answer["description"] = "Done"
    if route.gives is not None:
        answer["content"] = {"application/json": {"schema": known[repr(route.gives)]}}
    result: dict[str, Any] = {
        "tags": [route.service],
        "operationId": f"{route.service}_{name}",
        "summary": name.replace("_", " ").capitalize(),
        "description": inspect.getdoc(route.function) or "",
        "security": SECURITY[noted.who],
        "parameters": _parameters(route, known),
    }
    if noted.takes:
        content = {"application/json": {"schema": known[repr(noted.takes)]}}
        result["requestBody"] = {"required": True, "content": content}
    return result | {"responses": {str(noted.status): answer} | answers(route)}


def _parameters(route: Route, known: dict[str, Schema]) -> list[Any]:
    noted = route.operation
    identifiers = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"},
            "example": str(UUID("019a0c5e-7b1a-7c3e-8d54-2f6a9b1c0e47")),
        }
        for name in route.identifiers
    ]
    query = [{"name": name, "in": "query", "schema": known[repr(given)]} for name, given in noted.query.items()]
    return identifiers + query + (PAGE if noted.paged else []) + ([KEY] if noted.keyed else [])
