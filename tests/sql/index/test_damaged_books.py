"""Lakes that lost a table, an hour or notes: commands end well or in one line, and mend it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.books import JOBS, books, codes, run, watched
from tests.support.lakes import HOUR_US, T0, S, level
from tests.support.long import pairs
from tokenergy_collectors.lake.published import FOLDER


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with books of two hours: nobody who takes it changes it."""
    builder = watched(tmp_path_factory.mktemp("sound") / "lake")
    builder.power("A", level(100_000, T0 + HOUR_US, T0 + HOUR_US + 100 * S, S))
    builder.job("j", "A", T0, T0 + HOUR_US + 50 * S)
    builder.tokens("j", [(T0, 0), (T0 + 50 * S, 900), (T0 + HOUR_US + 50 * S, 950)])
    books(builder.lake)
    return builder.lake.root


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return shutil.copytree(sound, tmp_path / "lake")


@pytest.mark.parametrize("table", pairs(["ledger_hour", "job_index", "ledger"], always=2))
def test_a_derived_table_that_is_gone_is_made_again(root: Path, table: str) -> None:
    _, before = run(root, "query", JOBS)
    shutil.rmtree(root / FOLDER / table)
    code, lines = run(root, "check")
    assert (code, len(lines)) == (2, 1)
    assert "is missing; run `tokenergy heal --hour 2026-01-15T" in lines[0]
    assert run(root, "index")[0] == 0
    assert run(root, "query", JOBS)[1] == before
    assert run(root, "check")[0] == 0


@pytest.mark.parametrize("table", ["job_hour_index", "token_usage"])
def test_all_can_be_asked_for_anew(root: Path, table: str) -> None:
    _, before = run(root, "query", JOBS)
    shutil.rmtree(root / FOLDER / table)
    assert run(root, "check")[0] == 2, "a missing table is no silence"
    assert run(root, "index", "--all")[0] == 0
    assert run(root, "query", JOBS)[1] == before
    assert run(root, "check")[0] == 0


@pytest.mark.parametrize("table", ["segment", "device", "jobs", "tokens", "power"])
def test_an_input_that_is_gone(root: Path, table: str) -> None:
    """Every command still ends well or in one line, and what is not known any more is NULL."""
    shutil.rmtree(root / table)
    assert run(root, "index")[0] == 0
    for arguments in (
        ["check"],
        ["report", "--out", str(root / "r.html")],
        ["diff"],
        ["revisions"],
    ):
        code, lines = run(root, *arguments)
        assert code in (0, 1, 2)
        assert lines
    _, lines = run(root, "query", "--format", "json", JOBS)
    (row,) = json.loads("\n".join(lines))
    missing = {"jobs": "no_allocation", "tokens": "no_tokens"}.get(table)
    assert missing is None or missing in codes(row)
    # readings of 150 s of the job's 3,650: too little for a ratio, whatever is gone
    assert row["te_gpu_out"] is None
    assert missing is not None or "low_joint_coverage" in codes(row)


def test_an_hour_that_is_gone(root: Path) -> None:
    for table in ("segment", "tokens", "power"):
        shutil.rmtree(root / table / "date=2026-01-15" / "hour=09")
    assert run(root, "index")[0] == 0
    assert run(root, "check")[0] == 0
    _, lines = run(root, "query", "--format", "json", JOBS)
    (row,) = json.loads("\n".join(lines))
    assert row["n_generated"] == 900


def test_damaged_notes_of_revisions(root: Path) -> None:
    (root / "revisions" / "000001" / "manifest.json").write_text("{")
    for command in ("revisions", "diff"):
        code, lines = run(root, command)
        assert (code, len(lines)) == (2, 1)
        assert "manifest.json: is damaged" in lines[0]
    (root / "revisions" / "hours.json").write_text("[")
    assert run(root, "index")[0] == 0


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"jobs": 5}'])
def test_truth_that_is_none(sound: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "truth.json").write_text(text)
    code, lines = run(sound, "score", "--truth", str(tmp_path))
    assert (code, len(lines)) == (2, 1)
    assert "truth.json" in lines[0]
