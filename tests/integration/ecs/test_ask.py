"""Whoever runs the system asks a service in a task of its own, since nothing outside reaches its database."""

import json
import subprocess
import sys
from typing import Any
from uuid import UUID

import pytest

from common.values import uuid7
from localcloud.home import REPOSITORY, child_environment
from localcloud.mariadb import Server
from tests.faults.tasks import environment
from tests.integration.database import Database
from tests.integration.ecs.identity import Identity

PATHS = ":".join(str(REPOSITORY / folder) for folder in ("services", "layers", ""))


@pytest.fixture
def service() -> str:
    return "payments"


def ask(pool: Identity, server: Server, *question: str, of: str = "payments") -> list[dict[str, Any]]:
    told = {**environment(of, server, pool, "http://127.0.0.1:9"), "AWS_REGION": "ap-northeast-1", "PYTHONPATH": PATHS}
    command = [sys.executable, "-m", "ecs.ask", *question]
    done = subprocess.run(
        command, env=child_environment(**told), cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [line["answer"] for line in lines if line.get("message") == "answer"]


def test_what_was_given_up_in_a_journal_is_named_and_tried_again(
    database: Database, pool: Identity, server: Server
) -> None:
    event_id = uuid7()
    database.execute(
        "INSERT INTO journal (event_id, detail_type, detail, attempts, last_error, parked_at) "
        "VALUES (%s, 'PaymentRefunded', '{}', 20, 'orders answered 500', NOW(6))",
        (event_id.bytes,),
    )
    [row] = ask(pool, server, "parked")
    assert (row["event_id"], row["detail_type"], row["last_error"]) == (
        str(event_id),
        "PaymentRefunded",
        "orders answered 500",
    )
    assert ask(pool, server, "parked", str(UUID(int=2**128 - 1))) == []
    assert ask(pool, server, "release") == [{"released": 1}]
    due = "SELECT COUNT(*) FROM journal WHERE parked_at IS NULL AND attempts = 0 AND available_at <= NOW(6)"
    assert database.value(due) == 1
    assert ask(pool, server, "parked") == []


@pytest.mark.parametrize("of", ["orders", "payments", "shipping", "notifications"])
def test_a_customer_is_forgotten_by_each_service_that_knows_them(
    database: Database, pool: Identity, server: Server, of: str
) -> None:
    assert ask(pool, server, "erase", "nobody", of=of) == [{"erased": 0, "underway": 0}]
