"""docs/performance.md shows every benchmark, as the last run left it."""

from importlib import import_module

import pytest

from bench import NAMES, report
from bench.measuring import Comparison, Figure, saved
from localcloud.home import REPOSITORY

DOCUMENT = report.DOCUMENT.read_text(encoding="utf-8")


def test_the_document_says_what_the_results_say() -> None:
    assert report.filled(DOCUMENT) == DOCUMENT


def test_the_document_has_every_benchmark_once() -> None:
    assert [found["name"] for found in report.SECTION.finditer(DOCUMENT)] == list(NAMES)


def test_plots_show_what_the_results_say() -> None:
    drawn = {path.stem: path.read_text(encoding="utf-8") for path in report.PLOTS.iterdir()}
    assert drawn == report.plots()


def test_every_result_is_of_a_benchmark_that_is_there() -> None:
    assert {path.stem for path in (REPOSITORY / "bench" / "results").iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_round_measured_every_variant(name: str) -> None:
    result = saved(name)
    assert {len(values) for values in result["values"].values()} == {result["rounds"]}
    assert all(value >= 0 for values in result["values"].values() for value in values)
    compared = {variant for it in import_module(f"bench.{name}").COMPARISONS for variant in (it.of, it.to)}
    assert result["values"].keys() == compared - {None}


def test_a_figure_is_of_ratios_within_a_round_and_its_median_decides() -> None:
    values = {"ours": [2.0, 30.0, 8.0], "floor": [1.0, 10.0, 2.0]}
    figure = Figure.of(Comparison("", "ours", "floor", at_most=3), values)
    assert figure == Figure(median=3, least=2, most=4, met=True)
    assert not Figure.of(Comparison("", "ours", "floor", at_most=2.9), values).met
    assert not Figure.of(Comparison("", "ours", "floor", at_least=3.1), values).met
    assert Figure.of(Comparison("", "ours", at_most=8), values) == Figure(median=8, least=2, most=30, met=True)
