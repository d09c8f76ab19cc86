"""One suite against both designs: `--design` says which. What one alone has is not collected for the other."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return (collection_path.name == "test_internal_routes.py" and config.getoption("--design") != "ecs") or None


@pytest.fixture
def soon(long: bool) -> float:
    """Seconds within which an order is settled and services hear of each other: the promise where there is a machine to
    itself, else the deadline of an order."""
    return 5 if long else 60
