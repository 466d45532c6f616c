"""A report of some hours: figures of these hours alone, from the files of these hours alone."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0
from tests.support.report_reading import charts, embedded, job_fields, job_page
from tokenergy_collectors.lake import Lake
from tokenergy_sql.checks.checking import hourly_names
from tokenergy_sql.checks.texts import checks_by_name
from tokenergy_sql.report import build_report, last_hours
from tokenergy_sql.report.facts import Facts, read_facts

WINDOW = range(T0 + HOUR_US, T0 + 3 * HOUR_US, HOUR_US)
END_US = T0 + 3 * HOUR_US


@pytest.fixture(scope="module")
def facts(fleet: Lake) -> Facts:
    return read_facts(fleet, WINDOW)


@pytest.fixture(scope="module")
def text(fleet: Lake, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("window") / "window.html"
    return build_report(fleet, out, hours=WINDOW).read_text("utf-8")


def rows_of(lake: Lake, table: str) -> list[dict[str, Any]]:
    """Rows of the whole lake, narrowed in Python: no query of the report has a part in this."""
    rows: list[dict[str, Any]] = lake.read(table).to_pylist()
    return rows


def in_window(rows: list[dict[str, Any]], stamp: str) -> list[dict[str, Any]]:
    return [row for row in rows if T0 + HOUR_US <= row[stamp] < END_US]


@pytest.fixture(scope="module")
def by_job(fleet: Lake) -> dict[str, list[dict[str, Any]]]:
    """The window's rows of `job_hour_index`, by job."""
    found = defaultdict(list)
    for row in in_window(rows_of(fleet, "job_hour_index"), "hour_us"):
        found[row["job_id"]].append(row)
    return found


@pytest.fixture(scope="module")
def index(fleet: Lake) -> dict[str, dict[str, Any]]:
    return {row["job_id"]: row for row in rows_of(fleet, "job_index")}


def test_jobs_with_a_part_in_the_window_are_there_the_largest_first(
    facts: Facts, by_job: dict[str, list[dict[str, Any]]]
) -> None:
    ids = [job["job_id"] for job in facts.jobs]
    assert sorted(ids) == sorted(by_job)
    assert "7009" not in ids, "began at the window's end"
    assert {"7003", "7019"} <= {*ids}
    energies = [sum(row["e_gpu_nj"] for row in by_job[job_id]) for job_id in ids]
    assert energies == sorted(energies, reverse=True)


def test_a_job_has_the_sums_of_the_windows_hours_and_the_ratios_of_these(
    facts: Facts, by_job: dict[str, list[dict[str, Any]]], index: dict[str, dict[str, Any]]
) -> None:
    known = 0
    for job in facts.jobs:
        hours = by_job[job["job_id"]]
        for name in ("e_gpu_nj", "e_gpu_low_nj", "e_gpu_high_nj", "e_facility_nj", "device_us"):
            assert job[name] == sum(row[name] for row in hours), (job["job_id"], name)
        generated = [row["n_generated"] for row in hours if row["n_generated"] is not None]
        assert job["n_generated"] == (sum(generated) if generated else None)
        if job["te_gpu"] is not None:
            known += 1
            energy_j = Fraction(int(sum(row["e_joint_nj"] for row in hours)), 10**9)
            tokens = sum(row["n_joint"] for row in hours)
            assert job["te_gpu"] == pytest.approx(float(energy_j / tokens), rel=1e-12)
            most = sum(row["n_joint_high"] for row in hours)
            low_j = Fraction(int(sum(row["e_joint_low_nj"] for row in hours)), 10**9)
            assert job["te_gpu_low"] == pytest.approx(float(low_j / most), rel=1e-12)
            assert job["te_gpu_low"] <= job["te_gpu"] <= job["te_gpu_high"]
        assert job["index_version"] == index[job["job_id"]]["index_version"]
        assert job["coverage"] == pytest.approx(
            sum(row["covered_us"] for row in hours) / sum(row["device_us"] for row in hours)
        )
    assert known > 12


