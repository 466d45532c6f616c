"""A lake of the first version is read as it is, and migrated without losing a row."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.support.cluster import small_cluster
from tests.support.snapshot import snapshot
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.reading import columns_of
from tokenergy_collectors.lake.version import FORMAT, NAME, format_of, write_format
from tokenergy_sql.cli import app
from tokenergy_sql.migration.migrate import _require_all_rows
from tokenergy_sql.migration.survey import TableState, survey

_COLUMNS = json.loads((Path(__file__).parent / "first_columns.json").read_text("utf-8"))
"""The columns of each table in the first version: new ones may only be added, and be NULL."""

RAW = tuple(name for name, table in TABLES.items() if table.layer == "raw")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with the columns of the first version, aggregated and indexed then."""
    lake = small_cluster(tmp_path_factory.mktemp("first") / "lake").build()
    for name in TABLES:
        for path in lake.files(name):
            rows = pq.read_table(path, partitioning=None)
            kept = [column for column in _COLUMNS.get(name, []) if column in rows.column_names]
            pq.write_table(rows.select(kept).replace_schema_metadata(None), path)
    hours = lake.root / "revisions" / "hours.json"
    hours.write_text(hours.read_text().replace('"models": "', '"models": "first'))
    (lake.root / NAME).unlink()
    return lake


@pytest.fixture
def lake(first: Lake, tmp_path: Path) -> Lake:
    import shutil

    shutil.copytree(first.root, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def run(lake: Lake, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--lake", str(lake.root)])
    assert done.exit_code == 0, (arguments, done.output, done.exception)
    return done.output


def figures(lake: Lake) -> str:
    sql = "SELECT job_id, e_gpu_nj, n_generated, n_trained FROM job_index ORDER BY job_id"
    return run(lake, "query", sql, "--format", "csv")


def test_the_contract_only_grew_by_columns_that_may_be_null() -> None:
    for name, columns in _COLUMNS.items():
        table = TABLES[name]
        assert table.column_names[: len(columns)] == columns or table.layer == "derived", name
        assert {*columns} <= {*table.column_names}, name
        added = [c for c in table.columns if c.name not in columns]
        assert [c.name for c in added if not c.nullable] == [], name


def test_an_old_lake_is_read_as_it_is(lake: Lake) -> None:
    assert format_of(lake.root) == 1
    assert figures(lake).startswith("job_id,")
    assert "chat" in run(lake, "by", "job")
    before = {name: state.rows for name, state in survey(lake).items()}
    run(lake, "index")
    after = survey(lake)
    assert all(after[name].rows == before[name] for name in RAW)


def test_a_dry_run_changes_nothing(lake: Lake) -> None:
    before = snapshot(lake)
    text = run(lake, "migrate", "--dry-run")
    assert "would: index 2 hours again, and keep what is replaced as a revision" in text
    assert f"would: record format {FORMAT} in lake.json" in text
    assert snapshot(lake) == before


def test_a_migration_loses_no_row_and_makes_the_rest_again(lake: Lake, cluster: Lake) -> None:
    raw = {path: path.read_bytes() for name in RAW for path in lake.files(name)}
    rows = {name: state.rows for name, state in survey(lake).items()}
    text = run(lake, "migrate")
    assert {path: path.read_bytes() for name in RAW for path in lake.files(name)} == raw
    state = survey(lake)
    assert {name: state[name].rows for name in RAW} == {name: rows[name] for name in RAW}
    for name, one in state.items():
        assert not one.unusable, name
        if one.layer == "derived":
            assert one.older == 0, (name, one.missing)
        if rows[name]:
            (line,) = [
                x for x in text.splitlines() if x.startswith(f"{name} ") and x.count("│") == 2
            ]
            assert line.split("│")[1].strip() == f"{rows[name]:,}"
    for path in lake.files("segment"):
        assert columns_of(path, TABLES["segment"]) == {*TABLES["segment"].column_names}
    assert figures(lake) == figures(cluster)
    assert format_of(lake.root) == FORMAT
    assert "check" not in text
    assert run(lake, "check")


def test_a_second_migration_changes_nothing(lake: Lake) -> None:
    run(lake, "migrate")
    before = snapshot(lake)
    assert "nothing to migrate" in run(lake, "migrate", "--dry-run")
    assert "nothing to migrate" in run(lake, "migrate")
    after = snapshot(lake)
    assert {n: b for n, (b, _) in after.items()} == {n: b for n, (b, _) in before.items()}


def test_files_of_no_year(lake: Lake) -> None:
    power = lake.files("power")[0]
    foreign = lake.root / "power" / "date=9999-12-31" / "hour=23" / power.name
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(power.read_bytes())
    derived = lake.root / "token_usage" / "date=9999-12-31" / "hour=23" / "token_usage.parquet"
    derived.parent.mkdir(parents=True)
    derived.write_bytes(lake.files("token_usage")[0].read_bytes())
    text = run(lake, "migrate", "--dry-run")
    assert "would: move 1 raw file of no hour of the years 2000 to 2099 to quarantine" in text
    assert "would: remove 1 derived file of no such hour" in text
    run(lake, "migrate")
    assert not foreign.exists()
    assert not derived.exists()
    kept = lake.root / "quarantine" / foreign.relative_to(lake.root)
    assert kept.read_bytes() == power.read_bytes()


def test_a_damaged_file_is_named(lake: Lake) -> None:
    path = lake.files("power")[0]
    path.write_bytes(path.read_bytes()[:-8])
    assert f"unusable: {path.relative_to(lake.root)}: " in run(lake, "migrate", "--dry-run")


def test_missing_rows_are_an_error() -> None:
    before, after = TableState("raw", rows=5), TableState("raw", rows=4)
    with pytest.raises(UserError, match="raw rows are missing: power 5 -> 4"):
        _require_all_rows({"power": before}, {"power": after})
    _require_all_rows({"power": before}, {"power": before})


def test_a_lake_of_a_later_version_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(json.dumps({"format": FORMAT + 1}))
    before = sorted(tmp_path.rglob("*"))
    for arguments in (["index"], ["check"], ["query", "SELECT 1"], ["migrate"], ["aggregate"]):
        done = CliRunner().invoke(app, [*arguments, "--lake", str(tmp_path)])
        assert isinstance(done.exception, UserError), arguments
        assert f"written by a newer TokEnergy (format {FORMAT + 1}; " in str(done.exception)
    with pytest.raises(UserError, match="newer TokEnergy"):
        Lake(tmp_path, create=True)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "2"}', '{"format": 0}', "\xff"])
def test_a_damaged_version_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=f"{NAME}: "):
        Lake(tmp_path)


def test_the_version_is_written_once(tmp_path: Path) -> None:
    write_format(tmp_path)
    before = (tmp_path / NAME).stat().st_mtime_ns
    write_format(tmp_path)
    assert (tmp_path / NAME).stat().st_mtime_ns == before
    assert format_of(tmp_path) == FORMAT
