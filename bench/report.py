"""Fills results into docs/performance.md, each benchmark's table and plot: `make docs`."""

import math
import re
from collections.abc import Iterator
from html import escape
from importlib import import_module
from typing import Any

from bench import NAMES
from bench.measuring import Comparison, Figure, saved
from localcloud.home import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "performance.md"
PLOTS = REPOSITORY / "docs" / "performance"
SECTION = re.compile(r"<!-- bench: (?P<name>\w+) -->\n.*?<!-- end -->", re.DOTALL)

Rows = dict[Comparison, Figure]
LEFT, RIGHT, LINE, TEXT = 430, 960, 24, 420  # of a plot, in pixels


def filled(text: str) -> str:
    """The document with every benchmark's last result."""
    return SECTION.sub(lambda found: "\n".join(_section(found["name"])), text)


def plots() -> dict[str, str]:
    """By benchmark, an SVG."""
    return {name: "\n".join(_plot(_rows(name))) + "\n" for name in NAMES}


def _rows(name: str) -> Rows:
    comparisons: list[Comparison] = import_module(f"bench.{name}").COMPARISONS
    return {comparison: Figure.of(comparison, saved(name)["values"]) for comparison in comparisons}


def _section(name: str) -> Iterator[str]:
    result: dict[str, Any] = saved(name)
    yield f"<!-- bench: {name} -->"
    yield "| | median | least – most | goal | |\n|---|---|---|---|---|"
    for it, figure in _rows(name).items():
        verdict = ("met" if figure.met else "**missed**") if it.goal else ""
        spread = f"{_number(figure.least)} – {_number(figure.most)}"
        yield f"| {it.title} | {_number(figure.median)} | {spread} | {it.goal} | {verdict} |"
    yield f"\n![{name}]({PLOTS.name}/{name}.svg)\\"
    machine = f"{result['machine']}, load before {result['load before']}"
    yield f"`make bench ONLY={name}`, {result['rounds']} rounds, {machine}."
    yield "<!-- end -->"


def _plot(rows: Rows) -> Iterator[str]:
    """A line a comparison: its spread, a dot at its median, a stroke at its goal; the scale is logarithmic."""
    goals = [goal for it in rows if (goal := it.at_most or it.at_least)]
    values = [value for it in rows.values() for value in (it.least, it.most) if value > 0] + goals
    low, high = math.log10(min(values)) - 0.05, math.log10(max(values)) + 0.05

    def x(value: float) -> str:
        share = (math.log10(value) - low) / (high - low) if value > 0 else 0
        return f"{LEFT + share * (RIGHT - LEFT):.0f}"

    height = LINE * (len(rows) + 2)
    style = 'font-family="sans-serif" font-size="13"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 {height}" {style}>'
    yield f'<rect width="1000" height="{height}" fill="white"/>'
    for tick in _ticks(low, high):
        yield f'<path d="M{x(tick)} {LINE // 2}V{height - LINE}" stroke="#ddd"/>'
        yield f'<text x="{x(tick)}" y="{height - 8}" text-anchor="middle" fill="#666">{_number(tick)}</text>'
    for position, (it, figure) in enumerate(rows.items(), start=1):
        y, colour = position * LINE, "#27658f" if figure.met else "#c0392b"
        yield f'<text x="{TEXT}" y="{y + 4}" text-anchor="end">{escape(it.title)}</text>'
        yield f'<path d="M{x(figure.least)} {y}H{x(figure.most)}" stroke="{colour}" stroke-width="3" opacity="0.4"/>'
        yield f'<circle cx="{x(figure.median)}" cy="{y}" r="5" fill="{colour}"/>'
        if goal := it.at_most or it.at_least:
            yield f'<path d="M{x(goal)} {y - 9}v18" stroke="black" stroke-width="2"><title>{it.goal}</title></path>'
    yield "</svg>"


def _ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(low), math.ceil(high) + 1)
    return [
        tick
        for power in powers
        for tick in (10**power, 2 * 10**power, 5 * 10**power)
        if low <= math.log10(tick) <= high
    ]


def _number(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def main() -> None:
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    PLOTS.mkdir(exist_ok=True)
    for name, plot in plots().items():
        (PLOTS / f"{name}.svg").write_text(plot, encoding="utf-8")


if __name__ == "__main__":
    main()
