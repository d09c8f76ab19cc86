"""template.yaml and the reference speak of the same API and the same subscriptions."""

from typing import Any

import pytest

from reference import openapi, services
from tests.infrastructure.templates import Stack, stack


@pytest.fixture(scope="module")
def shop() -> Stack:
    return stack("template.yaml")


def test_what_is_deployed_is_what_is_described_and_needs_a_token_where_it_says_so(shop: Stack) -> None:
    described = {
        (method, path, bool(operation["security"]))
        for path, methods in openapi.document()["paths"].items()
        for method, operation in methods.items()
    }
    [api] = shop.of_type("AWS::ApiGateway::RestApi").values()
    deployed = {
        (method, path, operation["security"] != [{"NONE": []}])
        for path, methods in api["Body"]["paths"].items()
        for method, operation in methods.items()
        if method != "options"  # preflights, which API Gateway answers by itself
    }
    assert deployed == described


@pytest.mark.parametrize("service", services.NAMES)
def test_a_service_is_subscribed_to_what_it_reacts_to_from_those_who_publish_it(shop: Stack, service: str) -> None:
    parameters = subscription(shop, service)
    subscribed = {name for name in parameters.get("DetailTypes", "").split(",") if name}
    sources = {name for name in parameters.get("Sources", "").split(",") if name}
    wanted = services.consumed(service)
    assert subscribed == wanted.keys()
    assert sources == {service for name, (service, _) in services.published().items() if name in wanted}


def subscription(shop: Stack, service: str) -> dict[str, Any]:
    resource = shop.resources.get(f"{service.capitalize()}Subscription", {"Properties": {"Parameters": {}}})
    found: dict[str, Any] = resource["Properties"]["Parameters"]
    return found
