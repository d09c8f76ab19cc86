"""docs/promises.md names for each promise a proof that is there, and forgets none."""

import re
from pathlib import Path

import pytest

from localcloud.home import REPOSITORY
from tests.faults import promises
from tests.faults.promises import DOCUMENT, SECTION

PROOFS = [re.findall(r"`(tests/\S+\.py)`", found["proofs"]) for found in SECTION.finditer(DOCUMENT.read_text())]


def test_every_promise_has_a_proof_that_is_there() -> None:
    titles = re.findall(r"^## \d+\. ", DOCUMENT.read_text(), re.MULTILINE)
    assert len(PROOFS) == len(titles) > 0
    assert all(PROOFS)
    assert not [path for proofs in PROOFS for path in proofs if not (REPOSITORY / path).exists()]


def test_every_promise_has_a_control_among_its_proofs() -> None:
    for proofs in PROOFS:
        sources = "".join((REPOSITORY / path).read_text() for path in proofs)
        assert re.search(r"def test_(control_|without_|with_one_mechanism_less_|an_answer_\w+_would_be_)", sources), (
            proofs
        )


def test_every_module_of_proofs_belongs_to_a_promise() -> None:
    there = {str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("tests/faults/**/test_*.py")}
    there.add("tests/ecs/test_under_load.py")
    assert there <= {path for proofs in PROOFS for path in proofs}


def test_a_proof_that_did_not_run_here_keeps_its_figures_beside_those_of_one_that_did(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(promises, "FOLDER", tmp_path)
    (tmp_path / "no_flood.json").write_text('{"lost_pails": 2000}')
    before = "- Proof: `tests/test_no_flood.py`, `tests/test_fire.py`.\n- Last run: {}fire, at night (sparks: 3).\n"
    after = before.format("no flood (lost pails: 2,000); ")
    assert promises.filled(before.format("no flood (lost pails: 1); ")) == after
    assert promises.filled(before.format("")) == after
