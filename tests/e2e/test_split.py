"""A service leaves the shop's stack for one of its own, while orders go on: each customer is written to once."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from localcloud import aws, cloud, mariadb, sam, users
from localcloud.api import Api
from localcloud.home import REPOSITORY, Home
from localcloud.mariadb import Server
from localcloud.servers import start
from localcloud.stack import Stack
from reference import split
from tests.e2e.mailbox import Mailbox
from tests.e2e.queues import Queues
from tests.e2e.shop import Shop, place, settled
from tests.e2e.waiting import eventually

SERVICE = "notifications"

pytestmark = pytest.mark.long


@pytest.fixture
def away() -> Iterator[Home]:
    """A local cloud that no other test uses, since this one takes it apart."""
    home = Home(REPOSITORY / ".local" / "test" / "split")
    cloud.down(home)
    shutil.rmtree(home.root / mariadb.NAME, ignore_errors=True)
    try:
        yield home
    finally:
        cloud.down(home)


def deployed(home: Home, database: Server, tree: Path) -> None:
    sam.build(home, tree / ".aws-sam", tree=tree)
    sam.deploy(home, tree / ".aws-sam", database, tree)


def is_written_to_once(home: Home, stack: Stack) -> None:
    api = {name: Api(stack.api_url, users.id_token(home, stack, name)) for name in ("alice", "staff")}
    order_id = place(api["alice"], {Shop(api["staff"]).sell(on_hand=1): 1})
    assert settled(api["alice"], order_id)["status"] == "confirmed"
    assert eventually(lambda: Mailbox(stack).about(order_id))
    urls = aws.client(home, "sqs").list_queues(QueueNamePrefix="kumiki-local-")["QueueUrls"]
    Queues(home, replace(stack, queues={url: url for url in urls})).drained()
    assert len(Mailbox(stack).about(order_id)) == 1


def test_a_service_moves_into_a_stack_of_its_own_and_nobody_misses_a_mail_or_gets_two(
    away: Home, tmp_path: Path
) -> None:
    stack = cloud.up(away)
    split.write(SERVICE, tmp_path)
    is_written_to_once(away, stack)

    database = start(away)
    deployed(away, database, tmp_path / SERVICE)  # beside the shop, which still has it
    is_written_to_once(away, stack)

    deployed(away, database, tmp_path / "shop")
    stack = Stack.deployed(away, database)
    assert stack.functions[SERVICE] == {}
    is_written_to_once(away, stack)

    own = aws.client(away, "cloudformation").describe_stack_resources(StackName=f"kumiki-local-{SERVICE}")
    ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in own["StackResources"]}
    assert (
        Api(f"{away.endpoint_url}/restapis/{ids['Api']}/local/_user_request_").request("GET", f"/health/{SERVICE}")[0]
        == 200
    )
    assert Api(stack.api_url).request("GET", f"/health/{SERVICE}")[0] in (403, 404)
    queues = aws.client(away, "sqs").list_queues(QueueNamePrefix=f"kumiki-local-{SERVICE}")["QueueUrls"]
    assert {url.rsplit("/", 1)[1] for url in queues} == {
        f"kumiki-local-{SERVICE}-own",
        f"kumiki-local-{SERVICE}-own-dead-letters",
    }
