"""The indices: formulas by hand, unknown parts, several hours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import ask, assert_checks_pass
from tests.support.serving import serving
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.site import Site

SITE = Site(pue_ppm=1_250_000, host_mw=1_000_000, node_host_mw={})
NO_SITE = Site(None, None, {})


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def alone(
    builder: LakeBuilder, job: str, power_mw: int, seconds: int, held: tuple[int, int]
) -> None:
    """Add a device that is read for some time, on a node of its own, and its job."""
    builder.device(job, node=job, site=job)
    builder.power(job, level(power_mw, T0, T0 + seconds * S), node=job)
    builder.job(job, job, *held, node=job)


def add_others(builder: LakeBuilder) -> None:
    """Add jobs that train, that do both, that have no tokens or no energy."""
    serving(builder, "zero", tokens=0)
    builder.job("silent", "zero B", T0, T0 + 50 * S, node="zero")
    alone(builder, "trains", 500_000, 100, (T0, T0 + 100 * S))
    builder.tokens("trains", [(T0, 0), (T0 + 100 * S, 1_000_000)], kind="trained")
    serving(builder, "both")
    both = [(T0 + 10 * S, 0), (T0 + 60 * S, 9)]
    builder.tokens("both", both, kind="trained", source_id="t")
    serving(builder, "beside dead")
    dead = [(T0 + 20 * S, 0), (T0 + 40 * S, 0)]
    builder.tokens("beside dead", dead, kind="trained", source_id="dead")
    builder.tokens("stranger", [(T0, 0), (T0 + 60 * S, 9)], source_id="s")
    builder.job("unseen", "Z", T0, T0 + 10 * S)


def add_across(builder: LakeBuilder) -> None:
    edge = T0 + HOUR_US
    builder.device("across", node="across", site="across")
    readings = level(123_457, edge - 30 * S, edge + 30 * S, 333_333)
    builder.power("across", readings, node="across")
    builder.job("across", "across", edge - 20 * S, edge + 10 * S, node="across")
    builder.tokens("across", [(edge - 20 * S, 0), (edge + 10 * S, 1_001)], source_id="across")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """All jobs of one site file: nobody who takes them changes them."""
    builder = LakeBuilder(tmp_path_factory.mktemp("jobs") / "lake")
    serving(builder)
    add_others(builder)
    add_across(builder)
    lake = builder.build(SITE)
    assert_checks_pass(lake)
    return lake


Row = dict[str, Any]


@pytest.fixture(scope="module")
def jobs(lake: Lake) -> dict[str, Row]:
    return {row["job_id"]: row for row in ask(lake, "FROM job_index")}


def test_formulas(jobs: dict[str, Row]) -> None:
    job = jobs["j"]
    host = 1_000 * 50 / 2  # the node has two devices; the job held one for 50 s
    assert job["e_gpu_j"] == 10_000
    assert job["e_gpu_active_j"] + job["e_gpu_idle_j"] == job["e_gpu_j"]
    assert job["e_host_j"] == host
    assert job["e_it_j"] == 10_000 + host
    assert job["e_facility_j"] == 1.25 * (10_000 + host)
    assert job["te_gpu_out"] == pytest.approx(10_000 / 5_000, rel=1e-15)
    assert job["te_gpu_total"] == pytest.approx(10_000 / 10_000, rel=1e-15)
    assert job["te_gpu_total_uncached"] == pytest.approx(10_000 / 8_000, rel=1e-15)
    assert job["te_train"] is None
    assert job["tokenergy"] == pytest.approx(1.25 * 35_000 / 5_000, rel=1e-15)
    assert job["tokens_per_kwh"] == pytest.approx(3.6e6 / job["tokenergy"], rel=1e-15)
    assert job["boundary_ratio"] == pytest.approx(43_750 / job["e_gpu_active_j"], rel=1e-15)
    assert job["te_low"] < job["tokenergy"] < job["te_high"]
    assert job["te_gpu_low"] < job["te_gpu_out"] < job["te_gpu_high"]
    assert job["measured_share"] == pytest.approx(10_000 / 43_750)
    assert (job["coverage"], job["max_gap_s"], job["emulated"]) == (1.0, 0.1, True)
    assert (job["host_method"], job["facility_method"]) == ("declared", "declared")
    assert (job["workload"], job["gpu"], job["devices"], job["nodes"]) == (
        "inference",
        "board",
        1,
        1,
    )
    assert (job["name"], job["user"], job["account"], job["model"]) == ("chat", "u", "a", "m")
    assert job["reason_codes"] == ""


def test_what_is_not_measured_is_null_and_so_is_all_above(builder: LakeBuilder) -> None:
    serving(builder)
    (job,) = ask(builder.build(NO_SITE), "SELECT * FROM job_index")
    for name in ("e_host_j", "e_it_j", "e_facility_j", "tokenergy", "te_low", "te_high"):
        assert job[name] is None
    assert job["te_gpu_out"] is not None
    assert (job["host_method"], job["facility_method"]) == ("none", "none")
    assert job["reason_codes"] == "no_host_power"


def test_host_power_without_pue_reaches_it_only(builder: LakeBuilder) -> None:
    serving(builder)
    (job,) = ask(builder.build(Site(None, 1_000_000, {})), "SELECT * FROM job_index")
    assert job["e_it_j"] == 35_000
    assert job["e_facility_j"] is None
    assert job["reason_codes"] == "no_pue"


def test_zero_tokens_and_no_tokens(jobs: dict[str, Row]) -> None:
    rows = [jobs["zero"], jobs["silent"]]
    assert [(r["tokenergy"], r["reason_codes"]) for r in rows] == [
        (None, "zero_tokens"),
        (None, "no_tokens"),
    ]
    assert rows[0]["n_generated"] == 0
    assert rows[1]["n_generated"] is None


def test_training_is_its_own_index(jobs: dict[str, Row]) -> None:
    job = jobs["trains"]
    assert job["workload"] == "training"
    assert job["te_train"] == pytest.approx(0.05, rel=1e-15)
    assert job["te_gpu_out"] is None
    assert job["tokenergy"] == pytest.approx(1.25 * (50_000 + 100_000) / 1e6, rel=1e-15)


def test_a_job_that_trains_and_serves_has_no_index(jobs: dict[str, Row]) -> None:
    job = jobs["both"]
    assert (job["workload"], job["tokenergy"]) == ("mixed", None)
    assert (job["te_gpu_out"], job["te_train"]) == (None, None)
    assert job["reason_codes"] == "mixed_workload"


def test_tokens_without_energy_and_energy_without_a_job(jobs: dict[str, Row]) -> None:
    assert jobs["stranger"]["n_generated"] == 9
    assert (jobs["stranger"]["e_gpu_j"], jobs["stranger"]["reason_codes"]) == (
        *(None, "no_allocation"),
    )
    assert jobs["unseen"]["reason_codes"] == "no_energy,no_tokens"
    served = {"j", "zero", "silent", "trains", "both", "beside dead", "across"}
    assert set(jobs) == {*served, "stranger", "unseen"}


def test_a_running_job_says_so(builder: LakeBuilder) -> None:
    builder.device("A")
    builder.power("A", level(200_000, T0, T0 + 60 * S))
    builder.job("j", "A", T0 + 10 * S, None)
    builder.tokens("j", [(T0 + 10 * S, 0), (T0 + 50 * S, 100)])
    (job,) = ask(builder.build(SITE), "SELECT * FROM job_index")
    assert (job["e_gpu_j"], job["end_us"]) == (10_000, None)
    # the counter was not read in the last 10 of the 50 s
    assert job["reason_codes"] == "partial_tokens,running"
    assert (job["token_coverage"], job["joint_coverage"]) == (0.8, 0.8)
    assert job["te_gpu_out"] == pytest.approx(200 * 40 / 100)


def test_hours_add_up_to_the_job(lake: Lake, jobs: dict[str, Row]) -> None:
    job = jobs["across"]
    rows = ask(lake, "SELECT * FROM job_hour_index ORDER BY hour_us")
    hours = [row for row in rows if row["job_id"] == "across"]
    assert [h["hour_us"] for h in hours] == [T0, T0 + HOUR_US]
    for name in ("e_gpu_nj", "e_host_nj", "e_facility_nj", "device_us", "n_generated"):
        assert sum(h[name] for h in hours) == job[name], name
    assert job["e_gpu_nj"] == pytest.approx(30 * 123_457 * S, abs=100)
    assert job["coverage"] == 1.0  # the pair of readings across the hour's edge counts in both


def test_bounds_are_those_of_the_kind_that_counts(jobs: dict[str, Row]) -> None:
    job = jobs["beside dead"]
    assert (job["workload"], job["n_low"], job["n_high"]) == ("inference", 5_000, 5_000)


HOSTILE = ["a'; DROP TABLE ledger; --", "../../etc/passwd", 'q"uo,te\n', "ünïcode 🔌", "", "<b>x"]


def test_hostile_names_are_data(builder: LakeBuilder) -> None:
    names = [name for name in HOSTILE if name]
    for number, name in enumerate(names):
        node = f"../n{number}/'x"
        builder.device(name, node=node, index=0)
        builder.power(name, level(100_000, T0, T0 + 10 * S), node=node)
        builder.job(name, name, T0, T0 + 10 * S, node=node)
    lake = builder.build(SITE)
    found = {r["job_id"]: r["e_gpu_j"] for r in ask(lake, "SELECT job_id, e_gpu_j FROM job_index")}
    assert found == dict.fromkeys(names, 1_000.0)
    assert_checks_pass(lake)
    outside = [p for p in lake.root.parent.rglob("*") if p.is_file() and lake.root not in p.parents]
    assert outside == []


def test_a_running_job_through_an_unwatched_hour(builder: LakeBuilder) -> None:
    """Hour 1 has no reading at all; the job held its device through it, and the bounds say so."""
    builder.device("A", limit_mw=700_000)
    for hour in (0, 2):
        at = T0 + hour * HOUR_US
        builder.power("A", level(300_000, at, at + HOUR_US - S, S))
    builder.job("j", "A", T0, None)
    builder.tokens("j", [(T0, 0), (T0 + 3 * HOUR_US - S, 10_000)])
    lake = builder.build(SITE)
    (job,) = ask(lake, "SELECT * FROM job_index")
    assert job["coverage"] == pytest.approx(2 / 3, abs=1e-3)
    assert job["e_gpu_high_nj"] >= (2 * 300 + 700) * 3_590 * 10**9
    assert "gap" in job["reason_codes"]
    assert_checks_pass(lake)
