"""Waiting for what becomes true by itself.

A test that fails waits to the end, one that passes does not: the time is what a machine may need that stands still for
a while, and no promise.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T | None], seconds: float = 60) -> T:
    """The condition's first true value. Raises AssertionError, with the last false one, when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s; last seen: {value!r}"
        time.sleep(0.05)
    return value
