"""A lake with rows of no year, as an earlier version imported them: the good hours work."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import ask
from tests.support.long import pairs
from tokenergy_collectors.base.instants import END_US, FIRST_US
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import SUFFIX, raw_name
from tokenergy_collectors.lake.writing import write_parquet
from tokenergy_sql.cli import app

YEAR_1, YEAR_9999 = -62_135_596_800_000_000, 253_402_300_799_000_000
FOLDERS = {
    YEAR_1: "date=1-01-01/hour=00",
    YEAR_9999: "date=9999-12-31/hour=23",
    FIRST_US - 1: "date=1999-12-31/hour=23",
    END_US: "date=2100-01-01/hour=00",
    0: "date=1970-01-01/hour=00",
}
"""How an earlier version named the folders of these stamps."""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 60 * S))
    builder.job("j", "A", T0, T0 + 60 * S)
    builder.tokens("j", [(T0, 0), (T0 + 60 * S, 600)])
    return builder.lake


def plant(lake: Lake, table: str, ts_us: int) -> Path:
    """Write a raw file with one row at a stamp, where an earlier version would have put it."""
    schema = TABLES[table].schema()
    row = {
        "device_id": "B", "node": "n9", "power_mw": 1, "sensor": "instant", "epoch": 0, "value": 5,
        "source_id": "s", "job_id": "z", "model": "m", "engine": "", "kind": "generated",
        "share_ppm": 1_000_000, "method": "declared", "recorded_us": T0, "emulated": False,
        TABLES[table].time: ts_us,
    }  # fmt: skip
    rows = pa.Table.from_pylist([{n: row.get(n) for n in schema.names}], schema=schema)
    path = lake.root / table / FOLDERS[ts_us] / raw_name("n9", abs(ts_us), "old")
    write_parquet(rows, path, TABLES[table])
    return path


@pytest.mark.parametrize("ts_us", pairs([*FOLDERS], always=2))
def test_the_good_hours_work_and_the_bad_rows_are_named(
    lake: Lake, ts_us: int, caplog: pytest.LogCaptureFixture
) -> None:
    planted = [plant(lake, table, ts_us) for table in ("power", "tokens", "jobs", "device")]
    at = ["--lake", str(lake.root)]
    for arguments in (["aggregate", "--device", "cpu"], ["index"], ["load-profile"], ["check"]):
        run = CliRunner().invoke(app, [*arguments, *at])
        assert run.exit_code == 0, (arguments, run.output, run.exception)
    assert ask(lake, "SELECT e_gpu_j, n_generated FROM job_index WHERE job_id = 'j'") == [
        {"e_gpu_j": 6000.0, "n_generated": 600}
    ]
    assert ask(lake, "SELECT count(*) AS n FROM power") == [{"n": 601}]
    # Nothing is lost: the files are in quarantine, with the reason, and the check names them.
    for path in planted:
        kept = lake.root / "quarantine" / path.relative_to(lake.root)
        assert kept.exists()
        assert not path.exists()
        assert kept.name in run.output or "more" in run.output
    assert "is in no hour of the years 2000 to 2099" in caplog.text
    assert lake.hours("power") == [T0]


@pytest.mark.parametrize(
    "folder", pairs(["date=2026-02-30/hour=08", "date=none/hour=08", "date=/hour=1"], always=1)
)
def test_folders_that_are_no_day(lake: Lake, folder: str) -> None:
    path = plant(lake, "power", YEAR_1)
    foreign = lake.root / "power" / folder / path.name
    foreign.parent.mkdir(parents=True)
    path.rename(foreign)
    at = ["--lake", str(lake.root)]
    for arguments in (["aggregate", "--device", "cpu"], ["index"], ["check"]):
        assert CliRunner().invoke(app, [*arguments, *at]).exit_code == 0
    assert not foreign.exists()


def test_derived_files_of_no_year_are_seen_by_nobody(lake: Lake) -> None:
    """An earlier version derived token usage of the year 9999."""
    derived = lake.root / "token_usage" / FOLDERS[YEAR_9999] / f"token_usage{SUFFIX}"
    rows: dict[str, object] = {
        "hour_us": YEAR_9999 // HOUR_US * HOUR_US, "job_id": "z", "model": "m",
        "kind": "generated", "tokens": 7, "low": 7, "high": 7,
    }  # fmt: skip
    schema = TABLES["token_usage"].schema()
    for field in schema:
        if field.name not in rows and not field.nullable:
            rows[field.name] = "" if pa.types.is_string(field.type) else 0
    full = {name: rows.get(name) for name in schema.names}
    write_parquet(pa.Table.from_pylist([full], schema=schema), derived, TABLES["token_usage"])
    at = ["--lake", str(lake.root)]
    for arguments in (["aggregate", "--device", "cpu"], ["index"], ["check"]):
        assert CliRunner().invoke(app, [*arguments, *at]).exit_code == 0
    assert ask(lake, "SELECT sum(tokens)::INT AS n FROM token_usage") == [{"n": 600}]
