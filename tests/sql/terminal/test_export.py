"""Export: any table or view to one file, whole or in part; nothing is left where it fails."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.cli import app
from tokenergy_sql.terminal.export import export


def test_parquet_keeps_rows_and_types(cluster: Lake, tmp_path: Path) -> None:
    for name in ("ledger", "job_index", "power"):
        out = tmp_path / f"{name}.parquet"
        whole = cluster.read(name)
        assert export(cluster, name, "parquet", out) == len(whole)
        found = pq.read_table(out)
        assert found.schema.types == TABLES[name].schema().types
        assert found.equals(whole.cast(found.schema))


def test_csv_tells_null_from_empty(cluster: Lake, tmp_path: Path) -> None:
    out = tmp_path / "jobs.csv"
    assert export(cluster, "job_index", "csv", out) == 6
    text = out.read_text()
    rows = {row["job_id"]: row for row in csv.DictReader(io.StringIO(text))}
    whole = cluster.read("job_index").to_pylist()
    assert set(rows) == {row["job_id"] for row in whole}
    for row in whole:
        assert list(rows[row["job_id"]]) == TABLES["job_index"].column_names
        energy = row["e_gpu_nj"]
        assert rows[row["job_id"]]["e_gpu_nj"] == ("" if energy is None else str(energy))
    assert ',"",' in text  # no reason codes: empty, not NULL


def test_some_rows(cluster: Lake, tmp_path: Path) -> None:
    out = tmp_path / "gaps.parquet"
    out.write_text("what was there is replaced")
    count = export(cluster, "ledger", "parquet", out, "account = 'gap' AND device_id <> 'it''s'")
    found = pq.read_table(out)
    assert 0 < count == len(found)
    assert pc.unique(found["account"]).to_pylist() == ["gap"]


def test_views_too(cluster: Lake, tmp_path: Path) -> None:
    out = tmp_path / "job_device.csv"
    assert export(cluster, "job_device", "csv", out, "false") == 0
    assert out.read_text().startswith("job_id,workload,device_id,")


@pytest.mark.parametrize(
    ("table", "form", "where", "says"),
    [
        ("nothing", "csv", None, "--table 'nothing': expected one of allocation, clock"),
        ("tokenergy_by('job')", "csv", None, "--table .* expected one of"),
        ("ledger", "xlsx", None, "--format 'xlsx': expected csv or parquet"),
        ("ledger", "csv", "colour = 1", 'export: Binder Error.*"colour"'),
        ("ledger", "csv", "true) TO '/tmp/x'; --", "export: Parser Error"),
        ("ledger", "csv", "1/0 = error('no')", "export: .*"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    cluster: Lake, tmp_path: Path, table: str, form: str, where: str | None, says: str
) -> None:
    with pytest.raises(UserError, match=says) as error:
        export(cluster, table, form, tmp_path / "out", where)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written(cluster: Lake, tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "none" / "out.csv"):
        with pytest.raises(UserError, match="cannot be written: expected a file name in an"):
            export(cluster, "ledger", "csv", out)


def test_the_commands(cluster: Lake, tmp_path: Path) -> None:
    lake = ["--lake", str(cluster.root)]
    out = tmp_path / "it's.csv"
    run = CliRunner().invoke(app, ["export", *lake, "--table", "jobs", "--out", str(out)])
    assert (run.exit_code, run.output) == (0, f"export: 7 rows -> {out}\n")
    run = CliRunner().invoke(app, ["by", "rack", *lake])
    assert run.exit_code == 0
    assert "s/h2/p1/r1" in run.output
    run = CliRunner().invoke(app, ["catalog", *lake])
    assert run.output == f"catalog: {cluster.root / 'catalog.duckdb'}\n"
