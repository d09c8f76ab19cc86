"""What each consumer's subscription promises: nothing is lost between bus and consumer, and nobody else can write."""

import pytest

from tests.infrastructure.lambda_design import Shop
from tests.infrastructure.templates import Stack

QUEUES = ("Queue", "DeadLetterQueue")


@pytest.fixture
def subscription(shop: Shop) -> Stack:
    """That of shipping, which hears of orders alone."""
    return shop.nested["ShippingSubscription"]


def test_the_rule_takes_the_wanted_events_from_the_wanted_services_off_the_shops_own_bus(subscription: Stack) -> None:
    rule = subscription.properties("Rule")
    assert rule["EventBusName"] == "${Bus.Outputs.Name}"
    assert rule["EventPattern"] == {"source": ["orders"], "detail-type": ["OrderConfirmed", "CancellationRequested"]}
    assert rule.get("State", "ENABLED") == "ENABLED"


def test_a_batch_that_failed_in_part_is_repeated_in_part(subscription: Stack) -> None:
    mapping = subscription.properties("QueueToConsumer")
    assert mapping["EventSourceArn"] == "${Queue.Arn}"
    assert (mapping["BatchSize"], mapping["FunctionResponseTypes"]) == (10, ["ReportBatchItemFailures"])
    assert mapping.get("Enabled", True) is True


def test_what_the_bus_cannot_deliver_is_tried_for_a_day_and_then_kept(subscription: Stack) -> None:
    [target] = subscription.properties("Rule")["Targets"]
    assert target["Arn"] == "${Queue.Arn}"
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
    assert target["DeadLetterConfig"] == {"Arn": "${DeadLetterQueue.Arn}"}


def test_what_the_consumer_cannot_handle_is_tried_five_times_and_then_kept(subscription: Stack) -> None:
    redrive = subscription.properties("Queue")["RedrivePolicy"]
    assert (redrive["deadLetterTargetArn"], int(redrive["maxReceiveCount"])) == ("${DeadLetterQueue.Arn}", 5)


def test_messages_of_a_consumer_that_is_off_wait_for_10_days(subscription: Stack) -> None:
    assert subscription.properties("Queue")["MessageRetentionPeriod"] == 10 * 24 * 60 * 60


def test_dead_letters_are_kept_for_14_days_beside_their_queue(subscription: Stack) -> None:
    names = [subscription.properties(queue)["QueueName"] for queue in QUEUES]
    assert names == [names[0], f"{names[0]}-dead-letters"]
    assert subscription.properties("DeadLetterQueue")["MessageRetentionPeriod"] == 14 * 24 * 60 * 60


def test_only_this_consumers_queue_may_use_its_dead_letter_queue(subscription: Stack) -> None:
    source = "arn:aws:sqs:ap-northeast-1:123456789012:" + subscription.properties("Queue")["QueueName"]
    allowed = subscription.properties("DeadLetterQueue")["RedriveAllowPolicy"]
    assert allowed == {"redrivePermission": "byQueue", "sourceQueueArns": [source]}


@pytest.mark.parametrize("queue", QUEUES)
def test_messages_are_encrypted_where_they_lie_by_the_accounts_own_key(subscription: Stack, queue: str) -> None:
    assert subscription.properties(queue)["KmsMasterKeyId"] == "${MessagesKeyArn}"
    assert "SqsManagedSseEnabled" not in subscription.properties(queue)


@pytest.mark.parametrize("queue", QUEUES)
def test_nobody_is_admitted_to_a_queue_but_eventbridge_for_this_rule(subscription: Stack, queue: str) -> None:
    policy = subscription.properties(f"{queue}Policy")
    [allowed] = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert policy["Queues"] == [f"${{{queue}}}"]
    assert (allowed["Principal"], allowed["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
    assert allowed["Resource"] == f"${{{queue}.Arn}}"
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": "${Rule.Arn}"}}


@pytest.mark.parametrize("queue", QUEUES)
def test_plain_http_is_refused_on_aws(shop: Shop, subscription: Stack, queue: str) -> None:
    policy = subscription.properties(f"{queue}Policy")
    denials = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
    assert len(denials) == shop.on_aws
    for denied in denials:
        assert (denied["Principal"], denied["Action"], denied["Resource"]) == ("*", "sqs:*", f"${{{queue}.Arn}}")
        assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_outputs_name_both_queues_and_the_rule(subscription: Stack) -> None:
    attributes = {"Arn": "${%s.Arn}", "Url": "${%s}", "Name": "${%s.QueueName}"}
    queues = {f"{queue}{kind}": form % queue for queue in QUEUES for kind, form in attributes.items()}
    assert subscription.outputs == queues | {"RuleName": subscription.properties("Rule")["Name"]}
