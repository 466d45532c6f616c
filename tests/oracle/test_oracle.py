"""A part of the staged histories, and whether the comparison sees what it must see.

`make oracle` runs all of them, and .ci/run half of them.
"""

from __future__ import annotations

import pytest

from tests.oracle import run
from tests.oracle.mutationlist import MUTATIONS
from tests.oracle.mutations import ROOT
from tests.oracle.reckon import reckon as oracle
from tests.oracle.staged.generate import KINDS

LAKES = 1


@pytest.mark.parametrize("lake", range(LAKES))
def test_tool_and_oracle_agree(lake: int) -> None:
    outcome = run.check(lake, run.seeds_of(lake))
    assert outcome.histories == run.TOGETHER
    assert outcome.differences == []


def test_a_difference_of_one_nanojoule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    energy_nj = oracle.Sensor.energy_nj
    monkeypatch.setattr(oracle.Sensor, "energy_nj", lambda *args: energy_nj(*args) + 1)
    assert run.check(0, range(3)).differences


def test_a_history_follows_from_its_seed() -> None:
    first, again, other = run.stage(5), run.stage(5), run.stage(6)
    assert first.rows == again.rows
    assert first.rows != other.rows


def test_every_mutation_breaks_one_place_of_the_tool() -> None:
    stale = [m.name for m in MUTATIONS if (ROOT / m.file).read_text().count(m.old) != 1]
    assert stale == []
    unknown = {kind for m in MUTATIONS for kind in m.kinds.split(",")} - KINDS.keys()
    assert unknown == set()
