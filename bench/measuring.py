"""What a benchmark is, and how one is run: its variants in turn, round by round, so that what else the machine does
meanwhile slows all of them."""

import json
import os
import platform
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

RESULTS = Path(__file__).with_name("results")

Variants = Mapping[str, Callable[[], float]]
"""By name, how to measure it once: a cost or a rate, in the same unit for all."""


@dataclass(frozen=True)
class Comparison:
    """What is shown: `of` divided by `to`, each measured in the same round; without `to`, `of` as it is. The goal is of
    the median."""

    title: str
    of: str
    to: str | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def goal(self) -> str:
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return "" if self.at_least is None else f"≥ {self.at_least:g}"


class Benchmark(Protocol):
    """A module of this package; docs/performance.md says what it measures against what."""

    ROUNDS: int
    COMPARISONS: Sequence[Comparison]

    @staticmethod
    def variants() -> AbstractContextManager[Variants]:
        """Everything up that is needed; all of it ends with the block."""


@dataclass(frozen=True)
class Figure:
    median: float
    least: float
    most: float
    met: bool

    @classmethod
    def of(cls, comparison: Comparison, values: Mapping[str, Sequence[float]]) -> Self:
        """Raises KeyError for a variant that was not measured."""
        floors = values[comparison.to] if comparison.to else [1.0] * len(values[comparison.of])
        ratios = [value / floor for value, floor in zip(values[comparison.of], floors, strict=True)]
        median, least, most = statistics.median(ratios), comparison.at_least, comparison.at_most
        met = (least is None or median >= least) and (most is None or median <= most)
        return cls(median, min(ratios), max(ratios), met)


def measure(benchmark: Benchmark, progress: Callable[[str], None]) -> dict[str, Any]:
    """All rounds after one that does not count, for caches to be warm. Returns what a file in results/ has."""
    load = os.getloadavg()[0]
    with benchmark.variants() as variants:
        values: dict[str, list[float]] = {name: [] for name in variants}
        for number in range(benchmark.ROUNDS + 1):
            for name in variants if number == 0 else random.sample(list(variants), len(variants)):
                progress(f"round {number} of {benchmark.ROUNDS}: {name}")
                value = variants[name]()
                if number:
                    values[name].append(float(f"{value:.4g}"))
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return {"machine": machine, "load before": round(load, 1), "rounds": benchmark.ROUNDS, "values": values}


def save(name: str, result: Mapping[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def saved(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return result