@pytest.mark.parametrize("workload", ["inference", "training"])
def test_fleet_figures_are_sums_over_sums_of_the_window(
    facts: Facts,
    by_job: dict[str, list[dict[str, Any]]],
    index: dict[str, dict[str, Any]],
    workload: str,
) -> None:
    """From the definition: energy and tokens of the time in which both are known, of all jobs."""
    hours = [
        row
        for job_id, of_job in by_job.items()
        for row in of_job
        if index[job_id]["workload"] == workload
    ]
    [fleet] = [row for row in facts.league if row["fleet"] and row["workload"] == workload]

    def joint(name: str) -> Fraction:
        return Fraction(int(sum(row[name] or 0 for row in hours)))

    tokens = joint("n_joint")
    assert fleet["tokens"] == float(tokens)
    assert fleet["gpu"] == pytest.approx(float(joint("e_joint_nj") / tokens) / 1e9, rel=1e-12)
    facility = joint("e_joint_facility_nj") / tokens
    assert fleet["facility"] == pytest.approx(float(facility) / 1e9, rel=1e-12)
    most, least = joint("n_joint_high"), joint("n_joint_low")
    low, high = joint("e_joint_low_nj") / most, joint("e_joint_high_nj") / least
    assert fleet["gpu_low"] == pytest.approx(float(low) / 1e9, rel=1e-12)
    assert fleet["gpu_high"] == pytest.approx(float(high) / 1e9, rel=1e-12)
    whole_j = sum(row["e_gpu_j"] for row in index.values() if row["workload"] == workload)
    whole_n = sum(row["n_joint"] or 0 for row in index.values() if row["workload"] == workload)
    assert not math.isclose(fleet["gpu"], whole_j / whole_n, rel_tol=1e-6), "not of whole jobs"


