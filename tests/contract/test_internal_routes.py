"""What services ask of each other in the ECS design is answered to services that may ask it, and to nobody else."""

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import urllib3

from localcloud import users
from localcloud.api import Api
from localcloud.home import Home
from localcloud.stack import SERVICES, Stack
from tests.e2e.shop import Answer, send
from tests.faults.deployed import forgery

HTTP = urllib3.PoolManager(timeout=40, retries=False)


class Route(NamedTuple):
    service: str
    method: str
    path: str


def routes() -> list[Route]:
    """Each there is, about an order that there is not."""
    apps = [(service, import_module(f"ecs.{service}").app) for service in SERVICES]
    return [
        Route(service, route.method, route.path.replace("<order_id>", str(uuid4())).replace("<topic>", "OrderExpired"))
        for service, app in apps
        for route in app.routes
        if route.path.startswith("/internal/")
    ]


by_name = pytest.mark.parametrize("route", routes(), ids=lambda route: f"{route.service} {route.method}")


def ask(ecs: Any, route: Route, token: str = "", **headers: str) -> Answer:
    """Of a task itself, from an address that its firewall lets in."""
    address = Api(ecs.tasks(route.service)[0].url, token)
    return send(address, route.method, route.path, "{}", **{"Content_Type": "application/json", **headers})


@pytest.fixture(scope="module")
def tokens(ecs: Any, stack: Stack) -> Mapping[str, str]:
    """By service, a token with which another may call it."""
    from localcloud.ecs.graph import CALLS

    found = {}
    for caller, called in CALLS.items():
        for service in called:
            answer = HTTP.request(
                "POST",
                f"{stack.endpoint_url}/oauth2/token",
                fields={"grant_type": "client_credentials", "scope": f"shop.internal/{service}"},
                headers=urllib3.make_headers(basic_auth=":".join(ecs.pool.callers[caller])),
                encode_multipart=False,
            )
            found[service] = json.loads(answer.data)["access_token"]
    assert found.keys() == set(SERVICES)
    return found


@pytest.fixture(scope="module")
def key(home: Home, stack: Stack) -> Any:
    return forgery.pool_key(home, stack, "access")


@by_name
def test_a_service_that_may_call_is_let_in(ecs: Any, tokens: Mapping[str, str], key: Any, route: Route) -> None:
    """Also with a token that is signed as the forged ones are, and has no fault."""
    for token in (tokens[route.service], forgery.renewed(tokens[route.service], key)):
        assert ask(ecs, route, token).status in (200, 202, 204, 400, 404, 409, 422)


@by_name
def test_who_is_no_service_is_not(home: Home, ecs: Any, stack: Stack, route: Route) -> None:
    assert ask(ecs, route).status == 401
    for name in ("alice", "staff"):
        whole = users.tokens(home, stack, name)
        assert ask(ecs, route, whole["IdToken"]).status == 401
        assert ask(ecs, route, whole["AccessToken"]).status in (401, 403)


@by_name
@pytest.mark.parametrize("name", forgery.FORGERIES)
def test_a_forged_token_is_as_none(ecs: Any, tokens: Mapping[str, str], key: Any, route: Route, name: str) -> None:
    forged = forgery.FORGERIES[name](tokens[route.service], key)
    assert ask(ecs, route, Authorization=f"Bearer {forged}").status == 401


@by_name
def test_a_token_for_another_service_is_refused(ecs: Any, tokens: Mapping[str, str], key: Any, route: Route) -> None:
    for service in set(SERVICES) - {route.service}:
        assert ask(ecs, route, tokens[service]).status == 403
    for scope in ("", "shop.internal", "shop.internal/", f"shop.internal/{route.service}s", route.service, "openid"):
        assert ask(ecs, route, forgery.renewed(tokens[route.service], key, scope=scope)).status in (401, 403)


@by_name
def test_from_outside_nobody_gets_there(alice: Api, tokens: Mapping[str, str], route: Route) -> None:
    for token in (alice.token, tokens[route.service]):
        assert send(Api(alice.url, token), route.method, route.path, "{}").status in (403, 404)
