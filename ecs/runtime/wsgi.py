"""A service as a WSGI application: it finds out who is asking; the resolvers deal with what they ask for."""

import hmac
import importlib
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from common.connection import Connection
from common.database import announce_through
from common.events import Sealed
from common.http import PROBLEM, RETRY_AFTER, Resolver, cors, encode
from common.observability import correlate, describe, logger
from common.values import uuid7
from ecs.runtime.body import BadBody, body
from ecs.runtime.proxy import Context, Environ, StartResponse, answer, event, path_of, route
from ecs.runtime.settings import settings
from ecs.runtime.tokens import Keys, KeysUnavailable, NoValidToken, Tokens, WrongScope

Application = Callable[[Environ, StartResponse], Iterable[bytes]]

FRONT_MILLIS = 24_000  # API Gateway waits for 29 s
HEALTH_MILLIS = 6_000  # of which the database has 2
INTERNAL_MILLIS, LONGEST_INTERNAL_MILLIS = 8_000, 20_000
SWEEP_MILLIS = 25_000


class Refusal(Exception):
    """An answer of the server itself: no resolver was asked."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Unheard:
    """The announcer of a service that has nothing to do about events of its own: nobody is told."""

    def store(self, connection: Connection, events: Sequence[Sealed]) -> None: ...
    def announce(self, connection: Connection, events: Sequence[Sealed]) -> None: ...


class Service:
    """The WSGI application of one service. `lame` tells whether its end is near. Who knows the `secret` may have it
    swept; nobody does where it is empty."""

    def __init__(
        self, name: str, adapter: Any, public: Resolver, tokens: Tokens, lame: Callable[[], bool], secret: str
    ):
        self._name, self._adapter, self._public, self._tokens = name, adapter, public, tokens
        self._lame, self._secret = lame, secret

    def __call__(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        began, request_id = time.monotonic(), _request_id(environ)
        logger.clear_state()  # what is logged before a resolver is asked is not of the story before
        correlate(request_id)
        try:
            return answer(start, self._answered(environ, began, request_id))
        except (Refusal, BadBody) as refusal:
            logger.info("request", extra={"method": environ["REQUEST_METHOD"], "status": refusal.status})
            return answer(start, problem(refusal.status, str(refusal), request_id))
        except Exception as error:
            logger.error("unexpected error", extra=describe(error))
            return answer(start, problem(500, "something went wrong that is not your fault", request_id))

    def _answered(self, environ: Environ, began: float, request_id: str) -> Mapping[str, Any]:
        path, method = path_of(environ), environ["REQUEST_METHOD"]
        if path.startswith("/internal/"):
            return self._internal(environ, began, request_id)
        if path == "/sweep":
            return self._sweep(environ, began, request_id)
        if method == "GET" and path in ("/health", f"/health/{self._name}"):
            if self._lame():
                raise Refusal(503, "this task is about to end")
            environ = {**environ, "PATH_INFO": f"/health/{self._name}"}
            return self._asked(self._public, environ, {}, Context(self._name, request_id, HEALTH_MILLIS, began))
        return self._front(environ, began, request_id)

    def _front(self, environ: Environ, began: float, request_id: str) -> Mapping[str, Any]:
        authorization, claims, unavailable = environ.get("HTTP_AUTHORIZATION"), {}, False
        try:
            claims = dict(self._tokens.user(authorization)) if authorization else {}
        except NoValidToken as error:
            logger.info("token refused", extra={"reason": str(error)})
        except KeysUnavailable:
            unavailable = True
        override: Resolver | None = self._adapter.overrides
        app = override if override and route(override, environ) else self._public
        result = self._asked(app, environ, claims, Context(self._name, request_id, FRONT_MILLIS, began))
        if unavailable and result["statusCode"] == 401:
            raise Refusal(503, "nobody can be recognized just now; try again")
        return result

    def _internal(self, environ: Environ, began: float, request_id: str) -> Mapping[str, Any]:
        try:
            caller = self._tokens.service(environ.get("HTTP_AUTHORIZATION", ""), self._name)
        except NoValidToken as error:
            logger.info("token refused", extra={"reason": str(error)})
            raise Refusal(401, "this needs a service token") from error
        except WrongScope as error:
            raise Refusal(403, f"this needs a token for {self._name}") from error
        except KeysUnavailable as error:
            raise Refusal(503, "nobody can be recognized just now; try again") from error
        claims = {"sub": caller["client_id"], "token_use": "access"}
        asked = environ.get("HTTP_REQUEST_TIMEOUT_MILLIS", "")
        millis = min(int(asked), LONGEST_INTERNAL_MILLIS) if re.fullmatch("[0-9]{1,9}", asked) else INTERNAL_MILLIS
        return self._asked(self._adapter.app, environ, claims, Context(self._name, request_id, millis, began))

    def _sweep(self, environ: Environ, began: float, request_id: str) -> Mapping[str, Any]:
        given = environ.get("HTTP_AUTHORIZATION", "")
        known = bool(self._secret) and hmac.compare_digest(given.encode(), self._secret.encode())
        if environ["REQUEST_METHOD"] != "POST" or not known:
            raise Refusal(404, "there is no such route")
        self._adapter.consumer.handler({"task": "sweep"}, Context(self._name, request_id, SWEEP_MILLIS, began))
        return {"statusCode": 204}

    def _asked(self, app: Resolver, environ: Environ, claims: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
        proxied = event(environ, body(environ), context.aws_request_id, route(app, environ), claims)
        return app.handler(proxied, context)


def application(service: str, lame: Callable[[], bool] = lambda: False, secret: str = "") -> Application:
    """The service of that name, ready to serve: what it publishes goes to its journal, or nowhere."""
    adapter = importlib.import_module(f"ecs.{service}")
    public = importlib.import_module(f"{service}.api").app
    announce_through(adapter.journal or Unheard())
    tokens = Tokens(settings().token_issuer, settings().user_client_id, Keys(settings().keys_url))
    return Service(service, adapter, public, tokens, lame, secret)


def _request_id(environ: Environ) -> str:
    """API Gateway's own, which leads from its log to what is logged here; else one of ours."""
    given = environ.get("HTTP_X_REQUEST_ID", "")
    return given if re.fullmatch("[0-9A-Za-z-]{8,64}", given) else str(uuid7())


def problem(status: int, detail: str, request_id: str) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    fields = {"type": "about:blank", "title": title, "status": status, "detail": detail, "request_id": request_id}
    headers = {"Content-Type": PROBLEM, **(RETRY_AFTER if status == 503 else {}), **cors()}
    return {"statusCode": status, "headers": headers, "body": encode(fields)}
