"""What AWS hands to functions: requests of the REST API and batches of a queue, as they really look."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from common.values import uuid7

ALICE, BOB, STAFF = "alice-sub", "bob-sub", "staff-sub"
IDENTIFIERS = {
    "orders": "order_id",
    "payments": "order_id",
    "products": "product_id",
    "shipments": "order_id",
    "stock": "product_id",
}
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@dataclass(frozen=True)
class Context:
    """What a function learns of its invocation, besides the event."""

    function_name: str = "function-under-test"
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:ap-northeast-1:123456789012:function:function-under-test"
    aws_request_id: str = "3f0c1de2-6a55-4a4e-a2ab-0123456789ab"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ask(handler: Handler, method: str, path: str, body: Any = None, **request: Any) -> Answer:
    """Have an API function answer a request; for what can be in one see `api_event`."""
    answer = handler(api_event(method, path, body, **request), Context())
    headers = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
    return Answer(answer["statusCode"], headers, answer["body"])


def api_event(
    method: str,
    path: str,
    body: Any = None,
    *,
    sub: str | None = ALICE,
    groups: str | list[str] | None = None,
    key: str | None = None,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    base64: bool = False,
    claims: dict[str, Any] | None = None,
    request_id: str | None = None,
) -> dict[str, Any]:
    """A proxy event of a REST API behind the Cognito authorizer; on a public route (`sub=None`) there are no claims.

    A text is sent as it is, anything else as JSON. `groups` is the claim as gateways pass it on.
    """
    parts = path.strip("/").split("/")
    if len(parts) > 1 and parts[0] in IDENTIFIERS:
        parts[1] = f"{{{IDENTIFIERS[parts[0]]}}}"
    sent = {"Accept": "*/*", "Content-Type": "application/json", "Host": "api.example", **(headers or {})}
    if key is not None:
        sent["Idempotency-Key"] = key
    context: dict[str, Any] = {
        "accountId": "123456789012",
        "apiId": "a1b2c3d4e5",
        "httpMethod": method,
        "identity": {"sourceIp": "203.0.113.7", "userAgent": "curl/8"},
        "path": f"/v1{path}",
        "protocol": "HTTP/1.1",
        "requestId": request_id or str(uuid4()),
        "requestTimeEpoch": 1_780_000_000_000,
        "resourceId": "abc123",
        "resourcePath": "/" + "/".join(parts),
        "stage": "v1",
    }
    if sub is not None:
        context["authorizer"] = {
            "claims": {
                "sub": sub,
                "token_use": "id",
                "cognito:username": sub,
                **({} if groups is None else {"cognito:groups": groups}),
                **(claims or {}),
            }
        }
    return {
        "resource": "/" + "/".join(parts),
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
        "pathParameters": {parts[1][1:-1]: path.strip("/").split("/")[1]} if "{" in "".join(parts) else None,
        "stageVariables": None,
        "requestContext": context,
        "body": body if body is None or isinstance(body, str) else json.dumps(body, ensure_ascii=False),
        "isBase64Encoded": base64,
    }


def event(detail_type: str, data: dict[str, Any], **envelope: Any) -> dict[str, Any]:
    """An event as the bus delivers it. `envelope` has fields of our envelope, or `source`, that are not as usual."""
    source = envelope.pop("source", "elsewhere")
    detail = {
        "id": str(uuid7()),
        "time": "2026-05-04T03:02:01.000000Z",
        "version": 1,
        "correlation_id": "the-first-request",
        "causation_id": None,
        "data": data,
        **envelope,
    }
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": "123456789012",
        "time": "2026-05-04T03:02:02Z",
        "region": "ap-northeast-1",
        "resources": [],
        "detail": detail,
    }


def queue_event(*events: dict[str, Any] | str) -> dict[str, Any]:
    """A batch of messages m0, m1, …, each with an event, or with a text that should not be there."""
    return {
        "Records": [
            {
                "messageId": f"m{position}",
                "receiptHandle": f"receipt-{position}",
                "body": body if isinstance(body, str) else json.dumps(body, ensure_ascii=False),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1780000000000",
                    "SenderId": "AIDAIT2UOQQY3AUEKVGXU",
                    "ApproximateFirstReceiveTimestamp": "1780000000001",
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:ap-northeast-1:123456789012:queue-under-test",
                "awsRegion": "ap-northeast-1",
            }
            for position, body in enumerate(events)
        ]
    }


def deliver(handler: Handler, *events: dict[str, Any] | str, context: Context | None = None) -> list[str]:
    """Have a consumer function take a batch. Returns which messages it gives back: m0 is the first."""
    answer = handler(queue_event(*events), context or Context())
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def on_schedule(handler: Handler, task: str = "sweep") -> None:
    handler({"task": task}, Context())


def question(handler: Handler, name: str, about: str = str(UUID(int=0))) -> Any:
    """What a consumer function answers to whoever runs the system, as it travels."""
    return json.loads(json.dumps(handler({"question": name, "about": about}, Context())["answer"]))
