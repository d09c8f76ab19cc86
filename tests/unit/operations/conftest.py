"""An environment on AWS: the real subscription of one consumer, in moto."""

import json
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from operations.cloud import Cloud
from tests.infrastructure.templates import load


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The environment dev with the service orders, whose function answers every question with nothing."""
    subscription = load("infra/subscription.yaml")
    # Policies moto's CloudFormation does not know; and it would look for the function.
    for resource in ("QueuePolicy", "DeadLetterQueuePolicy", "QueueToConsumer"):
        del subscription["Resources"][resource]
    with mock_aws():
        cloudformation = boto3.client("cloudformation")
        boto3.client("events").create_event_bus(Name="kumiki-dev")
        boto3.client("sqs").create_queue(QueueName="kumiki-dev-bus-dead-letters")
        nested = {"Environment": "dev", "EventBusName": "kumiki-dev", "Consumer": "orders", "Sources": "payments"}
        nested |= {"DetailTypes": "PaymentCaptured", "VisibilitySeconds": "90", "MessagesKeyArn": "alias/aws/sqs"}
        nested |= {"ConsumerFunction": "consumer", "Concurrency": "2"}
        cloudformation.create_stack(
            StackName="nested",
            TemplateBody=json.dumps(subscription),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in nested.items()],
        )
        [stack] = cloudformation.describe_stacks(StackName="nested")["Stacks"]
        made = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        outputs = {"EventBusName": "kumiki-dev"} | {
            f"Orders{name}": made[name] for name in ("QueueUrl", "DeadLetterQueueUrl")
        }
        template = {
            "Resources": {
                "Any": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "any", "Type": "String", "Value": "x"}}
            },
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
        cloudformation.create_stack(StackName="kumiki-dev", TemplateBody=json.dumps(template))
        cloud = Cloud("dev")
        monkeypatch.setitem(cloud.__dict__, "functions", {"OrdersApi": "api", "OrdersConsumer": "consumer"})
        monkeypatch.setattr(cloud, "ask", lambda *_: [])
        yield cloud
