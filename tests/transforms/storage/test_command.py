"""`tokenergy storage` as a user runs it: on the demo's fleet, on gaps, and on wrong input."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.support.lakes import T0, LakeBuilder, S
from tests.transforms.storage import plain
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.emulate.profile.profile import load_profile
from tokenergy_collectors.emulate.run.fleet import collect_fleet
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.settings.config import Config
from tokenergy_sql.cli import app
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.query import run_query
from tokenergy_transforms.storage.gathering import Span, gather
from tokenergy_transforms.storage.runs import coarsened, known_runs

UNTIL = "2026-01-15T08:01:30"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two minutes of the demo's own fleet at 10 Hz, as the collector writes them."""
    root = tmp_path_factory.mktemp("demo") / "lake"

    def config(node: str) -> Config:
        return Config.model_validate({"lake": str(root), "node": node, "rate_hz": 10.0})

    collect_fleet(load_profile("demo"), config, Control(), duration_us=120 * S)
    return Lake(root)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two racks that swing in turn, with a gap; times are even, so cells are known exactly."""
    builder = LakeBuilder(tmp_path_factory.mktemp("lake"))
    seconds = [*range(60), *range(70, 130)]
    for k in range(2):
        builder.device(f"G{k}", site="s", hall="h", rack=f"r{k}", update_us=1_000_000)
        swings = [(T0 + t * S, 400_000 if (t // 5 + k) % 2 else 100_000) for t in seconds]
        builder.power(f"G{k}", swings)
    return builder.build()


def run(lake: Lake, *more: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["storage", "--lake", str(lake.root), *more])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


def test_a_real_recording_is_solved_as_plain_highs_solves_it(recorded: Lake) -> None:
    out = run(recorded, "--ramp-kw-per-s", "0.5", "--until", UNTIL, "--format", "json")
    (row,) = json.loads(out)
    (found,) = gather(recorded, Span("site", None, T0, T0 + 90 * S))
    (one,) = known_runs(coarsened(found.course))
    assert (row["step_us"], row["boundary"], row["emulated"]) == (100_000, "boards", True)
    load, top = one.load_w, float(one.load_w.max())
    energy = plain.least(load, 0.1, 500.0, top, 0.0)
    assert row["optimal_energy_nj"] / 1e9 == pytest.approx(energy, rel=1e-4)
    power = plain.least(load, 0.1, 500.0, top, 0.0, energy * 1.001)
    assert row["optimal_power_mw"] / 1e3 == pytest.approx(power, rel=1e-3)
    assert row["causal_energy_nj"] > row["optimal_energy_nj"]
    assert row["grid_nj"] == row["load_nj"] + row["loss_nj"] + row["change_nj"]
    assert abs(row["change_nj"]) < 1_000_000_000
    assert row["load_nj"] == int(one.load_nj.sum())


def test_every_study_can_be_asked_in_sql(recorded: Lake) -> None:
    given = (
        "--ramp-kw-per-s",
        "0.4",
        "--until",
        UNTIL,
        "--efficiency",
        "0.9",
        "--reserve-kwh",
        "2",
    )
    text = run(recorded, *given, "--sweep")
    assert "Storage for ramps of at most 0.4 kW/s, 94.87 % efficient each way (emulated)" in text
    assert "with reserve kWh" in text or "with reserve kJ" in text
    assert "the sum of boards is not the grid connection" in text
    run(recorded, *given, "--sweep")  # the same question replaces its rows
    out = io.StringIO()
    run_query(
        recorded,
        "SELECT count(*) AS n, any_value(reserve_nj) AS r, any_value(charge_ppm) AS c, "
        "min(loss_nj) > 0 AS lossy FROM storage_study WHERE ramp_mw_s = 400000",
        Output("json"),
        out,
    )
    assert json.loads(out.getvalue()) == [
        {"n": 1, "r": 2 * 3_600_000_000_000_000, "c": 948_683, "lossy": True}
    ]
    out = io.StringIO()
    run_query(
        recorded,
        "SELECT count(*) AS n, bool_or(kept) AS some, bool_and(kept) AS all_kept "
        "FROM storage_sweep JOIN storage_study USING (from_us, study_id) WHERE ramp_mw_s = 400000",
        Output("json"),
        out,
    )
    assert json.loads(out.getvalue()) == [{"n": 100, "some": True, "all_kept": False}]


def test_parquet_and_csv_hold_the_same_rows(built: Lake) -> None:
    given = ("--by", "site", "--ramp-kw-per-s", "0.02")
    done = CliRunner().invoke(
        app, ["storage", "--lake", str(built.root), *given, "--format", "parquet"]
    )
    table = pq.read_table(io.BytesIO(done.stdout_bytes))
    lines = run(built, *given, "--format", "csv").splitlines()
    assert lines[0].split(",") == table.column_names
    assert len(lines) == table.num_rows + 1 == 2


def test_a_gap_is_not_bridged_and_parts_are_compared(built: Lake) -> None:
    out = run(
        *(built, "--ramp-kw-per-s", "0.02", "--split", "rack", "--format", "json"),
        *("--until", "2026-01-15T08:02:10"),
    )
    whole, *parts = json.loads(out)
    assert (whole["runs"], whole["split_by"]) == (2, "rack")
    assert "gaps" in whole["reason_codes"]
    assert whole["coverage"] == pytest.approx(119 / 130, abs=0.02)
    assert [part["group_id"] for part in parts] == ["s/h/r0", "s/h/r1"]
    assert {part["part_of"] for part in parts} == {whole["study_id"]}
    assert whole["parts_energy_nj"] == sum(part["optimal_energy_nj"] for part in parts)
    assert whole["optimal_energy_nj"] == 0, "what one rack drops, the other takes up"
    assert whole["pooling_energy"] is None
    text = run(built, "--by", "hall", "--ramp-kw-per-s", "0.02", "--split", "rack")
    assert "hall s/h" in text


def test_a_ramp_that_the_sensors_do_not_show_is_null(built: Lake) -> None:
    given = ("--by", "rack", "--group", "s/h/r0", "--step", "500ms")
    (row,) = json.loads(run(built, *given, "--ramp-kw-per-s", "0.02", "--format", "json", code=1))
    assert row["optimal_energy_nj"] is None
    assert row["causal_energy_nj"] is None
    assert row["reason_codes"].split(",") == ["gaps", "ramp_below_period", "step_below_period"]
    (row,) = json.loads(run(built, *given, "--peak-kw", "0.3", "--format", "json"))
    assert row["optimal_energy_nj"] > 0
    assert "step_below_period" in row["reason_codes"]


def test_a_peak_below_the_mean_is_a_finding(built: Lake) -> None:
    done = CliRunner().invoke(
        app, ["storage", "--lake", str(built.root), "--by", "site", "--peak-kw", "0.3"]
    )
    assert done.exit_code == 1
    assert "peak_below_mean" in done.stdout
    assert "a store gives back no more than it takes" in done.stderr


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((), "--ramp-kw-per-s and --peak-kw: give one of them"),
        (("--ramp-kw-per-s", "0"), "--ramp-kw-per-s 0.0: expected more than 0"),
        (("--peak-kw", "nan"), "--peak-kw nan: expected a number of kW"),
        (("--peak-kw", "1", "--by", "pod"), "--by 'pod': expected job, node"),
        (("--peak-kw", "1", "--group", "x"), "--by site --group 'x': the lake has none with"),
        (("--peak-kw", "1", "--efficiency", "1.2"), "--efficiency 1.2: expected a share"),
        (("--peak-kw", "1", "--efficiency", "0.9", "--efficiency-each-way", "0.9"), "one of them"),
        (("--peak-kw", "1", "--split", "site"), "--split 'site': expected node, rack, hall"),
        (("--peak-kw", "1", "--by", "rack", "--split", "hall"), "a rack has no such parts"),
        (("--peak-kw", "1", "--step", "7s"), "divides an hour"),
        (("--peak-kw", "1", "--from", "yesterday"), "--from 'yesterday': expected an instant"),
        (("--peak-kw", "1", "--until", "2026-01-15T07"), "--until 2026-01-15T07: is not after"),
        (("--peak-kw", "1", "--start-charge", "2"), "--start-charge 2.0: expected a share"),
        (("--peak-kw", "1", "--c-rate", "-1"), "--c-rate -1.0: expected more than 0"),
        (("--peak-kw", "1", "--reserve-kwh", "-1"), "--reserve-kwh -1.0: expected 0 or more"),
        (
            ("--peak-kw", "1", "--format", "xml"),
            "--format 'xml': expected table, json, csv or parquet",
        ),
    ],
)
def test_wrong_input_is_told_in_one_line(built: Lake, given: tuple[str, ...], says: str) -> None:
    with pytest.raises(UserError, match=says.replace("(", r"\(")):
        run(built, *given)


def test_an_empty_lake_says_so(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    with pytest.raises(UserError, match="has no power readings yet"):
        run(Lake(tmp_path / "lake", create=True), "--peak-kw", "1")


def test_the_stretch_shows_load_grid_and_charge(recorded: Lake) -> None:
    run(recorded, "--ramp-kw-per-s", "0.3", "--until", UNTIL)
    rows = recorded.read("storage_course").to_pylist()
    assert rows
    assert all(0 <= row["charge_share"] <= 1 for row in rows)
    steps = np.diff([row["grid_mw"] for row in rows])
    assert np.abs(steps).max() > 0
