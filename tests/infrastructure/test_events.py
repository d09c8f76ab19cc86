"""The bus, and who hears what of it: infra/bus.yaml, and infra/subscription.yaml as the Lambda design nests them."""

import re

import pytest

from tests.infrastructure.lambda_design import FUNCTIONS, SERVICES, SUBSCRIBERS, Shop, shop_of
from tests.infrastructure.templates import ROOT, Stack, load

SENDERS = (
    dict.fromkeys(["ProductAdded", "ProductChanged", "ProductRetired"], "catalog")
    | dict.fromkeys(["OrderPlaced", "OrderConfirmed", "OrderRejected", "OrderCancelled", "OrderExpired"], "orders")
    | dict.fromkeys(["ContactGiven", "CancellationRequested"], "orders")
    | dict.fromkeys(["StockReserved", "StockRejected"], "inventory")
    | dict.fromkeys(["PaymentCaptured", "PaymentDeclined", "PaymentRefunded"], "payments")
    | dict.fromkeys(["ShipmentCancelled", "ShipmentDispatched", "ShipmentDelivered"], "shipping")
)
HOPS = 3  # inventory, payments and orders again, until an order is confirmed
KEY = "${MessagesKeyArn}"


def bus(shop: Shop) -> Stack:
    return shop.nested["Bus"]


def subscriptions(shop: Shop) -> dict[str, Stack]:
    return {name: shop.nested[f"{name}Subscription"] for name in sorted(SUBSCRIBERS)}


# The bus


def test_events_go_over_a_bus_of_the_shops_own(shop: Shop) -> None:
    assert bus(shop).properties("Bus")["Name"] == f"kumiki-{shop.environment}"
    assert bus(shop).outputs["Name"] == shop.nested["Bus"].outputs["Name"] == "${Bus}"
    assert bus(shop).outputs["Arn"] == "${Bus.Arn}"
    assert {shop.variables(name)["EVENT_BUS"] for name in FUNCTIONS} == {"${Bus.Outputs.Name}"}
    assert {rule.properties("Rule")["EventBusName"] for rule in subscriptions(shop).values()} == {"${Bus.Outputs.Name}"}


def test_whatever_is_nested_here_is_given_the_accounts_key(shop: Shop) -> None:
    for name in ("Bus", *(f"{service}Subscription" for service in SUBSCRIBERS)):
        assert shop.properties(name)["Parameters"]["MessagesKeyArn"] == KEY


def test_the_bus_is_encrypted_and_admits_nobody_of_another_account(shop: Shop) -> None:
    assert bus(shop).properties("Bus")["KmsKeyIdentifier"] == KEY
    assert "Policy" not in bus(shop).properties("Bus")
    assert not bus(shop).of_type("AWS::Events::EventBusPolicy")


def test_what_the_bus_cannot_encrypt_is_kept_for_14_days_under_another_key(shop: Shop) -> None:
    queue = bus(shop).properties("DeadLetterQueue")
    assert bus(shop).properties("Bus")["DeadLetterConfig"] == {"Arn": "${DeadLetterQueue.Arn}"}
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 60 * 60
    assert (queue["SqsManagedSseEnabled"], "KmsMasterKeyId" in queue) == (True, False)
    assert queue["QueueName"] == f"kumiki-{shop.environment}-bus-dead-letters"  # as docs/operations.md has it
    assert shop.outputs["EventBusDeadLetterQueueUrl"] == "${Bus.Outputs.DeadLetterQueueUrl}"
    assert bus(shop).outputs["DeadLetterQueueUrl"] == "${DeadLetterQueue}"


def test_the_bus_alone_may_put_something_there_and_nobody_by_plain_http(shop: Shop) -> None:
    policy = bus(shop).properties("DeadLetterQueuePolicy")
    allowed, *denied = policy["PolicyDocument"]["Statement"]
    assert policy["Queues"] == ["${DeadLetterQueue}"]
    assert (allowed["Effect"], allowed["Principal"]) == ("Allow", {"Service": "events.amazonaws.com"})
    assert (allowed["Action"], allowed["Resource"]) == ("sqs:SendMessage", "${DeadLetterQueue.Arn}")
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": "${Bus.Arn}"}}
    assert [statement["Effect"] for statement in denied] == (["Deny"] if shop.on_aws else [])
    for statement in denied:
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert (statement["Principal"], statement["Action"]) == ("*", "sqs:*")
        assert statement["Resource"] == "${DeadLetterQueue.Arn}"


