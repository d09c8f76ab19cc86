"""Fills the figures of the last runs into docs/designs.md, both designs measured in the same way: `make docs`."""

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from localcloud.home import REPOSITORY
from tests.faults.figures import FOLDER

DOCUMENT = REPOSITORY / "docs" / "designs.md"
SECTION = re.compile(r"<!-- figures: (?P<name>\w+) -->\n(?P<rows>.*?)<!-- end -->", re.DOTALL)
DESIGNS = ("lambda", "ecs")
NONE = "–"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def _answer(status_and_seconds: tuple[int, float]) -> str:
    status, seconds = status_and_seconds
    return f"{status} {HTTPStatus(status).phrase} after {_duration(seconds)}"


ROWS: Mapping[str, Mapping[str, tuple[str, Callable[[Any], str]]]] = {
    "orders": {
        "`POST /orders` is answered after": ("answered", _duration),
        "the order is settled after": ("settled", _duration),
        "connections to the database, after twenty orders, four at a time": ("connections", str),
    },
    "down": {
        f"{service} down": (f"{service} down", _answer)
        for service in ("catalog", "inventory", "payments", "shipping", "notifications")
    },
    "update": {"orders is of a new version after": ("update of orders", _duration)},
}
"""By section, what each row has of a design's figures, and how it is written."""


def filled(text: str) -> str:
    """The document with the figures that there are; those of proofs that did not run here stay as they are."""
    figures = {design: _figures(design) for design in DESIGNS}

    def section(found: re.Match[str]) -> str:
        stood = dict(re.findall(r"^\| (.*?) \| (.*) \|$", found["rows"], re.MULTILINE))
        lines = ["| Measured here | Lambda design | ECS design |", "|---|---|---|"]
        for title, (name, written) in ROWS[found["name"]].items():
            before = stood.get(title, f"{NONE} | {NONE}").split(" | ")
            cells = [
                written(figures[design][name]) if name in figures[design] else cell
                for design, cell in zip(DESIGNS, before, strict=True)
            ]
            lines.append(f"| {title} | {' | '.join(cells)} |")
        return f"<!-- figures: {found['name']} -->\n" + "\n".join(lines) + "\n<!-- end -->"

    return SECTION.sub(section, text)


def _figures(design: str) -> Mapping[str, Any]:
    path = FOLDER / f"designs.{design}.json"
    known: Mapping[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return known


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text()))
