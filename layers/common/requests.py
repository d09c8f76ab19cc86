"""What a request contains: caller, body, page of a list, identifiers. Whatever is faulty is a Problem."""

import base64
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from common.http import Problem, Resolver

BODY_BYTES = 96 * 1024  # a list of 1,000 lines fits, and is told that it is too long
PAGE_SIZE = 20
LARGEST_PAGE = 100
STAFF = "staff"

T = TypeVar("T")
_MEMBER = re.compile(r"field `(.*)`$")  # that is missing, or that nobody knows


class Principal(NamedTuple):
    """Who asks: the token's `sub`, and whether they belong to the group `staff`."""

    sub: str
    is_staff: bool


class Page(NamedTuple):
    """A part of a list, newest first: `limit` items from below the identifier `after`."""

    limit: int
    after: UUID = UUID(int=2**128 - 1)


def principal(app: Resolver) -> Principal:
    """The caller, as the authorizer of API Gateway vouches for. Raises Problem 401 without the claims of a token of the
    kind that the resolver takes: an ID token."""
    claims = _claims(app)
    if claims.get("token_use") != app.token_use or not claims.get("sub"):
        raise Problem(401, "this needs an ID token")
    return Principal(claims["sub"], STAFF in groups(claims.get("cognito:groups", "")))


def staff(app: Resolver) -> Principal:
    """The caller, who must be staff. Raises Problem 401, 403."""
    caller = principal(app)
    if not caller.is_staff:
        raise Problem(403, "this is for staff")
    return caller


def verified_email(app: Resolver) -> str | None:
    """The caller's address, if their token says that it was shown to be theirs, and it can be one (RFC 5321, 4.5.3)."""
    claims = _claims(app)
    email = claims.get("email") if str(claims.get("email_verified")).lower() == "true" else None
    return email if email and len(email) <= 254 else None


def language(app: Resolver) -> str | None:
    """What the caller wants to read, such as `ja`: by the token's claim `locale`, else the header Accept-Language."""
    asked = _claims(app).get("locale") or app.current_event.headers.get("Accept-Language")
    found = re.match(r"[A-Za-z]{2,3}(?![A-Za-z])", asked.strip())
    return found[0].lower() if found else None


def _claims(app: Resolver) -> dict[str, Any]:
    return (app.current_event.raw_event["requestContext"].get("authorizer") or {}).get("claims") or {}


def groups(claim: str | list[str]) -> set[str]:
    """The groups of a `cognito:groups` claim: a list, or as gateways flatten it, `a,b` or `[a b]`."""
    if isinstance(claim, str):
        claim = claim.removeprefix("[").removesuffix("]").replace(",", " ").split()
    return set(claim)


def raw_body(app: Resolver) -> bytes:
    """The body as it was sent. Raises Problem 413 above 96 KiB, 400 when it was not UTF-8.

    API Gateway puts U+FFFD where it could not read a text: what arrives is JSON, but not what was meant.
    """
    event = app.current_event
    body = event.body
    try:
        raw = base64.b64decode(body, validate=True) if event.is_base64_encoded else body.encode()
    except ValueError:
        raise Problem(400, "the body is not UTF-8 text") from None
    if len(raw) > BODY_BYTES:
        raise Problem(413, f"the body is larger than {BODY_BYTES} bytes")
    if "\N{REPLACEMENT CHARACTER}".encode() in raw:
        raise Problem(400, "the body is not UTF-8 text")
    return raw


def body(app: Resolver, model: type[T]) -> T:
    """The body as `model`. Raises Problem 400 when it is no JSON, 422 with the field that is wrong, 413."""
    raw = raw_body(app)
    try:
        try:
            return msgspec.json.decode(raw, type=model)
        except msgspec.ValidationError as error:
            # What is wrong was found before the rest was read, and that must be JSON, whatever is in it.
            msgspec.json.decode(raw.decode(), type=msgspec.Raw)
            raise Problem(422, "the body is not valid", [_fault(str(error))]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "the body is not JSON") from None


def _fault(text: str) -> dict[str, str]:
    """What msgspec says of a value: ``Expected `int`, got `str` - at `$.lines[0].quantity` ``."""
    message, _, place = text.partition(" - at `$")
    names = [place.removesuffix("`"), *_MEMBER.findall(message)]
    return {"field": ".".join(name.removeprefix(".") for name in names if name) or "body", "message": message}


def idempotency_key(app: Resolver) -> str:
    """The header Idempotency-Key. Raises Problem 400 when it is missing or not 1 to 64 printable ASCII characters."""
    key = app.current_event.headers.get("Idempotency-Key")
    if not re.fullmatch(r"[\x20-\x7e]{1,64}", key):
        raise Problem(400, "the header Idempotency-Key needs 1 to 64 printable ASCII characters")
    return key


def identifier(text: str) -> UUID:
    """An identifier in a path. A malformed one cannot exist: raises Problem 404."""
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise Problem(404, "there is no such thing")
    return UUID(text)


def page(app: Resolver) -> Page:
    """The query's `limit` and `cursor`. Raises Problem 422."""
    query = app.current_event.query
    limit, cursor = query.get("limit", str(PAGE_SIZE)), query.get("cursor")
    if not re.fullmatch(r"[0-9]{1,3}", limit) or not 1 <= int(limit) <= LARGEST_PAGE:
        raise Problem(422, "bad query", [{"field": "limit", "message": f"expected 1 to {LARGEST_PAGE}"}])
    if cursor is None:
        return Page(int(limit))
    if not re.fullmatch(r"[A-Za-z0-9_-]{21}[AQgw]", cursor):
        raise Problem(422, "bad query", [{"field": "cursor", "message": "not a cursor of this list"}])
    return Page(int(limit), UUID(bytes=base64.urlsafe_b64decode(cursor + "==")))


def cut(items: Sequence[T], asked: Page, identifier_of: Callable[[T], UUID]) -> tuple[Sequence[T], str | None]:
    """The page out of `items`, of which one more than asked was fetched, and the next page's cursor if there is one."""
    if len(items) <= asked.limit:
        return items, None
    last = identifier_of(items[asked.limit - 1])
    return items[: asked.limit], base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")
