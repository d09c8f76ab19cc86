"""Values that every domain shares: identifiers in order of time, and money."""

import os
import time
from typing import Annotated, Literal
from uuid import UUID

import msgspec


def uuid7() -> UUID:
    """A new UUIDv7 (RFC 9562, section 5.7 and method 3 of 6.2): Unix milliseconds, 12 bits of their fraction, 62 random
    ones. What one process makes is in the order of its making, so keys insert in order."""
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = (nanoseconds << 12) // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") >> 2
    return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | random)


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in minor units of its ISO 4217 currency (a yen has none, so 500 is ¥500)."""

    amount: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    currency: Literal["JPY"] = "JPY"
