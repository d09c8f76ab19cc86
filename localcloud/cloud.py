"""The whole local cloud, up and down."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from localcloud import aws, ministack, platform_stacks, programs, sam, servers, shop, users
from localcloud.api import Api
from localcloud.home import Home
from localcloud.stack import Stack
from localcloud.steps import step


class FunctionFailed(Exception):
    """A function did not survive its first call; the message has what it said."""


def up(home: Home) -> Stack:
    """Bring up what does not run and deploy what changed. What this starts is ended if it fails or is interrupted."""
    with home.locked(), ended_on_failure(home):
        database = servers.start(home)
        aws.create_user(home)
        platform_stacks.publish(home, database)
        with step("sam build", home.log("sam-build")):
            sam.build(home, home.root / "sam")
        with step("sam deploy", home.log("sam-deploy")):
            sam.deploy(home, home.root / "sam", database)
        stack = Stack.deployed(home, database)
        with step("a first call of every function", home.log(ministack.NAME)):
            _warm_up(home, stack)
        with step("users, products, stock", home.log(ministack.NAME)):
            users.create(home, stack)
            shop.fill(Api(stack.api_url, users.id_token(home, stack, "staff")))
        ministack.save(home)
        stack.save(home)
        return stack


def down(home: Home) -> None:
    """End everything that runs; the data stays."""
    for name in programs.known(home):
        with step(f"{name} ends"):
            programs.stop(home, name)
    ministack.clean(home)


@contextmanager
def ended_on_failure(home: Home) -> Iterator[None]:
    """Whatever this process starts during a block is ended if the block raises."""
    try:
        yield
    except BaseException:
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        handlers = [signal.signal(number, signal.SIG_IGN) for number in signals]
        for name in programs.started_here(home):
            if name == ministack.NAME:
                ministack.kill(home)
            else:
                programs.stop(home, name, grace=3)
        for number, handler in zip(signals, handlers, strict=True):
            signal.signal(number, handler)
        raise


def _warm_up(home: Home, stack: Stack) -> None:
    """A cold start each, so that the first order does not wait for a chain of them. Raises FunctionFailed."""
    api = Api(stack.api_url)

    def call(service: str, logical_id: str, name: str) -> None:
        if logical_id.endswith("Api"):
            api.get(f"/health/{service}")
            return
        answer = aws.client(home, "lambda").invoke(FunctionName=name, Payload=json.dumps({"task": "sweep"}))
        if "FunctionError" in answer:
            raise FunctionFailed(f"{logical_id}: {answer['Payload'].read().decode()}")

    calls = [(service, *function) for service, functions in stack.functions.items() for function in functions.items()]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda arguments: call(*arguments), calls))
