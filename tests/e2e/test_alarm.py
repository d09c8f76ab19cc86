"""Somebody is woken: from a difference of the books to what the topic of the alarms tells."""

import json
import uuid
from collections.abc import Iterator

import pytest

from localcloud import aws
from localcloud.api import Api
from localcloud.home import Home
from localcloud.stack import Stack
from tests.e2e.database import connected
from tests.e2e.queues import Queues
from tests.e2e.shop import Shop, place, settled
from tests.e2e.test_operations import operate
from tests.e2e.waiting import eventually
from tests.infrastructure.templates import stack as rendered


@pytest.fixture
def woken(home: Home) -> Iterator[str]:
    """A queue of what the topic of the alarms tells; the alarm is the one of infra/monitoring.yaml."""
    sns, sqs, cloudwatch = (aws.client(home, service) for service in ("sns", "sqs", "cloudwatch"))
    given = {
        "Environment": "local",
        "Prefix": "kumiki-local",
        "AlertEmail": "",
        "ApiName": "api",
        "LatencyMillis": "1000",
    }
    alarm = rendered("infra/monitoring.yaml", **given).properties("Differences")
    topic = sns.create_topic(Name=f"alarms-{uuid.uuid4()}")["TopicArn"]
    queue = str(sqs.create_queue(QueueName=f"woken-{uuid.uuid4()}")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    who = {"Principal": {"Service": "sns.amazonaws.com"}, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}
    told = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn, **who}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [told]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    cloudwatch.put_metric_alarm(**alarm | {"AlarmActions": [topic], "OKActions": [topic]})
    yield queue
    cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"]])
    sns.delete_topic(TopicArn=topic)
    sqs.delete_queue(QueueUrl=queue)


def test_a_difference_of_the_books_wakes_somebody(
    home: Home, stack: Stack, alice: Api, shop: Shop, queues: Queues, woken: str
) -> None:
    order_id = place(alice, {shop.sell(on_hand=3, price=700): 2})
    settled(alice, order_id)
    queues.drained()
    entry = uuid.UUID(order_id).bytes
    with connected(stack, "payments") as cursor:
        cursor.execute("DELETE FROM sandbox_ledger WHERE entry_key = %s", (entry,))
        code, said = operate(home, "reconcile", "--patience", "0.1")
        cursor.execute(
            "INSERT INTO sandbox_ledger (entry_key, charge_key, amount, outcome) VALUES (%s, %s, 1400, 'captured')",
            (entry, entry),
        )
    assert (code, f"{order_id}: " in said) == (1, True), said
    sqs = aws.client(home, "sqs")
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=woken, WaitTimeSeconds=1).get("Messages"))
    told = json.loads(json.loads(message["Body"])["Message"])
    assert (told["AlarmName"], told["NewStateValue"]) == ("kumiki-local-differences", "ALARM")
    assert told["AlarmDescription"].endswith("docs/operations.md#the-books-disagree")
