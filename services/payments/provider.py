"""The port for moving money. A real provider is one more class behind it."""

import random
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

RETRIES = 3
PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 5.0  # then one that hangs, until its own time-out each time, is not asked again

T = TypeVar("T")


class ProviderUnavailable(Exception):
    """The provider did not answer. Whether it did what was asked is open; asking again with the same key is safe."""

    def __init__(self) -> None:
        super().__init__("the payment provider does not answer; try again")


class Charge(NamedTuple):
    """What became of a charge: captured in full, unless `declined` says why not."""

    declined: str | None = None


class Provider(Protocol):
    """Whatever is asked with a key is done once, and answered alike each time. All raise ProviderUnavailable.

    Amounts are in minor units. An implementation has a time-out of its own, of a few seconds.
    """

    def charge(self, key: UUID, amount: int, token: str) -> Charge: ...

    def refund(self, key: UUID, charge_key: UUID, amount: int) -> None:
        """Give back a part of what was captured under `charge_key`."""


def persistently(ask: Callable[[], T]) -> T:
    """Ask up to four times, but not after 5 s, with short pauses of no fixed length.

    Raises the last ProviderUnavailable.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    for attempt in range(RETRIES):
        try:
            return ask()
        except ProviderUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(random.uniform(0.5, 1.5) * PAUSE_SECONDS * 2**attempt)
    return ask()
