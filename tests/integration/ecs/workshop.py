"""The service that sells nothing, as a container serves it: `python -m tests.integration.ecs.workshop`."""

import sys
import time
from typing import Any

from common.consumer import Consumer
from common.database import transaction
from common.http import JSON, Resolver, Response
from common.idempotency import idempotent
from common.observability import correlation, logger
from common.requests import principal, raw_body
from ecs import server
from ecs.runtime.internal import InternalResolver
from tests.integration.common.workshop import write


class Adapter:
    """What `ecs.workshop` would be."""

    app = InternalResolver("workshop", {})
    overrides = Resolver("workshop", {})
    journal = None
    consumer = Consumer()


public, internal, consumer = Resolver("workshop", {}), Adapter.app, Adapter.consumer


@public.get("/anything")
def anything() -> dict[str, Any]:
    if seconds := float(public.current_event.query.get("seconds", "0")):
        logger.info("lingers")
        time.sleep(seconds)
    return {"served": True}


@public.get("/long")
def long() -> dict[str, Any]:
    return {"text": "long " * 5_000_000}


@public.get("/me")
def me() -> dict[str, Any]:
    caller = principal(public)
    return {"sub": caller.sub, "staff": caller.is_staff}


@public.get("/me/later")
def me_later() -> dict[str, Any]:
    """Who asks, after a wait such as a database's, in which other threads have their turn."""
    time.sleep(0.002)
    return me()


@public.get("/overridden")
def lost() -> dict[str, Any]:
    return {"by": "the resolver"}


@Adapter.overrides.get("/overridden")
def won() -> dict[str, Any]:
    return {"by": "the override"}


@public.get("/connection")
def connection() -> dict[str, Any]:
    with transaction() as tx:
        row = tx.one("SELECT CONNECTION_ID() AS id")
        return {"id": row["id"] if row else None}


@public.post("/echo")
def echo() -> dict[str, Any]:
    event = public.current_event
    return {"body": raw_body(public).decode(), "query": event.query, "headers": dict(event.headers)}


@public.post("/notes/<number>")
def note(number: str) -> Response:
    with transaction() as tx:
        return idempotent(public, tx, lambda: (write(tx, int(number)), 201))


@internal.get("/internal/caller")
def caller() -> dict[str, Any]:
    left = internal.lambda_context.get_remaining_time_in_millis()
    return {"sub": principal(internal).sub, "story": correlation().correlation_id, "left": left}


@internal.post("/internal/notes/<number>")
def internal_note(number: str) -> Response:
    with transaction() as tx:
        return idempotent(internal, tx, lambda: (write(tx, int(number)), 201))


@internal.get("/internal/public")
def confused() -> Response:
    """A mistake: an internal route that asks for a person."""
    return Response(200, JSON, principal(public).sub)


@consumer.task
def write_that_it_was_swept() -> None:
    with transaction() as tx:
        tx.execute("INSERT INTO notes (note_id, text) VALUES (1000 + (SELECT COUNT(*) FROM notes n), 'swept')")


def install() -> None:
    """Where a container looks for a service's modules."""
    sys.modules["ecs.workshop"] = Adapter  # type: ignore[assignment]
    sys.modules["workshop.api"] = type("api", (), {"app": public})  # type: ignore[assignment]


if __name__ == "__main__":
    install()
    server.main()
