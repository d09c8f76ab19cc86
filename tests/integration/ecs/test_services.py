"""Every service is served as a container has it."""

import time
from pathlib import Path

import pytest

from localcloud.mariadb import Server
from tests.integration.database import SERVICES
from tests.integration.ecs.identity import Identity
from tests.integration.ecs.serving import serving

PUBLIC = {
    "catalog": "/products",
    "inventory": "/stock/no-identifier",
    "orders": "/orders",
    "payments": "/payments/00000000-0000-7000-8000-000000000000",
    "shipping": "/shipments/00000000-0000-7000-8000-000000000000",
    "notifications": "/health/notifications",
}


def test_each_is_here() -> None:
    assert set(PUBLIC) == {path.parent.name for path in SERVICES.glob("*/api.py")}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_service_is_up_answers_people_and_services_and_sweeps(
    name: str, pool: Identity, server: Server, tmp_path: Path
) -> None:
    with serving(name, pool, server, tmp_path / "log", SWEEP_SECONDS=0.3, NEIGHBOUR_URL="http://127.0.0.1:9") as task:
        assert task.ask("GET", f"/health/{name}").json == {"status": "ok"}
        assert task.ask("GET", PUBLIC[name], token=pool.user("alice")).status in (200, 404)
        assert task.ask("GET", "/internal/nothing", token=pool.service("anybody", name)).status == 404
        assert task.ask("GET", "/internal/nothing", token=pool.user("alice")).status == 401
        until = time.monotonic() + 60
        while not any(line.get("task") == "sweep" for line in task.lines()):
            assert time.monotonic() < until, "it was not swept"
            time.sleep(0.05)
        assert task.end() == 0
        assert {line.get("level", "INFO") for line in task.lines()} == {"INFO"}
