"""Why a worker has one thread: between threads, the resolver hands requests each other's claims."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from localcloud.mariadb import Server
from tests.integration.ecs.identity import Identity
from tests.integration.ecs.serving import Task, serving

CALLERS, REQUESTS = 8, 400


def mixed_up(task: Task, pool: Identity) -> int:
    """How many of so many requests were answered to somebody else."""
    tokens = {f"customer-{number}": pool.user(f"customer-{number}") for number in range(CALLERS)}

    def wrong(number: int) -> bool:
        sub = f"customer-{number % CALLERS}"
        answer = task.ask("GET", "/me/later", token=tokens[sub])
        return answer.status != 200 or answer.json["sub"] != sub

    with ThreadPoolExecutor(CALLERS) as callers:
        return sum(callers.map(wrong, range(REQUESTS)))


def test_eight_threads_hand_requests_each_others_claims(pool: Identity, server: Server, tmp_path: Path) -> None:
    with serving("workshop", pool, server, tmp_path / "log", "tests.integration.ecs.threaded") as task:
        assert mixed_up(task, pool) > REQUESTS / 4


def test_workers_of_one_thread_hand_none(pool: Identity, server: Server, tmp_path: Path) -> None:
    with serving("workshop", pool, server, tmp_path / "log", "tests.integration.ecs.workshop", WORKERS=8) as task:
        assert mixed_up(task, pool) == 0
