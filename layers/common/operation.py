"""What a route takes and returns, declared beside it. The API reference is generated from this; nothing reads it
when the route is called.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

R = TypeVar("R", bound=Callable[..., Any])
Who = Literal["anyone", "customer", "staff"]


class Operation(NamedTuple):
    """`gives` is None where the route's annotation says it. The other fields are those of `operation`."""

    who: Who
    takes: Any
    gives: Any
    status: int
    keyed: bool
    paged: bool
    query: Mapping[str, Any]
    refuses: tuple[type[Exception], ...]


def operation(
    who: Who,
    *,
    takes: Any = None,
    gives: Any = None,
    status: int = 200,
    keyed: bool = False,
    paged: bool = False,
    query: Mapping[str, Any] | None = None,
    refuses: tuple[type[Exception], ...] = (),
) -> Callable[[R], R]:
    """Note who may call a route, the type of its body, the type and status of its answer. What it is for, the reference
    takes from the route's docstring.

    `keyed` routes need an Idempotency-Key, `paged` ones have `limit` and `cursor`; `query` are further parameters, by
    name and type. `refuses` are errors of the domain that this route has, beside those of every route like it: an
    identifier in the path may be unknown (404), a body malformed or faulty (400, 413, 422).
    """

    def note(route: R) -> R:
        route.operation = Operation(  # type: ignore[attr-defined]
            who, takes, gives, status, keyed, paged, query or {}, refuses
        )
        return route

    return note
