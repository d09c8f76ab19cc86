"""Fills the figures of the proofs' last run into docs/promises.md: `make docs`."""

import json
import re
from collections.abc import Mapping

from localcloud.home import REPOSITORY
from tests.faults.figures import FOLDER

DOCUMENT = REPOSITORY / "docs" / "promises.md"
SECTION = re.compile(r"^- Proof: (?P<proofs>.*?)\n- Last run: (?P<figures>.*?)\n(?=\n|\Z)", re.MULTILINE | re.DOTALL)
OF_A_PROOF = re.compile(r"(?:^|; )([^();]+) \(([^()]*)\)")


def filled(text: str) -> str:
    """The document with the figures that there are; those of proofs that did not run here stay as they are."""

    def section(found: re.Match[str]) -> str:
        told: dict[str, str] = {}
        for proof in re.findall(r"test_(\w+)\.py", found["proofs"]):
            stood = [it for it in OF_A_PROOF.findall(found["figures"]) if it[0].partition(", ")[0] == _title(proof)]
            told |= _figures(proof) or dict(stood)
        figures = "; ".join(f"{title} ({it})" for title, it in told.items())
        return f"- Proof: {found['proofs']}\n- Last run: {figures}.\n"

    return SECTION.sub(section, text)


def _figures(proof: str) -> dict[str, str]:
    """By title: one, or one a mode in which the proof runs."""
    told = {}
    for path in sorted(FOLDER.glob(f"{proof}*.json")):
        name, _, mode = path.stem.partition(".")
        if name == proof:
            told[f"{_title(proof)}, {mode}" if mode else _title(proof)] = _told(json.loads(path.read_text()))
    return told


def _title(proof: str) -> str:
    return proof.replace("_", " ")


def _told(counted: Mapping[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {_readable(value)}" for name, value in counted.items())


def _readable(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    DOCUMENT.write_text(filled(DOCUMENT.read_text()))
