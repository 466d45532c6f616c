"""What restatement, check, explain and diff make of a measured PUE."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.sql.checks.meterbooks import change
from tests.sql.metering.test_planted_site import again
from tests.sql.metering.twohalls import KWH, add_late_grid, booked, jobs_of, site_text
from tests.support.lakes import T0
from tests.support.ledger import assert_checks_pass
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.cli import app
from tokenergy_sql.explain.explain import explanation
from tokenergy_sql.explain.text import print_text


def test_a_late_meter_restates_the_hour_and_its_jobs(tmp_path: Path) -> None:
    text = site_text(halls="", declared=1.25)
    lake = booked(tmp_path, text, lost={"grid": (1, 61)})
    before = jobs_of(lake)["one"]
    assert before["facility_method"] == "declared"
    add_late_grid(lake)
    assert again(lake).causes == {T0: ["meters"]}
    assert jobs_of(lake)["one"]["facility_method"] == "measured"


def test_the_check_finds_a_job_that_bears_too_much(tmp_path: Path) -> None:

    lake = booked(tmp_path, site_text())
    assert_checks_pass(lake)
    change(
        lake,
        "job_hour_index",
        lambda row: row["job_id"] == "one",
        e_facility_burdened_nj=lambda row: row["e_facility_burdened_nj"] + 1,
    )
    (found,) = run_checks(lake, None, ["burden_is_metered"])
    assert [row[1:] for row in found.rows] == [("jobs and idle boards", 390 * KWH + 1, 390 * KWH)]


def test_an_explanation_shows_the_meters_and_computes_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = booked(tmp_path, site_text(), lost={"it-b": (41, 61)})
    shown = explanation(lake, "one")
    assert {row["name"]: row["agrees"] for row in shown["formulas"]} == dict.fromkeys(
        (row["name"] for row in shown["formulas"]), True
    )
    print_text(shown)
    text = capsys.readouterr().out
    assert "PUE: 1.43333 [" in text
    assert "measured by the meters of hall:a, known for 40 min of an hour or more" in text


def test_diff_names_the_meter_and_what_it_moved(tmp_path: Path) -> None:
    text = site_text(halls="", declared=1.25)
    lake = booked(tmp_path, text, lost={"grid": (1, 61)})
    add_late_grid(lake)
    again(lake)
    shown = CliRunner().invoke(app, ["diff", "--lake", str(lake.root)], env={"COLUMNS": "160"})
    assert shown.exit_code == 0
    lines = [line.split() for line in shown.output.splitlines()]
    # 450 W of board and host for half an hour in a1 and in b1, at 1.25 and at 1.3.
    assert ["2,475", "->", "2,574"] in [line[-5:-2] for line in lines]
    (grid,) = [line for line in lines if line[:1] == ["grid"]]
    words = ["-", "->", "383.500", "kWh", "0.000", "->", "98.33"]
    assert [word for word in grid[3:] if word != "│"] == words
