"""Where the shop runs: the local cloud, or the AWS account of the caller's credentials, found through its stack."""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any
from uuid import UUID

import boto3
from botocore.client import Config

from localcloud import aws, ministack
from localcloud.home import REPOSITORY, Home

CONSUMER = "Consumer"
BEGINNING = str(UUID(int=0))


class NotThere(Exception):
    """The shop has no such environment, service or archive; the message says what there is."""


class FunctionFailed(Exception):
    """A consumer did not answer; the message is what it raised."""


@dataclass(frozen=True)
class Queue:
    """One consumer's queue, and the one that has what it could not handle."""

    url: str
    dead_letters: str


class Cloud:
    """One environment. `make run` makes "local", samconfig.toml names the others with their stacks and regions."""

    def __init__(self, environment: str) -> None:
        tables = tomllib.loads((REPOSITORY / "samconfig.toml").read_text(encoding="utf-8"))
        configured = {
            name: table["deploy"] for name, table in tables.items() if name != "version" and "deploy" in table
        }
        if environment not in configured:
            raise NotThere(f"there is no environment {environment!r}; say ENV= and one of {', '.join(configured)}")
        deployed = configured[environment]["parameters"]
        self.environment, self._stack, self._region = environment, deployed["stack_name"], deployed["region"]
        self._clients: dict[str, Any] = {}
        self._making = Lock()  # what boto3 makes may be shared by threads, but not the making of it

    def client(self, service: Any) -> Any:
        with self._making:
            if service not in self._clients:
                self._clients[service] = self._new_client(service)
            return self._clients[service]

    @cached_property
    def outputs(self) -> dict[str, str]:
        """Of the stack. Raises botocore's ClientError when nothing was deployed."""
        [stack] = self.client("cloudformation").describe_stacks(StackName=self._stack)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    @cached_property
    def functions(self) -> dict[str, str]:
        """Names by logical id, such as OrdersConsumer."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self._stack)
        resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return {
            found["LogicalResourceId"]: found["PhysicalResourceId"]
            for found in resources
            if found["ResourceType"] == "AWS::Lambda::Function"
        }

    @property
    def services(self) -> list[str]:
        return sorted(name.removesuffix(CONSUMER).lower() for name in self.functions if name.endswith(CONSUMER))

    @cached_property
    def queues(self) -> dict[str, Queue]:
        """By service; not every one has a subscription."""
        names = {service: service.capitalize() for service in self.services}
        return {
            service: Queue(self.outputs[f"{name}QueueUrl"], self.outputs[f"{name}DeadLetterQueueUrl"])
            for service, name in names.items()
            if f"{name}QueueUrl" in self.outputs
        }

    def queue(self, service: str) -> Queue:
        """Raises NotThere."""
        if service not in self.queues:
            raise NotThere(f"no consumer {service!r} subscribes to events; those who do: {', '.join(self.queues)}")
        return self.queues[service]

    def arn(self, queue_url: str) -> str:
        found = self.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        return str(found["Attributes"]["QueueArn"])

    def ask(self, service: str, question: str, about: str = "") -> list[dict[str, Any]]:
        """Rows that a service's consumer answers with, from within the network. Raises FunctionFailed."""
        answer = self.client("lambda").invoke(
            FunctionName=self.functions[f"{service.capitalize()}{CONSUMER}"],
            Payload=json.dumps({"question": question, "about": about}),
        )
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise FunctionFailed(f"{service} did not answer {question!r}: {payload.get('errorMessage')}")
        answered: list[dict[str, Any]] = payload["answer"]
        return answered

    def pages(self, service: str, question: str, key: str) -> Iterator[dict[str, Any]]:
        """All rows, asked for page by page in the order of the identifier `key`. Raises FunctionFailed."""
        after = BEGINNING
        while page := self.ask(service, question, after):
            yield from page
            after = page[-1][key]

    def _new_client(self, service: Any) -> Any:
        if self.environment == "local":
            ministack.expect(Home.default())
            return aws.client(Home.default(), service)
        config = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 5})
        return boto3.client(service, region_name=self._region, config=config)
