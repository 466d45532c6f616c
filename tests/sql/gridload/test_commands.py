"""`load-profile --from`, `swings` and `comply` as a user runs them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.sql.gridload.staged import board, lake_of, sine
from tests.support.lakes import T0, LakeBuilder, S, level
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.cli import app

SPAN = ("--from", "2026-01-15T08:00:00Z", "--until", "2026-01-15T08:10:00Z")
RAMP = '[[limit]]\nname = "X"\nkind = "ramp"\nhorizon = "1s"\nvalue = {}\nunit = "W"\n'


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    builder = lake_of(tmp_path_factory.mktemp("grid"))
    board(builder, "A", sine(400_000, 100_000, 0.7), "swings", seed=1)
    board(builder, "B", lambda t: 300_000, "level", seed=2, index=1)
    return builder.lake


def run(command: str, lake: Lake, *more: str) -> Result:
    done = CliRunner().invoke(app, [command, "--lake", str(lake.root), *more])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_a_span_has_one_row_for_each_group(lake: Lake) -> None:
    text = run("load-profile", lake, *SPAN).output
    assert "2026-01-15 08:00:00 to 2026-01-15 08:10:00 UTC, boards (emulated)" in text
    assert text.endswith("load-profile: 1 span (boards), 5 groups, 60,000 cells (cpu)\n")
    assert "job swings" in text
    assert lake.hours("load_profile") == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--from", "2026-01-15"), "expected both --from and --until"),
        (("--from", "2026-01-16", "--until", "2026-01-15"), "is not before --until"),
        (("--from", "now", "--until", "2026-01-15"), "--from 'now': expected an instant"),
        ((*SPAN, "--hour", "2026-01-15T08"), "not both"),
        ((*SPAN, "--boundary", "street"), "--boundary 'street': expected boards, it, connection"),
        (("--boundary", "it"), "add --from and --until"),
        (("--from", "2026-01-17", "--until", "2026-01-18"), "has no readings in this span"),
    ],
)
def test_what_cannot_be_a_span_is_one_line(lake: Lake, options: tuple[str, ...], says: str) -> None:
    with pytest.raises(UserError) as error:
        run("load-profile", lake, *options)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_swings_prints_a_place_and_each_job(lake: Lake) -> None:
    text = run("swings", lake, *SPAN).output
    assert "site s (boards), 2026-01-15T08:00:00Z to 2026-01-15T08:10:00Z" in text
    lines = [line for line in text.splitlines() if "│" in line]
    assert [line.split("│")[0].strip() for line in lines] == ["(all jobs)", "swings", "level"]
    assert "swing: 0.700 Hz" in text
    rows = json.loads(run("swings", lake, *SPAN, "--format", "json").output)
    assert [row["job"] for row in rows] == [None, "swings", "level"]
    assert rows[1]["swing_share"] == pytest.approx(1, abs=0.01)
    (first, *_) = csv.DictReader(io.StringIO(run("swings", lake, "--format", "csv").output))
    assert first["group_id"] == "s"


def test_comply_exits_with_what_it_found(lake: Lake, tmp_path: Path) -> None:
    limits = tmp_path / "limits.toml"
    for watts, verdict, code in ((1_000, "PASS", 0), (150, "FAIL", 1)):
        limits.write_text(RAMP.format(watts))
        done = run("comply", lake, str(limits), *SPAN)
        assert done.exit_code == code
        assert verdict in done.output
    (row,) = json.loads(run("comply", lake, str(limits), *SPAN, "--format", "json").output)
    assert (row["verdict"], row["worst_jobs"][0]) == ("fail", "swings")
    assert row["worst_at"].startswith("2026-01-15T08:0")
    assert len(row["moments"]) == 3
    # Above what is read ten times a second: not a pass, and excused only if asked for.
    limits.write_text(RAMP.format(1_000).replace("1s", "10ms"))
    assert run("comply", lake, str(limits), *SPAN).exit_code == 1
    assert run("comply", lake, str(limits), *SPAN, "--allow-unobservable").exit_code == 0


def test_boards_without_a_place_are_an_error(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path)
    builder.device("A", update_us=100_000)
    builder.power("A", level(100_000, T0, T0 + 60 * S))
    with pytest.raises(UserError, match="no board that was read in this span has a site"):
        run("swings", builder.lake)


def test_what_cannot_be_asked_is_one_line(lake: Lake, tmp_path: Path) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text(RAMP.format(1_000) + "colour = 1\n")
    for command, options, says in (
        ("comply", (str(limits),), "unknown key 'colour' = 1"),
        ("comply", (str(tmp_path / "no.toml"),), "No such file"),
        ("swings", ("--by", "job"), "--by 'job': expected rack or site"),
        ("swings", ("--format", "xml"), "--format 'xml': expected table, json, csv or parquet"),
    ):
        with pytest.raises(UserError, match=r"^[^\n]*$") as error:
            run(command, lake, *options)
        assert says in str(error.value)
