"""MIG in the books: an allocation of an instance counts on its board, by its share, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.ledger import J, ask, assert_checks_pass, booked
from tokenergy_collectors.importers.jobs import import_jobs
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_sql.checks.checking import run_checks


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    """A board that draws 70 W for 10 s, cut into 3 and 4 sevenths; and one that tells no share."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("B")
    builder.power("B", level(70_000, T0, T0 + 10 * S))
    for name, ppm in (("MIG-3", 428_571), ("MIG-4", 571_429)):
        builder.device(name, index=None, mig_parent="B", mig_ppm=ppm, limit_mw=None)
    return builder


def test_the_board_is_split_and_never_copied(builder: LakeBuilder) -> None:
    builder.job("three", "MIG-3", T0, T0 + 10 * S)
    builder.job("four", "MIG-4", T0, T0 + 10 * S)
    lake = builder.build()
    found = {job: nj for (_, job, _), nj in booked(lake).items()}
    assert sum(nj or 0 for nj in found.values()) == 700 * J
    assert found["three"] == 300 * J - 300_000  # 428,571 millionths are no full 3/7
    assert found["four"] == 400 * J + 300_000
    rows = ask(lake, "SELECT DISTINCT device_id, attribution FROM ledger")
    assert rows == [{"device_id": "B", "attribution": "shared_estimate"}]
    jobs = ask(lake, "SELECT job_id, devices, nodes, gpu, reason_codes FROM job_index ORDER BY 1")
    assert [(j["job_id"], j["devices"], j["nodes"]) for j in jobs] == [
        ("four", 1, 1),
        ("three", 1, 1),
    ]
    assert all("shared_estimate" in j["reason_codes"] for j in jobs)
    assert_checks_pass(lake)
    assert not [f for f in run_checks(lake) if f.rows and f.name == "jobs_do_not_contend"]


def test_an_instance_of_a_board_that_the_job_holds_is_a_part_of_it(builder: LakeBuilder) -> None:
    for name in ("B", "MIG-3"):
        builder.job("j", name, T0, T0 + 10 * S)
    lake = builder.build()
    assert booked(lake)[("active", "j", "samples")] == 700 * J
    (row,) = ask(lake, "SELECT device_us, reason_codes FROM job_index")
    assert row["device_us"] == 10 * S
    assert not {"contended", "shared_estimate"} & set((row["reason_codes"] or "").split(","))
    assert_checks_pass(lake)
    assert not [f for f in run_checks(lake) if f.rows and f.name == "jobs_do_not_contend"]


def test_a_board_and_its_instance_leave_the_other_job_its_half(builder: LakeBuilder) -> None:
    for name in ("B", "MIG-3"):
        builder.job("j", name, T0, T0 + 10 * S)
    builder.job("other", "B", T0, T0 + 10 * S)
    lake = builder.build()
    found = {job: nj for (_, job, _), nj in booked(lake).items()}
    assert found == {"j": 350 * J, "other": 350 * J}
    rows = ask(lake, "SELECT device_us, reason_codes FROM job_index")
    assert [row["device_us"] for row in rows] == [5 * S, 5 * S]
    assert all("contended" in row["reason_codes"] for row in rows)


def test_what_no_instance_holds_has_no_job(builder: LakeBuilder) -> None:
    builder.job("three", "MIG-3", T0, T0 + 5 * S, share_ppm=500_000)
    lake = builder.build()
    found = booked(lake)
    half_nj = 350_000_000_000 * 214_285 // 1_000_000
    assert found[("active", "three", "samples")] == half_nj
    assert found[("free_idle", None, "samples")] == 700 * J - half_nj
    assert_checks_pass(lake)


def test_a_job_with_both_instances_holds_their_sum(builder: LakeBuilder) -> None:
    for name in ("MIG-3", "MIG-4"):
        builder.job("both", name, T0, T0 + 10 * S)
    builder.job("both", "MIG-3", T0 + 2 * S, T0 + 6 * S)  # told twice: counts once
    lake = builder.build()
    assert booked(lake) == {("active", "both", "samples"): 700 * J}
    (row,) = ask(lake, "SELECT devices, device_us, coverage FROM job_index")
    assert row == {"devices": 1, "device_us": 10 * S, "coverage": 1.0}
    assert_checks_pass(lake)


def test_an_instance_told_twice_is_held_once(builder: LakeBuilder) -> None:
    builder.job("one", "MIG-3", T0, T0 + 10 * S)
    builder.job("one", "MIG-3", T0 + 2 * S, T0 + 6 * S)
    lake = builder.build()
    assert booked(lake)[("active", "one", "samples")] == 700 * 428_571 * J // 1_000_000
    assert_checks_pass(lake)


def test_instances_of_unknown_share_and_unknown_instances(builder: LakeBuilder) -> None:
    builder.device("C", index=1)
    builder.power("C", level(90_000, T0, T0 + 10 * S))
    for name in ("MIG-x", "MIG-y", "MIG-z"):
        builder.device(name, index=None, mig_parent="C", limit_mw=None)
    builder.job("third", "MIG-y", T0, T0 + 10 * S)
    builder.job("nowhere", "MIG-unseen", T0, T0 + 10 * S)
    lake = builder.build()
    shares = {row["job_id"]: row["share_ppm"] for row in allocations(lake).to_pylist()}
    assert shares == {"third": 333_333, "nowhere": 1_000_000}
    found = {job: nj for (_, job, _), nj in booked(lake).items() if job is not None}
    assert found == {"third": 900 * J * 333_333 // 1_000_000}
    assert_checks_pass(lake)


def test_an_imported_list_may_name_instances(builder: LakeBuilder, tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(
        "job_id,node,device,start,end\nthree,n1,MIG-3,2026-01-15T08:00:00,2026-01-15T08:00:10\n"
    )
    assert import_jobs(builder.lake, path).written == {"jobs": 1}
    assert import_jobs(builder.lake, path).written == {}
    lake = builder.build()
    assert ("active", "three", "samples") in booked(lake)
    assert lake.read("jobs")["device_id"].to_pylist() == ["MIG-3"]
    assert_checks_pass(lake)


def test_a_limit_that_was_lowered_still_bounds_what_was_before(builder: LakeBuilder) -> None:
    builder.device("D", index=2, limit_mw=700_000)
    builder.device("D", index=2, limit_mw=300_000, ts_us=T0 + 50 * S)
    builder.power("D", level(600_000, T0, T0 + 10 * S))
    builder.power("D", level(250_000, T0 + 40 * S, T0 + 60 * S))
    lake = builder.build()
    (gap,) = ask(
        lake,
        "SELECT sum(high_nj)::BIGINT AS high FROM ledger WHERE account = 'gap' AND device_id = 'D'",
    )
    assert gap["high"] == 30 * 700 * J
    assert_checks_pass(lake)
