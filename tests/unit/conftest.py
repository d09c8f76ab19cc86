"""Unit tests cannot reach a network, not even the one inside this machine."""

import pytest
from pytest_socket import disable_socket


@pytest.fixture(autouse=True)
def _no_network() -> None:
    """As for all of pytest-socket's, it lasts until the test has ended."""
    disable_socket(allow_unix_socket=True)
