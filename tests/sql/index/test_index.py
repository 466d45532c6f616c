"""The indices: formulas by hand, unknown parts, several hours, corrected inputs, same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import ask, assert_checks_pass
from tokenergy_sql.index import hour as hourly
from tokenergy_sql.index.site import Constants, Site

SITE = Site(pue_ppm=1_250_000, host_mw=1_000_000, node_host_mw={})
NO_SITE = Site(None, None, {})


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def serving(builder: LakeBuilder, *, tokens: int = 5_000) -> None:
    """One of two devices at 200 W for 100 s, held for 50 s by a job that makes some tokens."""
    for number, name in enumerate("AB"):
        builder.device(name, index=number)
        builder.power(name, level(200_000, T0, T0 + 100 * S))
    builder.job("j", "A", T0 + 10 * S, T0 + 60 * S, name="chat", user="u", account="a")
    builder.tokens("j", [(T0 + 10 * S, 0), (T0 + 60 * S, tokens)])
    builder.tokens("j", [(T0 + 10 * S, 0), (T0 + 60 * S, 3_000)], kind="prompt_computed")
    builder.tokens("j", [(T0 + 10 * S, 0), (T0 + 60 * S, 2_000)], kind="prompt_cached")


def test_formulas(builder: LakeBuilder) -> None:
    serving(builder)
    lake = builder.build(SITE)
    (job,) = ask(lake, "SELECT * FROM job_index")
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
    assert_checks_pass(lake)


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


def test_zero_tokens_and_no_tokens(builder: LakeBuilder) -> None:
    serving(builder, tokens=0)
    builder.job("silent", "B", T0, T0 + 50 * S)
    rows = ask(builder.build(SITE), "SELECT * FROM job_index ORDER BY job_id")
    assert [(r["tokenergy"], r["reason_codes"]) for r in rows] == [
        (None, "zero_tokens"),
        (None, "no_tokens"),
    ]
    assert rows[0]["n_generated"] == 0
    assert rows[1]["n_generated"] is None


def test_training_is_its_own_index(builder: LakeBuilder) -> None:
    builder.device("A")
    builder.power("A", level(500_000, T0, T0 + 100 * S))
    builder.job("t", "A", T0, T0 + 100 * S)
    builder.tokens("t", [(T0, 0), (T0 + 100 * S, 1_000_000)], kind="trained")
    (job,) = ask(builder.build(SITE), "SELECT * FROM job_index")
    assert job["workload"] == "training"
    assert job["te_train"] == pytest.approx(0.05, rel=1e-15)
    assert job["te_gpu_out"] is None
    assert job["tokenergy"] == pytest.approx(1.25 * (50_000 + 100_000) / 1e6, rel=1e-15)


def test_a_job_that_trains_and_serves_has_no_index(builder: LakeBuilder) -> None:
    serving(builder)
    builder.tokens("j", [(T0 + 10 * S, 0), (T0 + 60 * S, 9)], kind="trained", source_id="t")
    (job,) = ask(builder.build(SITE), "SELECT * FROM job_index")
    assert (job["workload"], job["tokenergy"]) == ("mixed", None)
    assert (job["te_gpu_out"], job["te_train"]) == (None, None)
    assert job["reason_codes"] == "mixed_workload"


def test_tokens_without_energy_and_energy_without_a_job(builder: LakeBuilder) -> None:
    serving(builder)
    builder.tokens("stranger", [(T0, 0), (T0 + 60 * S, 9)], source_id="s")
    builder.job("unseen", "Z", T0, T0 + 10 * S)
    lake = builder.build(SITE)
    rows = {r["job_id"]: r for r in ask(lake, "SELECT * FROM job_index")}
    assert set(rows) == {"j", "stranger", "unseen"}
    assert rows["stranger"]["n_generated"] == 9
    assert (rows["stranger"]["e_gpu_j"], rows["stranger"]["reason_codes"]) == (None, "no_energy")
    assert rows["unseen"]["reason_codes"] == "no_energy,no_tokens"
    assert_checks_pass(lake)


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


def test_hours_add_up_to_the_job(builder: LakeBuilder) -> None:
    edge = T0 + HOUR_US
    builder.device("A")
    builder.power("A", level(123_457, edge - 30 * S, edge + 30 * S, 333_333))
    builder.job("j", "A", edge - 20 * S, edge + 10 * S)
    builder.tokens("j", [(edge - 20 * S, 0), (edge + 10 * S, 1_001)])
    lake = builder.build(SITE)
    hours = ask(lake, "SELECT * FROM job_hour_index ORDER BY hour_us")
    (job,) = ask(lake, "SELECT * FROM job_index")
    assert [h["hour_us"] for h in hours] == [T0, edge]
    for name in ("e_gpu_nj", "e_host_nj", "e_facility_nj", "device_us", "n_generated"):
        assert sum(h[name] for h in hours) == job[name], name
    assert job["e_gpu_nj"] == pytest.approx(30 * 123_457 * S, abs=100)
    assert job["coverage"] == 1.0  # the pair of readings across the hour's edge counts in both
    assert_checks_pass(lake)


def files_of(builder: LakeBuilder) -> dict[str, bytes]:
    root = builder.lake.root
    return {
        str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()
    }


def test_running_again_changes_no_byte(builder: LakeBuilder) -> None:
    serving(builder)
    builder.build(SITE)
    before = files_of(builder)
    builder.build(SITE)
    assert files_of(builder) == before


def test_a_corrected_job_list_restates_the_past(builder: LakeBuilder) -> None:
    serving(builder)
    builder.build(SITE)
    builder.job("j", "A", T0 + 10 * S, T0 + 30 * S, recorded_us=T0 + 1)
    (job,) = ask(builder.build(SITE), "SELECT e_gpu_j FROM job_index")
    assert job["e_gpu_j"] == 4_000


def test_digest_follows_inputs_and_site(builder: LakeBuilder) -> None:
    serving(builder)
    sql = "SELECT inputs_digest FROM job_index"
    first = ask(builder.build(SITE), sql)
    corrected = replace(SITE, periods=((T0, Constants(1_300_000, None, {})),))
    back = replace(SITE, periods=((T0, Constants(1_250_000, None, {})),))
    assert ask(builder.build(corrected), sql) != first
    assert ask(builder.build(back), sql) == first
    builder.power("A", level(200_000, T0 + 101 * S, T0 + 102 * S))
    assert ask(builder.build(SITE), sql) != first


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


def test_bounds_are_those_of_the_kind_that_counts(builder: LakeBuilder) -> None:
    serving(builder)
    builder.tokens("j", [(T0 + 20 * S, 0), (T0 + 40 * S, 0)], kind="trained", source_id="dead")
    (job,) = ask(builder.build(SITE), "SELECT * FROM job_index")
    assert (job["workload"], job["n_low"], job["n_high"]) == ("inference", 5_000, 5_000)


def test_what_has_lost_its_reason_goes(builder: LakeBuilder) -> None:
    serving(builder)
    builder.tokens("other", [(T0 + 5 * HOUR_US, 0), (T0 + 5 * HOUR_US + S, 9)], source_id="o")
    lake = builder.build(SITE)
    assert len(lake.hours("job_hour_index")) == 2
    for path in lake.files("tokens", [T0 + 5 * HOUR_US]):
        path.unlink()
    builder.build(SITE)
    assert lake.hours("job_hour_index") == [T0]
    assert [r["job_id"] for r in ask(lake, "SELECT job_id FROM job_index")] == ["j"]


def test_the_models_of_an_hour_get_the_tokens_of_that_hour_alone(
    builder: LakeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[set[int]] = []
    store_rows = hourly.store_rows

    def noted(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
        if name == "token_usage":
            stored.append(set(rows["hour_us"].to_pylist()))
        store_rows(con, name, rows)

    monkeypatch.setattr(hourly, "store_rows", noted)
    builder.device("A")
    builder.power("A", level(200_000, T0, T0 + 3 * HOUR_US, 10 * S))
    builder.job("j", "A", T0, T0 + 3 * HOUR_US)
    builder.tokens("j", [(T0, 0), (T0 + 3 * HOUR_US, 3_000)])
    lake = builder.build()
    assert stored == [{T0}, {T0 + HOUR_US}, {T0 + 2 * HOUR_US}]
    workloads = ask(lake, "SELECT DISTINCT workload, n_generated FROM job_index")
    assert workloads == [{"workload": "inference", "n_generated": 3_000}]