def test_totals_accounts_and_power_are_the_windows_ledger(
    fleet: Lake, facts: Facts, by_job: dict[str, list[dict[str, Any]]], text: str
) -> None:
    booked = in_window(rows_of(fleet, "ledger"), "start_us")
    energy_j = float(sum(row["energy_nj"] or 0 for row in booked)) / 1e9
    assert sum(row["energy_j"] or 0 for row in facts.accounts) == pytest.approx(energy_j)
    drawn = [row for row in charts(text)["power"]["rows"] if not row.get("end")]
    drawn_j = sum(row["total"] * (row["t2"] - row["t"]) for row in drawn)
    assert drawn_j == pytest.approx(energy_j, rel=1e-4)
    assert (drawn[0]["t"], drawn[-1]["t2"]) == (WINDOW[0] // 1000, END_US // 1000)
    hours = [row for of_job in by_job.values() for row in of_job]
    facility_nj = sum(row["e_facility_nj"] for row in hours)
    assert facts.totals["facility_j"] == pytest.approx(float(facility_nj) / 1e9)
    assert facts.totals["n_generated"] == sum(row["n_generated"] or 0 for row in hours)
    assert {row["step_us"] for row in facts.trend} == {*WINDOW}
    assert f'value="{facts.totals["facility_j"]!r}"' in text


def test_the_page_says_which_hours_and_keeps_whole_jobs_apart(
    facts: Facts, text: str, index: dict[str, dict[str, Any]]
) -> None:
    before = sum(job["start_us"] < WINDOW[0] for job in facts.jobs)
    assert 0 < before < len(facts.jobs)
    [line] = re.findall(r'<p class="note">(This report covers.*?)</p>', text)
    plain = re.sub(r"<[^>]*>", "", line).replace("\u202f", " ")
    assert plain.startswith("This report covers the 2 h until 2026-01-15T11:00Z. ")
    assert f"{before} of {len(facts.jobs)} jobs began before it." in plain
    fields = job_fields(text)
    for job_id, cells in fields.items():
        whole = index[job_id]
        assert float(cells["whole_gpu_energy"].raw) == whole["e_gpu_j"]
        te_gpu = whole["te_gpu_out"] if whole["te_gpu_out"] is not None else whole["te_train"]
        assert cells["whole_te_gpu"].raw == ("" if te_gpu is None else repr(te_gpu))
        assert cells["window_start"].raw == "2026-01-15T09:00:00Z"
        assert cells["window_end"].raw == "2026-01-15T11:00:00Z"
    assert float(fields["7001"]["gpu_energy"].raw) < 0.5 * index["7001"]["e_gpu_j"]
    assert ["whole_gpu_energy", ["whole_e_gpu_j", "whole_e_gpu_j_low", "whole_e_gpu_j_high"]] in (
        embedded(text)["csv"]
    )


def test_charts_of_a_job_end_where_the_window_does(
    text: str, facts: Facts, by_job: dict[str, list[dict[str, Any]]]
) -> None:
    for job in facts.jobs:
        page = job_page(text, job["job_id"])
        series = page["series"]
        assert series["start"] >= max(WINDOW[0], job["start_us"]) // 1000
        assert series["end"] <= END_US // 1000
        assert [hour[6] * 1000 for hour in page["hours"]] == sorted(
            row["hour_us"] for row in by_job[job["job_id"]]
        )
        starts = [series["first"] + n * series["step"] for n in range(len(series["active"]))]
        lengths = [
            (min(series["end"], at + series["step"]) - max(series["start"], at)) / 1e3
            for at in starts
        ]
        for kind, name in (("generated", "n_generated"), ("trained", "n_trained")):
            if job[name]:
                rates = series["tokens"][kind]
                drawn = sum(r * s for r, s in zip(rates, lengths, strict=True))
                assert drawn == pytest.approx(job[name], rel=5e-3), job["job_id"]


def test_only_checks_of_hours_are_run_and_the_others_are_named(text: str) -> None:
    shown = re.findall(r"<small><code>(\w+)</code></small>", text)
    assert shown == sorted(hourly_names())
    assert "The checks above examined each of these hours." in text
    [left] = re.findall(r"<p>Not run for this report.*?</p>", text)
    assert re.findall(r"<code>(\w+)</code>", left) == sorted({*checks_by_name()} - {*shown})
    assert "ledger closes: metered = booked" in text


def test_hours_that_were_checked_are_told(fleet: Lake, tmp_path: Path) -> None:
    out = tmp_path / "x.html"
    page = build_report(fleet, out, hours=WINDOW, check_hours=[WINDOW[0]]).read_text("utf-8")
    told = "1 of these 2 hours (2026-01-15 09:00 UTC)"
    assert f"The checks above examined {told}." in page
    assert f"ledger closes in {told}" in page
    for nothing in ({"findings": []}, {"check_hours": [T0]}):
        page = build_report(fleet, out, hours=WINDOW, **nothing).read_text("utf-8")
        assert "No check was run for this report." in page
    assert "ledger not checked" in page
    assert "The checks above" not in page


def test_a_report_of_the_lake_says_nothing_of_a_window(fleet_page: Path) -> None:
    page = fleet_page.read_text("utf-8")
    assert "This report covers" not in page
    assert "hole job</h2>" not in page
    assert "Not run for this report" not in page
    assert not [name for name in embedded(page)["names"] if name.startswith(("whole", "window"))]


def test_a_window_longer_than_the_lake_has_the_figures_of_the_lake(fleet: Lake) -> None:
    """Sums and ratios; bounds of tokens may be wider, since hours have edges of their own."""
    window, whole = read_facts(fleet, last_hours(fleet, 100)), read_facts(fleet)
    assert len(window.jobs) == len(whole.jobs)
    for mine, theirs in zip(window.jobs, whole.jobs, strict=True):
        assert mine["job_id"] == theirs["job_id"]
        for name in ("e_gpu_nj", "e_facility_nj", "n_generated", "te_gpu", "tokenergy"):
            assert mine[name] == theirs[name], (mine["job_id"], name)
        for side in ("te_gpu", "te"):
            if theirs[f"{side}_low"] is not None:
                assert mine[f"{side}_low"] <= theirs[f"{side}_low"]
                assert mine[f"{side}_high"] is None or (
                    mine[f"{side}_high"] >= theirs[f"{side}_high"]
                )
    assert window.accounts == whole.accounts
    assert window.power == whole.power
