"""Variants that are measured a moment after each other, many times: the machine has no time to become another one."""

import random
import statistics
from collections.abc import Callable, Mapping
from functools import partial

from bench.measuring import Variants


def in_turn(works: Mapping[str, Callable[[], float]], times: int) -> Variants:
    """Each of them so many times, in any order, and the median of each. The first to be asked measures all."""
    medians: dict[str, float] = {}

    def asked(name: str) -> float:
        if name not in medians:
            took: dict[str, list[float]] = {one: [] for one in works}
            for _ in range(times):
                for one in random.sample(list(works), len(works)):
                    took[one].append(works[one]())
            medians.update({one: statistics.median(values) for one, values in took.items()})
        return medians.pop(name)

    return {name: partial(asked, name) for name in works}
