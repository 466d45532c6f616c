"""The demo as a user runs it, and what `check` reports when one unit is changed after it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.commands import command
from tests.support.lakes import T0
from tokenergy_collectors.lake import Lake


def tokenergy(*arguments: str) -> subprocess.CompletedProcess[str]:
    words = [str(Path(sys.executable).parent / "tokenergy"), *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo's folder, and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    done = tokenergy("demo", "--score", "--out", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_it_ends_with_the_table_the_score_and_the_report(demo: tuple[Path, str]) -> None:
    folder, said = demo
    lines = said.splitlines()
    assert "Energy per token by job (emulated)" in said
    verdicts = [
        line.split()[-1] for line in lines[lines.index("") :] if line.endswith(("ok", "MISS"))
    ]
    assert verdicts == ["ok"] * 5
    assert lines[-1] == f"report: {folder / 'report.html'}"
    assert "FAIL" not in said
    assert (folder / "report.html").stat().st_size > 100_000


def test_accounts_of_every_kind_occur(demo: tuple[Path, str]) -> None:
    rows = Lake(demo[0] / "lake").read("ledger", columns=["account"])
    assert set(rows["account"].to_pylist()) == {
        "active",
        "resident_idle",
        "free_idle",
        "unattributed",
    }


def test_one_unit_in_one_row_is_a_breach(demo: tuple[Path, str]) -> None:
    root = demo[0] / "lake"
    assert command("tokenergy", "check", "--lake", str(root))[0] == 0
    lake = Lake(root)
    ledger = lake.read("ledger", [T0])
    place = ledger.column_names.index("energy_nj")
    energy = ledger["energy_nj"].to_pylist()
    hit = next(row for row in range(len(energy) // 2, len(energy)) if energy[row] is not None)
    energy[hit] += 1
    altered = ledger.set_column(place, ledger.schema.field(place), pa.array(energy))
    lake.replace("ledger", altered, T0, "ledger")
    code, out, _ = command("tokenergy", "check", "--lake", str(root))
    assert code == 1
    device = ledger["device_id"][hit].as_py()
    assert "FAIL law" in out
    assert f"device_id={device} hour=2026-01-15T08:00Z" in out
    assert "difference_nj=1" in out
    lake.replace("ledger", ledger, T0, "ledger")
    assert command("tokenergy", "check", "--lake", str(root))[0] == 0


def test_a_missing_profile_leaves_an_earlier_demo_alone(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    before = sorted(p.name for p in (folder / "lake").iterdir())
    words = ("demo", "--out", str(folder), "--profile", "no-such-profile")
    assert command("tokenergy", *words)[0] == 2
    assert sorted(p.name for p in (folder / "lake").iterdir()) == before
