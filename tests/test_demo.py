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
from tokenergy_sql.terminal.table import interval, significant

DOCS = Path(__file__).parents[1] / "docs"


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


def test_readme_has_the_table_of_the_demo(demo: tuple[Path, str]) -> None:
    """The README shows some of the columns, at the widths of a page: their cells are the same."""
    readme = (DOCS.parent / "README.md").read_text("utf-8")
    jobs = Lake(demo[0] / "lake").read("job_index").to_pylist()
    assert len(jobs) == 5
    for job in jobs:
        (line,) = (one for one in readme.splitlines() if one.startswith(f"{job['job_id']} "))
        cells = [cell.strip() for cell in line.split("│")]
        tokens = job["n_generated"] or job["n_trained"]
        assert cells[2] == (f"{tokens:,}" if tokens else "-")
        gpu = job["te_gpu_out"] or job["te_train"]
        figures = (gpu, job["te_gpu_low"], job["te_gpu_high"])
        facility = (job["tokenergy"], job["te_low"], job["te_high"])
        for (value, low, high), at in ((figures, 4), (facility, 6)):
            assert cells[at] == significant(value)
            assert cells[at + 1] == interval(low, high)


def test_the_page_of_boundaries_has_the_figures_of_the_demo(demo: tuple[Path, str]) -> None:
    page = (DOCS / "boundaries.md").read_text("utf-8")
    lake = Lake(demo[0] / "lake")
    jobs = {row["job_id"]: row for row in lake.read("job_index").to_pylist()}
    chat, tokens = jobs["chat-70b"], jobs["chat-70b"]["n_generated"]
    steps = ("e_gpu_active_nj", "e_gpu_nj", "it", "e_facility_nj", "e_facility_burdened_nj")
    chat["it"] = chat["e_gpu_nj"] + chat["e_host_nj"]
    rows = [line.split("|") for line in page.splitlines() if line.count("|") == 6][2:]
    for name, cells in zip(steps, rows, strict=True):
        kwh, per_token = float(chat[name]) / 3.6e15, float(chat[name]) / 1e9 / tokens
        assert cells[3].strip() == f"{kwh:.4f}"
        said = cells[4].strip().strip("*")
        assert float(said) == round(per_token, len(said.partition(".")[2]))
    hours = lake.read("job_hour_index", [T0]).to_pylist()
    (pue,) = (row["pue_ppb"] / 1e9 for row in hours if row["job_id"] == "chat-70b")
    assert f"× {pue:.3f}, the PUE of hall h1" in page
    nodes = lake.read("node_hour", [T0]).to_pylist()
    borne = sum(int(row["e_facility_burdened_nj"] or 0) for row in hours)
    unborne = sum(int(row["unborne_facility_nj"]) for row in nodes)
    assert f"({borne / 3.6e15:.3f} kWh), and what no job bore ({unborne / 3.6e15:.3f} kWh)" in page
    (grid,) = (r for r in lake.read("meter_hour", [T0]).to_pylist() if r["meter_id"] == "grid")
    assert borne + unborne == int(grid["amount"])
    assert f"{int(grid['amount']) / 3.6e15:.2f} kWh of the" in page
    sums = {(r["place"], r["figure"]): r for r in lake.read("site_hour", [T0]).to_pylist()}
    intake = sums["hall:h1", "intake"]
    assert f"{float(intake['above']) / 3.6e15:.3f} kWh entered hall h1" in page
    assert f"the {float(intake['below']) / 3.6e15:.2f} kWh of IT" in page
    site = sums["site", "pue"]
    value = float(site["above"]) / float(site["below"])
    assert f"PUE of the site was {value:.3f}" in page
    alone = value * chat["te_gpu_out"]
    assert f"J/token is {alone:.3f}" in page
    assert f"needs {jobs['code-8b']['tokenergy']:.3f} J/token" in page
    for low, high in (("te_gpu_low", "te_gpu_high"), ("te_low", "te_high")):
        assert interval(chat[low], chat[high]) in page
