"""A service that sells nothing, `workshop`: notes to write, and events about them."""

import pytest

from common.observability import correlate


@pytest.fixture(autouse=True)
def _story() -> None:
    """What a handler does first: everything that is published belongs to a story."""
    correlate("the-first-request")
