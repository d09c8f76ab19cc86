"""The sample events of events/ are what AWS sends, and what the functions of the template understand."""

import hashlib
import importlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.events import Envelope, Event
from common.requests import groups
from tests.infrastructure.templates import ROOT, load

RESOURCES: dict[str, Any] = load("template.yaml")["Resources"]
FUNCTIONS = {name: it for name, it in RESOURCES.items() if it["Type"] == "AWS::Serverless::Function"}
SAMPLES = sorted((ROOT / "events").glob("*/*.json"))
REQUESTS = [path for path in SAMPLES if path.parent.name.endswith("Api")]
CONSUMERS = [path for path in SAMPLES if path.parent.name.endswith("Consumer")]
BATCHES = [path for path in CONSUMERS if path.stem != "sweep"]


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def service(path: Path) -> str:
    return path.parent.name.removesuffix("Api").removesuffix("Consumer").lower()


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def routes(function: str) -> dict[tuple[str, str], bool]:
    """By method and path: whether the route needs a token."""
    events = [event["Properties"] for event in FUNCTIONS[function]["Properties"]["Events"].values()]
    return {(event["Method"], event["Path"]): "Auth" not in event for event in events if "Path" in event}


def test_every_function_has_sample_events_and_nothing_else_has() -> None:
    assert {path.name for path in (ROOT / "events").iterdir()} == set(FUNCTIONS)
    assert {path.parent.name for path in SAMPLES} == set(FUNCTIONS)


@pytest.mark.parametrize("path", REQUESTS, ids=name)
def test_a_request_is_of_a_route_of_its_function_and_brings_claims_where_the_route_needs_a_token(path: Path) -> None:
    event = read(path)
    context = event["requestContext"]
    assert routes(path.parent.name)[event["httpMethod"], event["resource"]] == ("authorizer" in context)
    claims = context.get("authorizer", {}).get("claims", {"token_use": "id", "sub": "nobody"})
    assert claims["token_use"] == "id"
    assert claims["sub"]
    assert groups(claims.get("cognito:groups", "")) <= {"staff"}


@pytest.mark.parametrize("path", REQUESTS, ids=name)
def test_what_a_request_says_twice_agrees(path: Path) -> None:
    event = read(path)
    context, parameters = event["requestContext"], event["pathParameters"] or {}
    assert event["path"] == event["resource"].format(**parameters)
    assert context["path"] == f"/{context['stage']}{event['path']}"
    assert (context["resourcePath"], context["httpMethod"]) == (event["resource"], event["httpMethod"])
    assert event["multiValueHeaders"] == {header: [value] for header, value in event["headers"].items()}
    query = event["queryStringParameters"]
    assert event["multiValueQueryStringParameters"] == (query and {key: [value] for key, value in query.items()})
    assert context["domainName"] == event["headers"]["Host"]
    assert context["domainName"].startswith(f"{context['apiId']}.")


@pytest.mark.parametrize("path", BATCHES, ids=name)
def test_a_batch_has_events_to_which_its_consumer_is_subscribed_in_the_words_of_its_own_models(path: Path) -> None:
    models = importlib.import_module(f"{service(path)}.models")
    subscription = RESOURCES[f"{service(path).capitalize()}Subscription"]["Properties"]["Parameters"]
    for record in read(path)["Records"]:
        message = json.loads(record["body"])
        assert message["detail-type"].lower() == path.stem.replace("_", "")
        assert message["detail-type"] in subscription["DetailTypes"].split(",")
        assert message["source"] in subscription["Sources"].split(",")
        envelope = msgspec.convert(message["detail"] | {"data": msgspec.Raw()}, Envelope)
        event_type: type[Event] = getattr(models, message["detail-type"])
        assert envelope.version == event_type.VERSION
        msgspec.convert(message["detail"]["data"], event_type)
        assert record["md5OfBody"] == hashlib.md5(record["body"].encode()).hexdigest()
        assert record["eventSourceARN"].endswith(f"-{service(path)}")


def test_an_event_has_the_same_identifier_wherever_it_is_delivered() -> None:
    by_type: dict[str, set[str]] = {}
    for path in BATCHES:
        detail = json.loads(read(path)["Records"][0]["body"])["detail"]
        by_type.setdefault(path.stem, set()).add(detail["id"])
    assert {len(identifiers) for identifiers in by_type.values()} == {1}
    assert len(set.union(*by_type.values())) == len(by_type)


def test_every_consumer_has_its_schedule_among_the_samples() -> None:
    for function in (function for function in FUNCTIONS if function.endswith("Consumer")):
        schedule = FUNCTIONS[function]["Properties"]["Events"]["Sweep"]["Properties"]["Input"]
        assert read(ROOT / "events" / function / "sweep.json") == json.loads(schedule)


def test_the_migrators_answer_goes_nowhere() -> None:
    """CloudFormation does not wait for it: nobody asked."""
    event = read(ROOT / "events" / "Migrator" / "create.json")
    assert event["ResponseURL"] == "file:///dev/null"
    assert event["RequestType"] == "Create"
    assert RESOURCES[event["LogicalResourceId"]]["Type"] == event["ResourceType"]
