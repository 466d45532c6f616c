"""MIG in the books: an allocation of an instance counts on its board, by its share, and no more."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.ledger import J, ask, assert_checks_pass, booked
from tokenergy_collectors.importers.jobs import import_jobs
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_sql.checks.checking import run_checks

WHOLE = (T0, T0 + 10 * S)
TOLD_TWICE = (T0 + 2 * S, T0 + 6 * S)


def add_board(builder: LakeBuilder, name: str) -> None:
    """Add a node with a board that draws 70 W for 10 s, cut into 3 and 4 sevenths."""
    builder.device(name, node=name)
    builder.power(name, level(70_000, *WHOLE), node=name)
    for sevenths, ppm in ((3, 428_571), (4, 571_429)):
        of: dict[str, Any] = {"index": None, "mig_parent": name, "limit_mw": None, "node": name}
        builder.device(f"{name}-{sevenths}", mig_ppm=ppm, **of)


def add_jobs(builder: LakeBuilder) -> None:
    """Add jobs that hold boards, instances or both, on a board of its own for each case."""
    for board, jobs in {
        "split": [("three", "split-3", WHOLE), ("four", "split-4", WHOLE)],
        "part": [("j", "part", WHOLE), ("j", "part-3", WHOLE)],
        "halved": [("k", "halved", WHOLE), ("k", "halved-3", WHOLE), ("other", "halved", WHOLE)],
        "sum": [("both", "sum-3", WHOLE), ("both", "sum-4", WHOLE), ("both", "sum-3", TOLD_TWICE)],
        "once": [("one", "once-3", WHOLE), ("one", "once-3", TOLD_TWICE)],
    }.items():
        add_board(builder, board)
        for job, device, held in jobs:
            builder.job(job, device, *held, node=board)
    add_board(builder, "free")
    half = {"share_ppm": 500_000, "node": "free"}
    builder.job("half of three", "free-3", T0, T0 + 5 * S, **half)


def add_unknown(builder: LakeBuilder) -> None:
    """Add a board whose instances tell no share, and a job on an instance that nobody knows."""
    builder.device("C", node="C")
    builder.power("C", level(90_000, *WHOLE), node="C")
    for name in ("MIG-x", "MIG-y", "MIG-z"):
        of: dict[str, Any] = {"index": None, "mig_parent": "C", "limit_mw": None, "node": "C"}
        builder.device(name, **of)
    builder.job("third", "MIG-y", *WHOLE, node="C")
    builder.job("nowhere", "MIG-unseen", *WHOLE, node="C")


def add_lowered(builder: LakeBuilder) -> None:
    builder.device("D", node="D", limit_mw=700_000)
    builder.device("D", node="D", limit_mw=300_000, ts_us=T0 + 50 * S)
    builder.power("D", level(600_000, *WHOLE), node="D")
    builder.power("D", level(250_000, T0 + 40 * S, T0 + 60 * S), node="D")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """All boards: nobody who takes them changes them."""
    builder = LakeBuilder(tmp_path_factory.mktemp("mig") / "lake")
    for add in (add_jobs, add_unknown, add_lowered):
        add(builder)
    lake = builder.build()
    assert_checks_pass(lake)
    return lake


@pytest.fixture(scope="module")
def jobs(lake: Lake) -> dict[str, dict[str, Any]]:
    return {row["job_id"]: row for row in ask(lake, "FROM job_index")}


@pytest.fixture(scope="module")
def contended(lake: Lake) -> set[str]:
    """The boards on which jobs contend."""
    (finding,) = run_checks(lake, only=["jobs_do_not_contend"])
    return {row[0] for row in finding.rows}


def of_board(lake: Lake, board: str) -> list[dict[str, Any]]:
    return [row for row in ask(lake, "FROM ledger") if row["node"] == board]


def held(rows: list[dict[str, Any]]) -> dict[str | None, int]:
    """Energy by job, nJ."""
    found: Counter[str | None] = Counter()
    for row in rows:
        found[row["job_id"]] += row["energy_nj"] or 0
    return dict(found)


def codes(row: dict[str, Any]) -> set[str]:
    return set((row["reason_codes"] or "").split(","))


def test_the_board_is_split_and_never_copied(
    lake: Lake, jobs: dict[str, dict[str, Any]], contended: set[str]
) -> None:
    rows = of_board(lake, "split")
    # 428,571 millionths are no full 3/7
    assert held(rows) == {"three": 300 * J - 300_000, "four": 400 * J + 300_000}
    assert {(r["device_id"], r["attribution"]) for r in rows} == {("split", "shared_estimate")}
    for job in ("three", "four"):
        assert (jobs[job]["devices"], jobs[job]["nodes"]) == (1, 1)
        assert "shared_estimate" in jobs[job]["reason_codes"]
    assert "split" not in contended


def test_an_instance_of_a_board_that_the_job_holds_is_a_part_of_it(
    lake: Lake, jobs: dict[str, dict[str, Any]], contended: set[str]
) -> None:
    assert booked(lake)[("active", "j", "samples")] == 700 * J
    assert jobs["j"]["device_us"] == 10 * S
    assert not {"contended", "shared_estimate"} & codes(jobs["j"])
    assert "part" not in contended


def test_a_board_and_its_instance_leave_the_other_job_its_half(
    lake: Lake, jobs: dict[str, dict[str, Any]], contended: set[str]
) -> None:
    assert held(of_board(lake, "halved")) == {"k": 350 * J, "other": 350 * J}
    for job in ("k", "other"):
        assert jobs[job]["device_us"] == 5 * S
        assert "contended" in jobs[job]["reason_codes"]
    assert "halved" in contended


def test_what_no_instance_holds_has_no_job(lake: Lake) -> None:
    rows = of_board(lake, "free")
    half_nj = 350_000_000_000 * 214_285 // 1_000_000
    assert held(rows) == {"half of three": half_nj, None: 700 * J - half_nj}
    assert {(r["account"], r["job_id"], r["method"]) for r in rows} == {
        ("active", "half of three", "samples"),
        ("free_idle", None, "samples"),
    }


def test_a_job_with_both_instances_holds_their_sum(
    lake: Lake, jobs: dict[str, dict[str, Any]]
) -> None:
    """One of them is told twice: it counts once."""
    rows = of_board(lake, "sum")
    assert held(rows) == {"both": 700 * J}
    assert {(r["account"], r["method"]) for r in rows} == {("active", "samples")}
    row = jobs["both"]
    assert (row["devices"], row["device_us"], row["coverage"]) == (1, 10 * S, 1.0)


def test_an_instance_told_twice_is_held_once(lake: Lake) -> None:
    assert booked(lake)[("active", "one", "samples")] == 700 * 428_571 * J // 1_000_000


def test_instances_of_unknown_share_and_unknown_instances(lake: Lake) -> None:
    rows = [row for row in allocations(lake).to_pylist() if row["node"] == "C"]
    shares = {row["job_id"]: row["share_ppm"] for row in rows}
    assert shares == {"third": 333_333, "nowhere": 1_000_000}
    found = {job: nj for job, nj in held(of_board(lake, "C")).items() if job is not None}
    assert found == {"third": 900 * J * 333_333 // 1_000_000}


def test_a_limit_that_was_lowered_still_bounds_what_was_before(lake: Lake) -> None:
    gap = [row for row in of_board(lake, "D") if row["account"] == "gap"]
    assert sum(row["high_nj"] for row in gap) == 30 * 700 * J


def test_an_imported_list_may_name_instances(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    add_board(builder, "n1")
    path = tmp_path / "jobs.csv"
    path.write_text(
        "job_id,node,device,start,end\nthree,n1,n1-3,2026-01-15T08:00:00,2026-01-15T08:00:10\n"
    )
    assert import_jobs(builder.lake, path).written == {"jobs": 1}
    assert import_jobs(builder.lake, path).written == {}
    lake = builder.build()
    assert ("active", "three", "samples") in booked(lake)
    assert lake.read("jobs")["device_id"].to_pylist() == ["n1-3"]
    assert_checks_pass(lake)
