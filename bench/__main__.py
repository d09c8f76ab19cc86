"""Runs the benchmarks and keeps their results: `python -m bench`, or `python -m bench cold_start`.

Status 1 if a goal is not met."""

import signal
import sys
import time
from importlib import import_module

from bench import NAMES, measuring
from localcloud import environments


def main(names: list[str]) -> int:
    if unknown := set(names) - set(NAMES):
        print(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):  # whatever ends this ends all that it started
        signal.signal(number, signal.default_int_handler)
    if environments.main(*environments.BENCHMARKS):
        return 1
    try:
        missed = [name for name in NAMES if (not names or name in names) and not _run(name)]
        return 1 if missed else 0
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def _run(name: str) -> bool:
    benchmark: measuring.Benchmark = import_module(f"bench.{name}")  # type: ignore[assignment]
    start = time.monotonic()
    result = measuring.measure(benchmark, _progress)
    measuring.save(name, result)
    _progress("")
    print(f"{name}: {time.monotonic() - start:.0f} s, median (least – most) of {result['rounds']} rounds")
    figures = {it: measuring.Figure.of(it, result["values"]) for it in benchmark.COMPARISONS}
    for comparison, figure in figures.items():
        value = f"{figure.median:8.2f} ({figure.least:.2f} – {figure.most:.2f})"
        verdict = comparison.goal and f"{comparison.goal:>6} {'met' if figure.met else 'MISSED'}"
        print(f"  {comparison.title:<64}{value:<28}{verdict}")
    print(flush=True)
    return all(figure.met for figure in figures.values())


def _progress(line: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\033[K{line[:100]}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
