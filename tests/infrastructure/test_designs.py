"""docs/designs.md has every figure that is measured, in the form in which `make docs` writes it."""

import re

from tests.faults.designs import DOCUMENT, ROWS, SECTION, filled

TEXT = DOCUMENT.read_text()
FIGURE = re.compile(r"\d+(\.\d)?( m?s)?|\d{3} [A-Z]\w+( \w+)* after \d+(\.\d)? m?s|–")


def test_each_table_of_figures_stands_once() -> None:
    assert sorted(found["name"] for found in SECTION.finditer(TEXT)) == sorted(ROWS)


def test_each_row_has_a_figure_of_a_design_at_least() -> None:
    for found in SECTION.finditer(TEXT):
        rows = dict(re.findall(r"^\| (.*?) \| (.* \| .*) \|$", found["rows"], re.MULTILINE))
        for title in ROWS[found["name"]]:
            cells = rows[title].split(" | ")
            assert all(FIGURE.fullmatch(cell) for cell in cells), rows[title]
            assert any(cell != "–" for cell in cells), title


def test_filling_keeps_what_is_not_a_figure() -> None:
    def others(text: str) -> str:
        return SECTION.sub("", text)

    assert others(filled(TEXT)) == others(TEXT)
