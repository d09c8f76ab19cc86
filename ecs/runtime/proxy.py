"""A WSGI request as the event that API Gateway's REST proxy makes of it, and the answer back."""

import base64
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from common.http import Resolver
from common.routing import Route

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


@dataclass(frozen=True)
class Context:
    """An invocation as Lambda tells a function of it: `millis` are left of it from `began` on."""

    function_name: str
    aws_request_id: str
    millis: int
    began: float
    memory_limit_in_mb: int = 0
    invoked_function_arn: str = ""

    def get_remaining_time_in_millis(self) -> int:
        return self.millis - round(1000 * (time.monotonic() - self.began))


def event(environ: Environ, body: bytes, request_id: str, route: Route | None, claims: Mapping[str, Any]) -> Any:
    """Without claims there is no authorizer, as on a public route. A body that is no UTF-8 becomes the text that API
    Gateway would make of it."""
    method, path, headers = environ["REQUEST_METHOD"], path_of(environ), dict(_headers(environ))
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True) or None
    resource = re.sub(r"<(\w+)>", r"{\1}", str(route.path)) if route else "/{proxy+}"
    context: dict[str, Any] = {
        "httpMethod": method,
        "identity": {"sourceIp": "", "userAgent": ""},
        "path": path,
        "requestId": request_id,
        "resourcePath": resource,
        "stage": "",
    }
    if claims:
        context["authorizer"] = {"claims": {name: _flat(value) for name, value in claims.items()}}
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} if query else None,
        "multiValueQueryStringParameters": query,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": context,
        "body": body.decode(errors="replace") if body else None,
        "isBase64Encoded": False,
    }


def answer(start: StartResponse, result: Mapping[str, Any]) -> list[bytes]:
    """What a resolver answered, as WSGI has it."""
    headers = list((result.get("headers") or {}).items())
    headers += [(name, value) for name, values in result.get("multiValueHeaders", {}).items() for value in values]
    body = result.get("body") or ""
    content = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
    status = HTTPStatus(result["statusCode"])
    if status != HTTPStatus.NO_CONTENT:
        headers.append(("Content-Length", str(len(content))))
    start(f"{status.value} {status.phrase}", headers)
    return [content]


def route(app: Resolver, environ: Environ) -> Route | None:
    """The resolver's route for a request, if it has one: found as the resolver itself does."""
    found = app.find(environ["REQUEST_METHOD"], path_of(environ))
    return found[0] if found else None


def path_of(environ: Environ) -> str:
    return str(environ.get("PATH_INFO") or "/")


def _headers(environ: Environ) -> Iterator[tuple[str, str]]:
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            yield name.replace("_", "-").title(), environ[name]
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name.removeprefix("HTTP_").replace("_", "-").title(), value


def _flat(claim: Any) -> str:
    """As API Gateway's authorizer passes a claim on: as text."""
    if isinstance(claim, bool):
        return str(claim).lower()
    return ",".join(map(str, claim)) if isinstance(claim, list) else str(claim)
