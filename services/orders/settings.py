"""Environment variables that only orders has."""

import os


def deadline_seconds() -> int:
    """How long an order may stay unsettled before it expires."""
    return int(os.environ.get("ORDER_DEADLINE_SECONDS", "900"))
