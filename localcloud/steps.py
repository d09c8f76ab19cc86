"""Progress on the terminal: what is being done, how long it took, and the end of its log when it failed."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TAIL = 25


@contextmanager
def step(title: str, log: Path | None = None) -> Iterator[None]:
    """Names a piece of work and times it. What it raises passes through, after the last lines of `log`."""
    print(f"  {title:<50}", end="", flush=True)
    start, started = time.monotonic(), time.time()
    try:
        yield
    except Exception:
        print(f" failed after {time.monotonic() - start:.1f} s", flush=True)
        if log and log.exists() and log.stat().st_mtime >= started - 1:
            print(f"  the end of {log}:", *last_lines(log), sep="\n    | ", flush=True)
        raise
    except BaseException:
        print(" interrupted", flush=True)
        raise
    print(f"{time.monotonic() - start:6.1f} s", flush=True)


def last_lines(log: Path, count: int = TAIL) -> list[str]:
    with log.open(errors="replace") as lines:
        return [line.rstrip() for line in deque(lines, maxlen=count)]


def say(line: str) -> None:
    print(f"  {line}", flush=True)
