"""Which files a report of some hours opens; hours without a job, and hours that are not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.report_reading import embedded
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import hour_of_path, table_of
from tokenergy_sql.report import build_report, last_hours
from tokenergy_sql.report.facts import read_facts

WINDOW = range(T0 + HOUR_US, T0 + 3 * HOUR_US, HOUR_US)
END_US = T0 + 3 * HOUR_US


def test_no_file_of_another_hour_is_opened(fleet: Lake, tmp_path: Path) -> None:
    """All others are damaged: whoever opens one fails, or moves it to quarantine."""
    lake = Lake(shutil.copytree(fleet.root, tmp_path / "lake"))
    out = tmp_path / "x.html"
    whole = build_report(lake, out, findings=[], hours=WINDOW).read_bytes()
    damaged = [
        path
        for table in TABLES
        for path in lake.files(table)
        if not _may_be_read(table, hour_of_path(path))
    ]
    assert {table_of(path) for path in damaged} >= {
        *("power", "tokens", "ledger", "ledger_hour", "job_hour_index", "jobs", "device"),
    }
    for path in damaged:
        path.write_bytes(b"not Parquet")
    again = build_report(Lake(lake.root), out, findings=[], hours=WINDOW).read_bytes()
    assert again == whole
    assert all(path.read_bytes() == b"not Parquet" for path in damaged)


def _may_be_read(table: str, hour_us: int) -> bool:
    if table == "tokens":  # a counter is read on both sides of an edge
        return WINDOW[0] - HOUR_US <= hour_us <= END_US
    if table in ("job_index", "ledger_hour", "job_hour_index"):  # the oldest job; days before
        return hour_us < END_US
    return hour_us in WINDOW and table not in ("jobs", "device", "segment", "state")


def test_a_job_that_began_long_before_is_found(
    fleet: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first chunk, and each that follows, holds one file, two, four ..."""
    monkeypatch.setattr("tokenergy_sql.report.window._FIRST_CHUNK", 1)
    late = range(T0 + 4 * HOUR_US, T0 + 5 * HOUR_US, HOUR_US)
    found = {job["job_id"] for job in read_facts(fleet, late).jobs}
    wanted = {
        row["job_id"]
        for row in fleet.read("job_hour_index").to_pylist()
        if row["hour_us"] == late[0]
    }
    assert found == wanted
    assert "7001" in found


def test_the_last_hours_end_with_the_latest_booked_one(fleet: Lake, tmp_path: Path) -> None:
    assert last_hours(fleet, 2) == range(T0 + 3 * HOUR_US, T0 + 5 * HOUR_US, HOUR_US)
    with pytest.raises(UserError, match=r"^lake .*empty: has no ledger_hour; run .*$"):
        last_hours(Lake(tmp_path / "empty", create=True), 2)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A job in the first hour; a board without a job in the second; nothing in the third."""
    builder = LakeBuilder(tmp_path_factory.mktemp("quiet") / "lake")
    builder.device("d", update_us=30 * S)
    builder.power("d", level(100_000, T0, T0 + 2 * HOUR_US, 30 * S))
    builder.job("j", "d", T0, T0 + 60 * S)
    return builder.build(window_us=30 * S)


def test_hours_without_a_job_have_a_page(quiet: Lake, tmp_path: Path) -> None:
    page = build_report(quiet, tmp_path / "x.html", hours=last_hours(quiet, 1)).read_text("utf-8")
    assert embedded(page)["ids"] == []
    assert "No job ran." in page
    assert "free idle <strong>100 %</strong>" in page


def test_hours_that_the_lake_does_not_have_are_one_line(quiet: Lake, tmp_path: Path) -> None:
    later = range(T0 + 24 * HOUR_US, T0 + 26 * HOUR_US, HOUR_US)
    line = (
        r"^lake .*: has no books of the hours 2026-01-16T08 to 2026-01-16T09; "
        r"its books have 2026-01-15T08 to 2026-01-15T09$"
    )
    with pytest.raises(UserError, match=line):
        build_report(quiet, tmp_path / "x.html", hours=later)
    assert not (tmp_path / "x.html").exists()


def test_hours_of_jobs_without_an_index_are_one_line(quiet: Lake, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(quiet.root, tmp_path / "lake"))
    for hour_us in lake.hours("job_index"):
        lake.remove("job_index", hour_us, "job_index")
    with pytest.raises(UserError, match=r"^lake .*: has no job_index; run .*$"):
        build_report(lake, tmp_path / "x.html", hours=last_hours(lake, 2))
