"""The services as their code has them: routes, events that they publish, events that they react to."""

import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from common.events import Event
from common.http import Resolver
from common.operation import Operation
from reference import ROOT

NAMES = sorted(file.parent.name for file in ROOT.glob("services/*/api.py"))


class NotDescribed(Exception):
    """A route does not say what it takes and gives."""


class Route(NamedTuple):
    service: str
    method: str
    path: str
    """As in template.yaml: /orders/{order_id}"""
    operation: Operation
    function: Any
    statuses: dict[type[Exception], int]
    """Of the service's domain errors"""

    @property
    def identifiers(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def gives(self) -> Any:
        """The type of the answer's body, None if it has none."""
        if self.operation.gives is not None or self.operation.status == 204:
            return self.operation.gives
        returned = get_type_hints(self.function)["return"]
        return get_args(returned)[0] if get_origin(returned) is tuple else returned


@cache
def routes() -> list[Route]:
    """Of all services. Raises NotDescribed."""
    return [route for service in NAMES for route in routes_of(service, import_module(f"{service}.api").app)]


def routes_of(service: str, app: Resolver) -> Iterator[Route]:
    """In the order of their definition, those without identifiers first. Raises NotDescribed."""
    for route in app.routes:
        operation = getattr(route.func, "operation", None)
        path = route.path.replace("<", "{").replace(">", "}")
        if operation is None:
            raise NotDescribed(f"{route.method} {path} of {service} lacks @operation: see layers/common/operation.py")
        yield Route(service, route.method, path, operation, route.func, dict(app.statuses))


@cache
def published() -> dict[str, tuple[str, type[Event]]]:
    """By name, the service that publishes an event, and what it is there: whichever event a service makes, as
    `OrderPlaced(…)` or `OrderPlaced.of(…)`, it publishes."""
    found: dict[str, tuple[str, type[Event]]] = {}
    for service in NAMES:
        source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "services" / service).glob("*.py"))
        made = set(re.findall(r"(?<!class )\b(\w+)(?:\.of)?\(", source))
        found |= {name: (service, event) for name, event in events(service).items() if name in made}
    return found


def events(service: str) -> dict[str, type[Event]]:
    """Those that a service has models of, whether it publishes them, reads them, or derives others from them."""
    members = inspect.getmembers(import_module(f"{service}.models"), inspect.isclass)
    return {name: member for name, member in members if issubclass(member, Event) and member is not Event}


@cache
def consumed(service: str) -> dict[str, type[Event]]:
    """By name, the events to which a service reacts, as it reads them."""
    reactions = import_module(f"{service}.consumer").consumer._reactions
    return {name: reaction.event_type for name, reaction in reactions.items()}
