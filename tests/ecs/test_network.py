"""Tasks find those that they may call, and reach nobody else. Run inside of `python -m localcloud.ecs exec`."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ecs.runtime.tasks import AVOIDED_SECONDS
from localcloud.api import Api
from localcloud.ecs.graph import CALLS, DOMAIN, PORT
from localcloud.stack import SERVICES
from tests.e2e.shop import new_key, request, send
from tests.e2e.waiting import eventually

EDGES = {(caller, called) for caller, neighbours in CALLS.items() for called in neighbours}
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5).close()"
UNKNOWN = ("Name or service not known", "No address associated with hostname")


@pytest.fixture
def shop(ecs: Any) -> Iterator[Any]:
    """As it was, after each test."""
    yield ecs
    ecs.settle()


def names(service: str, ecs: Any) -> set[str]:
    """The addresses that a task of orders is told. Without an answer, which is not the answer that there are none, it
    asks again."""
    asked = f"import json, socket; print(json.dumps(socket.gethostbyname_ex('{service}.{DOMAIN}')[2]))"

    def answered() -> Any:
        done = ecs.run(ecs.tasks("orders")[0], "python3", "-c", asked)
        return done if done.returncode == 0 or any(said in done.stderr for said in UNKNOWN) else None

    done = eventually(answered, 60)
    return set(json.loads(done.stdout)) if done.returncode == 0 else set()


def test_exactly_the_edges_of_the_call_graph_can_be_connected(shop: Any) -> None:
    def connects(edge: tuple[str, str]) -> bool:
        caller, called = (shop.tasks(service)[0] for service in edge)
        done = shop.run(caller, "python3", "-c", CONNECT, called.address, str(PORT))
        assert done.returncode == 0 or "timed out" in done.stderr, done.stderr
        return bool(done.returncode == 0)

    pairs = [(caller, called) for caller in SERVICES for called in SERVICES if caller != called]
    with ThreadPoolExecutor(len(pairs)) as threads:
        connected = {pair for pair, connects in zip(pairs, threads.map(connects, pairs), strict=True) if connects}
    assert connected == EDGES


def test_a_name_has_the_addresses_of_all_healthy_tasks_and_no_others(shop: Any) -> None:
    for service in SERVICES:
        assert names(service, shop) == {task.address for task in shop.tasks(service)}
    killed, kept = shop.tasks("catalog")
    killed.kill()
    eventually(
        lambda: (
            names("catalog", shop) == {kept.address} | {t.address for t in shop.tasks("catalog")} - {killed.address}
        ),
        60,
    )
    shop.settle()
    assert len(names("catalog", shop)) == 2
    assert killed.address not in names("catalog", shop)


def test_a_service_that_is_down_has_no_address(shop: Any) -> None:
    shop.down("notifications")
    try:
        assert names("notifications", shop) == set()
    finally:
        shop.up("notifications")
    assert len(names("notifications", shop)) == 2


def test_a_task_that_hangs_is_taken_out_and_replaced(shop: Any) -> None:
    hanging, _ = shop.tasks("shipping")
    hanging.pause()
    eventually(lambda: hanging not in shop.tasks("shipping"), 90)
    shop.settle()
    assert hanging.address not in names("shipping", shop)


def test_an_update_lets_old_tasks_end_by_themselves_when_new_ones_are_there(shop: Any) -> None:
    before = shop.tasks("payments")
    assert shop.stop(before[0]) == 0
    shop.roll("payments")
    after = shop.tasks("payments")
    assert len(after) == 2
    assert not {task.address for task in before} & names("payments", shop)


def test_secrets_of_a_service_are_told_to_no_other(ecs: Any) -> None:
    secrets = {service: secret for service, (_, secret) in ecs.pool.callers.items()}
    for service in SERVICES:
        [pid, *_] = ecs.tasks(service)[0].pids
        told = Path(f"/proc/{pid}/environ").read_text()
        assert {name for name, secret in secrets.items() if secret in told} == {service} & secrets.keys()


def test_calls_are_spread_over_tasks_evenly_within_a_fifth(shop: Any, alice: Api) -> None:
    """Where all are answered: who does not answer in time is left out for a while, and then the calls are made anew."""
    calls = 400

    def refused(_: int) -> int:
        """An order of what there is not: orders asks catalog, once."""
        return send(alice, "POST", "/orders", json.dumps(request({str(uuid4()): 1})), Idempotency_Key=new_key()).status

    def asked() -> Counter[str]:
        return Counter({t.name: t.log.read_text().count('"route":"/internal/products"') for t in shop.tasks("catalog")})

    def unanswered() -> int:
        return sum(t.log.read_text().count("no answer from a neighbour") for t in shop.tasks("orders"))

    def spread() -> Counter[str] | None:
        before, missed = asked(), unanswered()
        with ThreadPoolExecutor(3) as threads:
            statuses = set(threads.map(refused, range(calls)))
        if asked().keys() != before.keys() or unanswered() != missed:
            time.sleep(AVOIDED_SECONDS)
            return None
        assert statuses == {422}
        return asked() - before

    counts = eventually(spread, 300)
    assert counts.total() == calls
    assert all(abs(count - calls / 2) <= 0.2 * calls / 2 for count in counts.values()), counts
