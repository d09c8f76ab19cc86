"""HTTP: a resolver that answers in JSON, and every error as a problem (RFC 9457)."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from common.connection import TO_ANSWER_SECONDS, within
from common.database import RETRY_SECONDS, Contention, DatabaseUnavailable, retrying, transaction
from common.observability import correlate, count, describe, flush, invoked, logger
from common.operation import operation
from common.routing import JSON, NoSuchRoute, Response, Router

__all__ = ["JSON", "PROBLEM", "RETRY_AFTER", "Problem", "RequestInProgress", "Resolver", "Response", "cors", "encode"]

PROBLEM = "application/problem+json"
RETRY_AFTER = {"Retry-After": "5"}
EXPOSED = "Retry-After,X-Amzn-RequestId"  # what a page may read beside the body; the second is API Gateway's own

Errors = list[dict[str, str]]


class Problem(Exception):
    """An answer other than success, raised from anywhere in a request. `errors` name the faulty fields of a 422:
    none of them, and it is the body."""

    def __init__(self, status: int, detail: str, errors: Errors | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors


class RequestInProgress(Contention):
    """The first request with the same idempotency key is still at work."""


class Resolver(Router):
    """Routes return something that msgspec encodes, or (that, status), or a Response.

    Domain errors become problems by `statuses`; an error with an attribute `field` names it in its 422.
    """

    to_answer_seconds: float = TO_ANSWER_SECONDS
    token_use: ClassVar[str] = "id"  # whose claims say who asks; those of any other token say nothing

    def __init__(self, service: str, statuses: Mapping[type[Exception], int]) -> None:
        super().__init__(encode)
        self.statuses = statuses
        self.get(f"/health/{service}")(_healthy)
        self._retry_until = 0.0
        for error_type, status in statuses.items():
            self.on_error(error_type, self._domain_error(status))
        self.on_error(Problem, lambda error: self._problem(error.status, error.detail, error.errors))
        self.on_error(NoSuchRoute, lambda _: self._problem(404, "there is no such route"))
        self.on_error(DatabaseUnavailable, self._unavailable)
        self.on_error(Contention, self._contended)
        self.on_error(Exception, self._bug)

    def handler(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The Lambda handler. What contention undid is done again for as long as `retrying` goes on."""
        invoked(context)
        try:
            with within(context.get_remaining_time_in_millis(), self.to_answer_seconds):
                return self._handle(event, context)
        finally:
            flush()

    def _handle(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        request_id = event["requestContext"]["requestId"]
        correlate(request_id)
        self._retry_until = time.monotonic() + RETRY_SECONDS
        answer = retrying(lambda: self.resolve(event, context))
        answer["multiValueHeaders"] |= {name: [value] for name, value in cors().items()}
        status = answer["statusCode"]
        if status >= 500:
            count("RequestsFailed")
        asked = {"method": event["httpMethod"], "route": event.get("resource"), "request_id": request_id}
        logger.info("request", extra={**asked, "status": status})  # by now part of another story, perhaps
        return answer

    def _problem(
        self, status: int, detail: str, errors: Errors | None = None, headers: dict[str, Any] | None = None
    ) -> Response:
        from http import HTTPStatus  # 1.5 ms, which only a problem needs

        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "request_id": self.current_event.request_id,
        }
        if status == 422:
            body["errors"] = errors or [{"field": "body", "message": detail}]
        return Response(status, PROBLEM, encode(body), headers)

    def _domain_error(self, status: int) -> Callable[[Exception], Response]:
        def answer(error: Exception) -> Response:
            errors = [{"field": error.field, "message": str(error)}] if hasattr(error, "field") else None
            return self._problem(status, str(error), errors, RETRY_AFTER if status == 503 else None)

        return answer

    def _contended(self, error: Contention) -> Response:
        if time.monotonic() < self._retry_until:
            raise error  # for `retrying` to see
        if isinstance(error, RequestInProgress):
            return self._problem(409, "the first request with this key is still at work", headers=RETRY_AFTER)
        return self._unavailable(error)

    def _unavailable(self, error: Exception) -> Response:
        logger.warning("database unavailable", extra=describe(error))
        return self._problem(503, "the service cannot answer just now; try again", headers=RETRY_AFTER)

    def _bug(self, error: Exception) -> Response:
        logger.error("unexpected error", extra=describe(error))
        return self._problem(500, "something went wrong that is not your fault")


@operation("anyone")
def _healthy() -> dict[str, str]:
    """Whether the service can serve: its database answers, or this is a 503."""
    with transaction() as tx:
        tx.one("SELECT 1")
    return {"status": "ok"}


def cors() -> dict[str, str]:
    """The headers by which a browser lets pages of `ALLOWED_ORIGIN`, if there is one, read an answer."""
    origin = os.environ.get("ALLOWED_ORIGIN")
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED} if origin else {}


def encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()
