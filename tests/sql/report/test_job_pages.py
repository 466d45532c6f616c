"""The pages of the jobs: what is drawn over time adds up to what the index says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.report_fleet import JOBS
from tests.support.report_reading import embedded, job_fields, job_page
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.report import build_report
from tokenergy_sql.report.facts import read_facts
from tokenergy_sql.report.format import significant
from tokenergy_transforms.loadprofile import profile


@pytest.fixture(scope="module")
def text(fleet_page: Path) -> str:
    return fleet_page.read_text("utf-8")


def seconds(series: dict[str, Any]) -> list[float]:
    """Return the length of each step, clipped to the job."""
    starts = [series["first"] + place * series["step"] for place in range(len(series["active"]))]
    return [
        (min(series["end"], at + series["step"]) - max(series["start"], at)) / 1e3 for at in starts
    ]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.job_id)
def test_power_over_time_is_the_energy_of_the_job(text: str, job: Any) -> None:
    series = job_page(text, job.job_id)["series"]
    drawn_j = sum(
        (active + idle) * length
        for active, idle, length in zip(
            series["active"], series["idle"], seconds(series), strict=True
        )
        if active is not None
    )
    energy_j = float(job_fields(text)[job.job_id]["gpu_energy"].raw)
    assert drawn_j == pytest.approx(energy_j, rel=2e-3)


@pytest.mark.parametrize("job", [j for j in JOBS if j.rate], ids=lambda job: job.job_id)
def test_tokens_over_time_are_the_tokens_of_the_job(text: str, job: Any) -> None:
    series = job_page(text, job.job_id)["series"]
    rates = series["tokens"][job.kind]
    drawn = sum(rate * length for rate, length in zip(rates, seconds(series), strict=True))
    assert drawn == pytest.approx(float(job_fields(text)[job.job_id]["tokens"].raw), rel=2e-3)


def test_between_two_readings_tokens_are_spread_evenly(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "sparse")
    builder.device("d", update_us=S)
    builder.power("d", level(300_000, T0, T0 + 1260 * S, S))
    builder.job("j", "d", T0 + 5 * S, T0 + 1205 * S)
    # 3 tokens a second, read every 45 s; at 900 s the server restarts.
    counts = [(T0 + s * S, 3 * (s % 900)) for s in range(0, 1261, 45)]
    builder.tokens("j", counts, epochs={ts: int(ts >= T0 + 900 * S) for ts, _ in counts})
    page = build_report(builder.build(), tmp_path / "x.html", findings=[]).read_text("utf-8")
    series = job_page(page, "j")["series"]
    assert series["step"] == 10_000
    assert len(series["tokens"]["generated"]) == 121
    # What was made between 855 s and 900 s was never read.
    assert series["tokens"]["generated"] == [3] * 85 + [1.5] + [0] * 4 + [3] * 31
    assert series["te"][:85] == [100] * 85


def test_hours_are_those_of_the_index(fleet: Lake, text: str) -> None:
    with catalog.connect(fleet) as con:
        hours = con.sql(
            "SELECT job_id, hour_us, coalesce(te_gpu_out, te_train), tokenergy "
            "FROM job_hour_index ORDER BY job_id, hour_us"
        ).fetchall()
    assert len(hours) > 50
    shown = {
        (job.job_id, hour[6] * 1000): hour[8]
        for job in JOBS
        for hour in job_page(text, job.job_id)["hours"]
    }
    assert len(shown) == len(hours)
    for job_id, hour_us, gpu, facility in hours:
        values = shown[job_id, hour_us]
        assert values[0] == (None if gpu is None else pytest.approx(gpu, rel=1e-3))
        assert values[3] == (None if facility is None else pytest.approx(facility, rel=1e-3))


def test_many_hours_are_merged_as_sums_over_sums(
    fleet: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenergy_sql.report.facts.MOST_HOURS", 2)
    merged = read_facts(fleet).of_job.hours["7005"]
    with catalog.connect(fleet) as con:
        [job] = con.sql(
            "SELECT e_gpu_j, n_generated FROM job_index WHERE job_id = '7005'"
        ).fetchall()
        [low] = con.execute(
            "SELECT sum(e_gpu_low_nj)::DOUBLE / 1e9 / sum(n_high)::DOUBLE FROM job_hour_index "
            "WHERE job_id = '7005' AND hour_us < ?",
            [T0 + 3 * 3600 * S],
        ).fetchall()
    assert [row["length_us"] for row in merged] == [3 * 3600 * 10**6] * 2
    assert merged[0]["at_us"] == T0
    assert sum(row["gpu_j"] for row in merged) == pytest.approx(job[0])
    assert sum(row["tokens"] for row in merged) == job[1]
    assert merged[0]["gpu"] == pytest.approx(merged[0]["gpu_j"] / merged[0]["tokens"])
    assert merged[0]["gpu_low"] == pytest.approx(low[0])


def test_steps_of_an_hour_come_from_the_hourly_ledger(
    fleet: Lake, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokenergy_sql.report.facts.DETAILED_JOBS", 0)
    monkeypatch.setattr("tokenergy_sql.report.facts.FEW_POINTS", 5)
    coarse = read_facts(fleet).of_job
    assert coarse.steps["7001"]["step_us"] == 3600 * 10**6
    energy_j = sum(row["active_j"] + row["idle_j"] for row in coarse.power["7001"])
    fields = job_fields(text)["7001"]
    assert energy_j == pytest.approx(float(fields["gpu_energy"].raw))
    tokens = sum(row["tokens"] for row in coarse.tokens["7001"])
    assert tokens == float(fields["tokens"].raw)


def test_accounts_gaps_and_files_of_a_job(text: str) -> None:
    distil = job_page(text, "7015")
    assert set(distil["accounts"]) == {"active", "gap"}
    assert max(distil["series"]["unknown"]) == pytest.approx(0.25, abs=0.01)
    assert job_page(text, "7001")["series"]["unknown"] == []
    assert distil["files"]["more"] == 0
    [[node, places, span, names, count]] = distil["files"]["listed"]
    assert (node, span, names) == ("gpu-c", "5 h", "gpu-c-*.parquet")
    assert places == "date=2026-01-15/hour=08 … date=2026-01-15/hour=12"
    assert int(count) == 8 * 5


def test_every_code_has_a_meaning(text: str) -> None:
    data = embedded(text)
    codes = set()
    for fields in job_fields(text).values():
        codes |= {*fields["remarks"].raw.split(","), *fields["method"].raw.split("+")} - {""}
    assert {"disputed", "gap", "running", "zero_tokens", "no_tokens", "counter"} <= codes
    assert codes <= set(data["meanings"])


def test_load_profile_is_shown_where_there_is_one(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "swings")
    builder.device("d", update_us=S)
    stamps = [ts for ts, _ in level(0, T0, T0 + 600 * S, S)]
    builder.power("d", [(t, 600_000 if (t - T0) // (5 * S) % 2 else 200_000) for t in stamps])
    builder.job("j", "d", T0, T0 + 600 * S)
    lake = builder.build()
    plain = build_report(lake, tmp_path / "plain.html", findings=[]).read_text("utf-8")
    assert job_page(plain, "j")["load"] == []
    profile.profile_hour(lake, T0, ("job",), S, "cpu")
    text = build_report(lake, tmp_path / "x.html", findings=[]).read_text("utf-8")
    shown = dict(job_page(text, "j")["load"])
    [row] = lake.read("load_profile").to_pylist()
    assert shown["Steepest rise within 1 s, kW"] == significant(row["up_1s_mw"] / 1e6) == "0.200"
    assert shown["Largest swing in an hour, kW"] == significant(row["swing_mw"] / 1e6) == "0.400"
    assert float(shown["Strongest period, s"]) == pytest.approx(10, rel=0.05)
