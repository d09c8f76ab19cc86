"""Finds the function that answers a request of API Gateway's REST proxy, and reads the request.

Powertools has such a resolver, but it imports every kind of event that there is: a third of a cold start.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
JSON = "application/json"


class NoSuchRoute(Exception):
    """No route has this method and path."""


class Response(NamedTuple):
    """An answer as it is to be sent."""

    status: int
    content_type: str
    body: str
    headers: Mapping[str, str] | None = None


class Route(NamedTuple):
    method: str
    path: str
    """With identifiers in brackets: /orders/<order_id>"""
    rule: re.Pattern[str]
    func: Callable[..., Any]

    def match(self, method: str, path: str) -> re.Match[str] | None:
        return self.rule.fullmatch(path) if method == self.method else None


class Headers(dict[str, str]):
    """By names of which the case does not matter."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        return super().get(name.lower(), default)


class Request:
    """An event of the REST proxy."""

    def __init__(self, event: dict[str, Any]) -> None:
        self.raw_event = event
        self.method: str = event["httpMethod"]
        self.path: str = event["path"]
        self.request_id: str = event["requestContext"]["requestId"]
        self.headers = Headers(event.get("headers") or {})
        self.query: Mapping[str, str] = event.get("queryStringParameters") or {}
        self.body: str = event.get("body") or ""
        self.is_base64_encoded = bool(event.get("isBase64Encoded"))


class Router:
    """Routes return something that `encode` takes, or (that, status), or a Response. A process has one request at a
    time, as Lambda hands them out, whichever router it is for: none answers for who asked another one before."""

    current_event: ClassVar[Request]
    lambda_context: ClassVar[Any]

    def __init__(self, encode: Callable[[Any], str]) -> None:
        self._encode = encode
        self.routes: list[Route] = []
        """In the order in which they are looked at: those without identifiers first."""
        self._errors: dict[type[Exception], Callable[[Any], Response]] = {}

    def route(self, method: str, path: str) -> Callable[[F], F]:
        """Register who answers. What stands in an identifier's place in the path becomes an argument of its name."""
        rule = re.compile(re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", path) + "/*")

        def register(func: F) -> F:
            self.routes.append(Route(method, path, rule, func))
            self.routes.sort(key=lambda route: "<" in route.path)
            return func

        return register

    def get(self, path: str) -> Callable[[F], F]:
        return self.route("GET", path)

    def post(self, path: str) -> Callable[[F], F]:
        return self.route("POST", path)

    def put(self, path: str) -> Callable[[F], F]:
        return self.route("PUT", path)

    def patch(self, path: str) -> Callable[[F], F]:
        return self.route("PATCH", path)

    def delete(self, path: str) -> Callable[[F], F]:
        return self.route("DELETE", path)

    def on_error(self, kind: type[Exception], answer: Callable[[Any], Response]) -> None:
        """Register what is answered to an error of that kind or a kind of it; what `answer` raises goes on."""
        self._errors[kind] = answer

    def find(self, method: str, path: str) -> tuple[Route, re.Match[str]] | None:
        """The route of a request, if there is one."""
        return next(((route, found) for route in self.routes if (found := route.match(method, path))), None)

    def resolve(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        Router.current_event, Router.lambda_context = Request(event), context
        try:
            answer = self._called()
        except Exception as error:
            answer = next(self._errors[kind](error) for kind in type(error).__mro__ if kind in self._errors)
        headers = {"Content-Type": answer.content_type, **(answer.headers or {})}
        return {
            "statusCode": answer.status,
            "body": answer.body,
            "isBase64Encoded": False,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
        }

    def _called(self) -> Response:
        found = self.find(self.current_event.method, self.current_event.path)
        if found is None:
            raise NoSuchRoute
        route, identifiers = found
        result = route.func(**identifiers.groupdict())
        if isinstance(result, Response):
            return result
        value, status = result if isinstance(result, tuple) else (result, 200)
        return Response(status, JSON, self._encode(value))