def test_on_aws_the_bus_keeps_what_happened_encrypted_and_for_less_time_than_consumers_know_it(shop: Shop) -> None:
    archives = list(bus(shop).of_type("AWS::Events::Archive").values())
    assert len(archives) == shop.on_aws
    for archive in archives:
        assert (archive["SourceArn"], archive["KmsKeyIdentifier"]) == ("${Bus.Arn}", KEY)
        assert (archive["ArchiveName"], archive["RetentionDays"]) == (f"kumiki-{shop.environment}", "30")
        assert "EventPattern" not in archive
    days = load("template.yaml")["Parameters"]["ArchiveDays"]
    waiting = load("infra/subscription.yaml")["Resources"]["Queue"]["Properties"]["MessageRetentionPeriod"] // 86400
    [known] = re.findall(r"FROM inbox .* INTERVAL (\d+) DAY", (ROOT / "layers/common/consumer.py").read_text())
    assert days["Default"] <= days["MaxValue"]
    assert days["MaxValue"] + waiting < int(known)


# Who hears what


def test_each_subscriber_has_a_subscription_and_nothing_else_makes_queues(shop: Shop) -> None:
    nested = shop.of_type("AWS::CloudFormation::Stack")
    made = {name for name, n in nested.items() if n["TemplateURL"].removeprefix("./") == "infra/subscription.yaml"}
    assert made == {f"{name}Subscription" for name in SUBSCRIBERS}
    assert not shop.of_type("AWS::SQS::Queue")
    queues = {name for name, below in shop.nested.items() if below.of_type("AWS::SQS::Queue")}
    assert queues == made | {"Bus"}


def test_each_subscriber_names_the_services_that_send_what_it_wants(shop: Shop) -> None:
    for name, subscription in subscriptions(shop).items():
        pattern = subscription.properties("Rule")["EventPattern"]
        assert set(pattern["source"]) == {SENDERS[event] for event in pattern["detail-type"]}
        assert len(set(pattern["detail-type"])) == len(pattern["detail-type"])
        assert subscription.properties("Queue")["QueueName"] == f"kumiki-{shop.environment}-{SERVICES[name]}"


def test_a_queue_is_read_by_the_consumer_of_its_service(shop: Shop) -> None:
    for name, subscription in subscriptions(shop).items():
        assert subscription.properties("QueueToConsumer")["FunctionName"] == f"${{{name}Consumer}}"


def test_queues_can_be_found_in_the_outputs(shop: Shop) -> None:
    for name in SUBSCRIBERS:
        assert shop.outputs[f"{name}QueueUrl"] == f"${{{name}Subscription.Outputs.QueueUrl}}"
        assert shop.outputs[f"{name}DeadLetterQueueUrl"] == f"${{{name}Subscription.Outputs.DeadLetterQueueUrl}}"


# Time


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_a_message_of_an_execution_that_hangs_is_not_given_to_another_meanwhile(environment: str) -> None:
    shop = shop_of(environment)
    for name, subscription in subscriptions(shop).items():
        visibility = int(subscription.properties("Queue")["VisibilityTimeout"])
        # AWS's rule of six times is for messages that are thrown back, since a function is short of executions. Ours is
        # not: the queue asks for fewer at once than are reserved. What is left is an execution that is killed.
        assert visibility >= 3 * int(shop.functions[f"{name}Consumer"]["Timeout"])


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_each_hop_of_an_order_may_fail_twice_and_a_message_dies_with_half_of_the_deadline_left(
    environment: str,
) -> None:
    shop = shop_of(environment)
    deadline = int(shop.variables("OrdersApi")["ORDER_DEADLINE_SECONDS"])
    for subscription in subscriptions(shop).values():
        visibility = int(subscription.properties("Queue")["VisibilityTimeout"])
        receives = int(subscription.properties("Queue")["RedrivePolicy"]["maxReceiveCount"])
        assert HOPS * 2 * visibility < deadline or not shop.on_aws
        assert receives * visibility <= deadline / 2 or not shop.on_aws
        assert receives * visibility < deadline
