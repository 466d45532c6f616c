"""The days before a window: sums over all their hours, on the page, and without what is damaged."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tests.support.report_reading import charts, job_fields
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.site import Site
from tokenergy_sql.report import build_report, last_hours
from tokenergy_sql.report.facts import read_facts


def rows_of(lake: Lake, table: str) -> list[dict[str, Any]]:
    """Rows of the whole lake, added up in Python: no query of the report has a part in this."""
    rows: list[dict[str, Any]] = lake.read(table).to_pylist()
    return rows


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """From 20:00 on for ten hours: a server all the time, a training run in the first three."""
    builder = LakeBuilder(tmp_path_factory.mktemp("past") / "lake")
    first_us, end_us = T0 + 12 * HOUR_US, T0 + 22 * HOUR_US
    stamps = range(first_us, end_us + 1, 60 * S)
    for index, (device, power_mw) in enumerate((("a", 200_000), ("b", 300_000))):
        builder.device(device, index=index, update_us=60 * S)
        builder.power(device, [(t, power_mw + (t - first_us) // (60 * S)) for t in stamps])
    builder.job("serve", "a", first_us, None)
    builder.job("train", "b", first_us, first_us + 3 * HOUR_US)
    counts = [(t, (t - first_us) // S) for t in stamps]
    builder.tokens("serve", counts, source_id="s", since_us=first_us)
    trained = [(t, 9 * value) for t, value in counts]
    builder.tokens("train", trained, source_id="t", since_us=first_us, kind="trained")
    return builder.build(Site(pue_ppm=1_250_000, host_mw=900_000, node_host_mw={}), 60 * S)


def test_days_are_sums_over_all_their_hours(past: Lake) -> None:
    """From the definition, in Python, for both days and both workloads."""
    facts = read_facts(past, last_hours(past, 2))
    assert {job["job_id"] for job in facts.jobs} == {"serve"}
    assert facts.days is not None
    midnight_us = T0 + 16 * HOUR_US
    days = {row["day_us"]: row for row in facts.days.days}
    assert [row["hours"] for row in days.values()] == [4, 6]
    for day_us, row in days.items():
        booked = [
            line
            for line in rows_of(past, "ledger_hour")
            if (line["hour_us"] >= midnight_us) == (day_us == midnight_us)
        ]
        energy_nj = sum(line["energy_nj"] or 0 for line in booked)
        assert row["energy_j"] == pytest.approx(float(energy_nj) / 1e9, rel=1e-12)
    index = {row["job_id"]: row["workload"] for row in rows_of(past, "job_index")}
    found = {(row["step_us"], row["workload"]): row for row in facts.days.trend}
    sums = {(row["day_us"], row["workload"]): row for row in facts.days.workloads}
    assert len(found) == len(sums) == 3, "nothing was trained on the second day"
    for (day_us, workload), ratio in found.items():
        hours = [
            line
            for line in rows_of(past, "job_hour_index")
            if index[line["job_id"]] == workload
            and (line["hour_us"] >= midnight_us) == (day_us == midnight_us)
        ]
        joint_nj, tokens = (sum(line[n] for line in hours) for n in ("e_joint_nj", "n_joint"))
        assert ratio["gpu"] == pytest.approx(float(joint_nj) / tokens / 1e9, rel=1e-12)
        facility_nj = sum(line["e_joint_facility_nj"] for line in hours)
        assert ratio["facility"] == pytest.approx(float(facility_nj) / tokens / 1e9, rel=1e-12)
        kind = "n_trained" if workload == "training" else "n_generated"
        assert sums[day_us, workload]["tokens"] == sum(line[kind] for line in hours)


def test_days_are_on_the_page_the_latest_first(past: Lake, tmp_path: Path) -> None:
    out = tmp_path / "x.html"
    page = build_report(past, out, findings=[], hours=last_hours(past, 2)).read_text("utf-8")
    [table] = re.findall(r'<caption id="days-caption">.*?</table>', page, re.S)
    shown = re.findall(r'<th scope="row">(.*?)</th>', table)
    assert shown == ["2026-01-16<small>6 h</small>", "2026-01-15<small>4 h</small>"]
    assert "No training job ran." in table
    assert {row["when"] for row in charts(page)["days-inference"]["rows"]} == {
        "2026-01-15 00:00:00",
        "2026-01-16 00:00:00",
    }


def test_a_damaged_file_of_a_day_before_leaves_out_the_days_alone(
    past: Lake, tmp_path: Path
) -> None:
    lake = Lake(shutil.copytree(past.root, tmp_path / "lake"))
    path = lake.files("ledger_hour")[0]
    path.write_bytes(path.read_bytes()[:100])
    page = build_report(lake, tmp_path / "x.html", findings=[], hours=last_hours(lake, 2))
    text = page.read_text("utf-8")
    assert "The days cannot be shown, since one of their files cannot be read" in text
    assert "days-caption" not in text
    assert list(job_fields(text)) == ["serve"]
