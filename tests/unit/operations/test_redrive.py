"""Dead letters on AWS: explained, moved after a question, and never lost on the way."""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from operations import bus, letters, redrive
from operations.cloud import Cloud
from operations.logs import Line

EVENT = {"detail-type": "PaymentCaptured", "detail": {"id": "event-1", "correlation_id": "the-first-request"}}
UNDELIVERABLE = {
    "ERROR_CODE": {"DataType": "String", "StringValue": "NO_PERMISSIONS"},
    "RULE_ARN": {"DataType": "String", "StringValue": "arn"},
}


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    logged = {"message": "message given back", "error": "OrderNotFound", "causation_id": "event-1"}
    lines = [Line(datetime.now(UTC), "OrdersConsumer", logged)]
    monkeypatch.setattr(redrive, "search", lambda *_: lines)
    monkeypatch.setattr(letters, "WAIT_SECONDS", 0)


def die(cloud: Cloud, event: Any = EVENT, **attributes: Any) -> None:
    url = cloud.queues["orders"].dead_letters
    cloud.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(event), **attributes)


def queue_of_all(cloud: Cloud) -> str:
    """A queue that has whatever is put on the bus."""
    sqs, events = cloud.client("sqs"), cloud.client("events")
    url = str(sqs.create_queue(QueueName="everything")["QueueUrl"])
    events.put_rule(Name="everything", EventBusName="kumiki-dev", EventPattern='{"source": ["payments"]}')
    events.put_targets(Rule="everything", EventBusName="kumiki-dev", Targets=[{"Id": "q", "Arn": cloud.arn(url)}])
    return url


def bodies(cloud: Cloud, url: str) -> list[Any]:
    answer = cloud.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], str]) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answer())


def end_of_file() -> str:
    raise EOFError


def test_each_reason_is_told_with_how_many_there_are(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(12):
        die(cloud)
    die(cloud, MessageAttributes=UNDELIVERABLE)
    die(cloud, EVENT | {"detail": {}})
    assert redrive.redrive(cloud, yes=False) is False
    told = capsys.readouterr().out
    assert "orders: 14 dead letters" in told
    assert "12 × PaymentCaptured: OrderNotFound (make logs ORDER=the-first-request)" in told
    assert "1 × PaymentCaptured: the bus could not deliver it, NO_PERMISSIONS" in told
    assert "1 × PaymentCaptured: no log line says why" in told


def test_what_somebody_else_looks_at_is_not_overlooked(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert redrive.redrive(cloud, yes=True) is True
    die(cloud)
    cloud.client("sqs").receive_message(QueueUrl=cloud.queues["orders"].dead_letters)
    assert redrive.redrive(cloud, yes=True) is False
    told = capsys.readouterr().out
    assert told.startswith(
        "orders: no dead letters\nbus: no dead letters\norders: dead letters that somebody else is looking at"
    )


@pytest.mark.parametrize("answer", [lambda: "n", lambda: "", end_of_file])
def test_without_a_yes_everything_stays_and_can_be_seen_at_once(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, answer: Callable[[], str]
) -> None:
    die(cloud)
    answering(monkeypatch, answer)
    assert redrive.redrive(cloud, yes=False) is False
    assert bodies(cloud, cloud.queues["orders"].dead_letters) == [EVENT]
    assert bodies(cloud, cloud.queues["orders"].url) == []


def test_with_a_yes_all_of_them_go_back_to_their_queue(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(25):
        die(cloud, EVENT | {"number": number})
    answering(monkeypatch, lambda: "y")
    assert redrive.redrive(cloud, yes=False) is True
    queue, sqs, moved = cloud.queues["orders"], cloud.client("sqs"), list[int]()
    while messages := sqs.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10).get("Messages"):
        moved += [json.loads(message["Body"])["number"] for message in messages]
    assert sorted(moved) == list(range(25))
    assert bodies(cloud, queue.dead_letters) == []


def test_more_than_can_be_read_while_they_are_hidden_are_not_read_for_ever(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(60):
        die(cloud, EVENT | {"number": number})
    sqs, now = cloud.client("sqs"), [0.0]
    receive = sqs.receive_message

    def slowly(**asked: Any) -> Any:
        now[0] += 10
        return receive(**asked)

    monkeypatch.setattr(sqs, "receive_message", slowly)
    monkeypatch.setattr(letters, "time", SimpleNamespace(monotonic=lambda: now[0]))
    answering(monkeypatch, lambda: "n")
    assert redrive.redrive(cloud, yes=False) is False
    assert "orders: 20 dead letters of about 60, the oldest" in capsys.readouterr().out


def test_a_message_that_can_be_seen_again_already_need_not_be_released(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(cloud)
    sqs, received = cloud.client("sqs"), list[int]()
    receive = sqs.receive_message

    def late(**asked: Any) -> Any:
        received.append(1)
        assert len(received) < 3, "the same one again and again"
        answer = receive(**asked)
        time.sleep(1.1)
        return answer

    monkeypatch.setattr(sqs, "receive_message", late)
    monkeypatch.setattr(letters, "HIDDEN_SECONDS", 1)
    monkeypatch.setattr(letters, "READING_SECONDS", 0.5)
    answering(monkeypatch, lambda: "n")
    assert redrive.redrive(cloud, yes=False) is False


def test_what_could_not_be_sent_is_not_deleted(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    die(cloud)
    sqs = cloud.client("sqs")

    def fail(**_: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(sqs, "send_message", fail)
    with pytest.raises(ConnectionError):
        redrive.redrive(cloud, yes=True)
    hidden = sqs.get_queue_attributes(QueueUrl=cloud.queues["orders"].dead_letters, AttributeNames=["All"])
    assert hidden["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "1"


def test_what_dies_again_meanwhile_is_left(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    die(cloud)

    def agreed(*_: Any) -> bool:
        die(cloud, EVENT | {"number": 2})
        return True

    monkeypatch.setattr(redrive, "agreed", agreed)
    assert redrive.redrive(cloud, yes=True) is False
    assert "1 moved back to orders; 1 stay, new or unreadable" in capsys.readouterr().out
    assert bodies(cloud, cloud.queues["orders"].dead_letters) == [EVENT | {"number": 2}]


def test_what_the_bus_could_not_encrypt_is_told_and_put_on_it_once_more(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events, sqs, heard = cloud.client("events"), cloud.client("sqs"), queue_of_all(cloud)
    url = bus.dead_letters(cloud)
    attributes = {"ERROR_CODE": {"DataType": "String", "StringValue": "KMS_KEY_DISABLED"}}
    stored = {"source": "aws.events", "detail-type": "Encrypted Events", "detail": {"encrypted-payload": "AgR4"}}
    for body in (json.dumps(EVENT | {"source": "payments"}), json.dumps(stored), "[]"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
    assert redrive.redrive(cloud, yes=True) is False, "two cannot be read"
    told = capsys.readouterr().out
    assert "1 × PaymentCaptured: the bus could not deliver it, KMS_KEY_DISABLED" in told
    assert "1 × Encrypted Events" in told
    assert "1 moved back to bus; 2 stay" in told
    [body] = bodies(cloud, heard)
    assert {name: body[name] for name in ("source", "detail-type", "detail")} == EVENT | {"source": "payments"}
    assert sorted(bodies(cloud, url), key=len) == [[], stored]

    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(EVENT | {"source": "payments"}))
    monkeypatch.setattr(events, "put_events", lambda **_: refused)
    with pytest.raises(bus.NotTaken, match="ThrottlingException"):
        redrive.redrive(cloud, yes=True)
    counted = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert sum(int(counted[name]) for name in letters.COUNTS) == 3
