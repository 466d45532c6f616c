"""A damaged raw file in the whole pipeline: its hour is indexed with a gap, which is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.long import pairs
from tokenergy_collectors.lake import Lake
from tokenergy_sql import cli
from tokenergy_sql.checks.checking import Finding, run_checks
from tokenergy_sql.terminal.output import Output

MINUTE = 60 * S


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    """Three minutes of one board in three files, a job all through, gauges and tokens."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    for minute in range(3):
        begin = T0 + minute * MINUTE
        builder.power("A", level(100_000, begin, begin + MINUTE - 100_000))
        gauges = [{"ts_us": begin + s * S, "device_id": "A", "sm_util": 90} for s in range(60)]
        builder.add("state", gauges)
        builder.tokens("j", [(begin, 1000 * minute), (begin + 59 * S, 1000 * minute + 900)])
    builder.job("j", "A", T0, T0 + 3 * MINUTE - 100_000)
    return builder


def middle(lake: Lake, table: str) -> Path:
    return sorted(lake.files(table), key=lambda path: int(path.stem.rsplit("-", 2)[1]))[1]


def among_the_rows(path: Path) -> None:
    """Damage a page, so that the file's end still looks sound."""
    data = bytearray(path.read_bytes())
    page = pq.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset
    data[page + 30 : page + 60] = bytes(30)
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def warned(lake: Lake, hours: list[int] | None = None) -> Finding:
    findings = run_checks(lake, hours)
    assert [f.name for f in findings if f.breach] == []
    (found,) = [f for f in findings if f.name == "nothing_is_quarantined"]
    return found


def index_row(lake: Lake) -> dict[str, object]:
    (row,) = lake.read("job_index").to_pylist()
    return dict(row)


@pytest.mark.parametrize("damage", [cut, among_the_rows])
def test_a_hole_in_power_shows_in_the_coverage(builder, caplog, damage) -> None:
    path = middle(builder.lake, "power")
    damage(path)
    lake = builder.build()
    assert len(caplog.records) == 1
    assert path.name in caplog.text
    row = index_row(lake)
    assert row["coverage"] == pytest.approx(2 / 3, abs=0.01)
    assert row["max_gap_s"] == pytest.approx(60, abs=1)
    assert "gap" in str(row["reason_codes"])
    finding = warned(lake)
    assert not finding.fatal
    assert [r[:3] for r in finding.rows] == [
        ("power", "2026-01-15T08:00Z", f"power/date=2026-01-15/hour=08/{path.name}")
    ]
    assert warned(lake, [T0]).rows == finding.rows
    assert warned(lake, [T0 + HOUR_US]).rows == []


def test_a_sound_lake_has_nothing_in_quarantine(builder) -> None:
    lake = builder.build()
    assert warned(lake).rows == []
    assert index_row(lake)["coverage"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("damage", "table"), pairs([cut, among_the_rows], ["tokens", "state", "jobs", "device"])
)
def test_other_tables_are_given_up_file_by_file(builder, damage, table) -> None:
    if table in ("tokens", "state"):
        path = middle(builder.lake, table)
    else:
        (path,) = builder.lake.files(table)
    damage(path)
    lake = builder.build()
    assert not path.exists()
    assert [r[0] for r in warned(lake).rows] == [table]
    if table == "tokens":
        assert index_row(lake)["n_generated"] == 2900


@pytest.mark.parametrize("damage", [cut, among_the_rows])
def test_a_query_goes_on(builder, capsys, monkeypatch, damage) -> None:
    damage(middle(builder.lake, "power"))
    root = str(builder.lake.root)
    sql = "SELECT count(ts_us) AS n, min(ts_us) AS first_us, max(energy_mj) AS mj FROM power"
    cli.app(["query", "--lake", root, "--format", "json", sql], standalone_mode=False)
    assert json.loads(capsys.readouterr().out) == [{"n": 1200, "first_us": T0, "mj": None}]
    cli.app(
        ["query", "--lake", root, "--format", "json", 'SELECT "table" FROM quarantined'],
        standalone_mode=False,
    )
    assert json.loads(capsys.readouterr().out) == [{"table": "power"}]


def test_a_mistake_in_a_query_is_no_reason_to_read_everything(builder, monkeypatch) -> None:
    from tokenergy_collectors.base.errors import UserError
    from tokenergy_sql.terminal.query import run_query

    monkeypatch.setattr(Lake, "quarantine_damaged", lambda *_: pytest.fail("read everything"))
    for sql in ("SELEC 1", "SELECT nothing FROM power", "SELECT 'a'::INT"):
        with pytest.raises(UserError, match="query: "):
            run_query(builder.lake, sql, Output("json"))


def test_files_of_an_earlier_version_lack_columns(builder) -> None:
    """Columns that may be NULL were added to `device`; what was written before is still read."""
    from tokenergy_sql.catalog import connecting as catalog

    (path,) = builder.lake.files("device")
    rows = pq.read_table(path, partitioning=None).drop_columns(["smoothing", "mig_ppm"])
    pq.write_table(rows, path)
    with catalog.connect(builder.lake) as con:
        assert con.sql("SELECT device_id, smoothing FROM device").fetchall() == [("A", None)]
    builder.device("B", index=1, smoothing="{}")
    with catalog.connect(builder.lake) as con:
        found = con.sql("SELECT device_id, smoothing, mig_ppm FROM device ORDER BY 1").fetchall()
    assert found == [("A", None, None), ("B", "{}", None)]
    builder.build()
    assert [f.name for f in run_checks(builder.lake) if f.breach] == []
