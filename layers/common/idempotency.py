"""Idempotency keys: a repeated request gets the first one's answer, byte for byte, and has no second effect.

A key belongs to (caller, method, path). The answer is stored at the end of the business transaction, so it exists if
and only if the work was done. A concurrent repeat meets the first one's uncommitted row and waits for it.
"""

import hashlib
import zlib
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import msgspec

from common.database import Contention, DatabaseUnavailable, Transaction
from common.http import JSON, Problem, RequestInProgress, Resolver, Response, encode
from common.requests import idempotency_key, principal, raw_body

AS_IT_IS = 4096  # bytes


class Fingerprint(NamedTuple):
    """What makes a request a repeat: the same `key`, which covers caller, method and path, with the same body."""

    key: bytes
    body_hash: bytes


class _Stored(NamedTuple):
    body_hash: bytes
    status: int
    answer: bytes


def idempotent(app: Resolver, tx: Transaction, work: Callable[[], tuple[Any, int]]) -> Response:
    """Do `work`, which gives an answer and its status, once for the request's key; else repeat what it answered then.

    Raises Problem 422 when the key was used with another body, and whatever `work` raises.
    """
    key, body_hash = fingerprint(app)
    try:
        result, status = work()
        answer = encode(result)
        _store(tx, key, body_hash, status, answer)
    except (Contention, DatabaseUnavailable):
        raise
    except Exception:
        # Either the key exists, or the work cannot be done any more: perhaps because it has been.
        tx.start_over()
        stored = _find(tx, key)
        if stored is None:
            raise
        if stored.body_hash != body_hash:
            raise Problem(422, "this Idempotency-Key was used with another body") from None
        return Response(stored.status, JSON, _unpacked(stored.answer))
    return Response(status, JSON, answer)


def amend(app: Resolver, tx: Transaction, result: Any, status: int, provisional: Collection[int]) -> Response:
    """Replace what is stored for the request's key, if its status says that it was to be repeated only until there is
    something better. Returns what is to be repeated from now on."""
    key, answer = fingerprint(app).key, encode(result)
    amended = tx.execute(
        "UPDATE idempotency_keys SET status = %s, answer = %s WHERE request_key = %s AND status IN %s",
        (status, _packed(answer), key, list(provisional)),
    )
    if not amended and (stored := _find(tx, key)):
        return Response(stored.status, JSON, _unpacked(stored.answer))
    return Response(status, JSON, answer)


def status(app: Resolver, tx: Transaction) -> int | None:
    """Of what is repeated for the request's key just now; None where the key has not been used."""
    stored = _find(tx, fingerprint(app).key)
    return stored.status if stored else None


def fingerprint(app: Resolver) -> Fingerprint:
    """For work with a step of its own before `idempotent`, which a repeat must find again. Raises Problem 400 (key)."""
    event = app.current_event
    scope = (principal(app).sub, event.method, event.path, idempotency_key(app))
    return Fingerprint(hashlib.sha256("\0".join(scope).encode()).digest(), _body_hash(raw_body(app)))


def _store(tx: Transaction, key: bytes, body_hash: bytes, status: int, answer: str) -> None:
    try:
        tx.execute(
            "INSERT INTO idempotency_keys (request_key, body_hash, status, answer) VALUES (%s, %s, %s, %s)",
            (key, body_hash, status, _packed(answer)),
        )
    except Contention as error:
        raise RequestInProgress from error


def _find(tx: Transaction, key: bytes) -> _Stored | None:
    row = tx.one("SELECT body_hash, status, answer FROM idempotency_keys WHERE request_key = %s", (key,))
    return _Stored(**row) if row else None


def _packed(answer: str) -> bytes:
    """Long answers are compressed: as they are, they would exceed what a statement may have."""
    raw = answer.encode()
    return raw if len(raw) < AS_IT_IS else zlib.compress(raw)


def _unpacked(stored: bytes) -> str:
    return (zlib.decompress(stored) if stored.startswith(b"x") else stored).decode()  # no JSON begins with an x


def _body_hash(body: bytes) -> bytes:
    """Of the parsed JSON: spacing and the order of members make no other body."""
    parsed = msgspec.json.decode(body or b"null")
    return hashlib.sha256(msgspec.json.encode(parsed, order="sorted")).digest()
