"""A lake may be at any path: no sign in it means something else to DuckDB."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.cluster import small_cluster
from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.long import pairs
from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog.duck import literal, open_memory, pattern, quoted
from tokenergy_sql.catalog.file import NAME, write_catalog
from tokenergy_sql.cli import app
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.query import run_query

ROOT = Path(__file__).parents[3]
PARTS = (
    "a\\b", "a\\", "\\b", "a\\b/c\\d", "[a]", "a[b", "a]b", "*", "**", "?", "%41", "it's",
    'say "so"', "~", "a b", "{a,b}", "$x", "#", "a\nb", "é", "a;b", "-x", "a\\[b]*?'\"%",
)  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_a_path_means_itself_and_no_other(tmp_path: Path, part: str) -> None:
    folder = tmp_path / part / "lake"
    others = [tmp_path / other / "lake" for other in ("ab", "axb", "xx", "a/b", "b", "x")]
    with open_memory() as con:
        for number, one in enumerate([folder, *others]):
            (one / "hour=08").mkdir(parents=True)
            con.execute(f"COPY (SELECT {number} AS n) TO {literal(str(one / 'hour=08/f.parquet'))}")
        for text in (
            pattern(folder / "hour=08" / "f.parquet"),
            pattern(folder, "/hour=*/[!.]*.parquet"),
            pattern(str(folder), "/[h.]*our=08/f.parquet"),
        ):
            assert con.sql(f"FROM read_parquet({literal(text)}) SELECT n").fetchall() == [(0,)]


def test_a_relative_path_that_begins_like_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("~", "~root", "-", "s3:x"):
        Path(name).mkdir()
        with open_memory() as con:
            con.execute(f"COPY (SELECT 1 AS n) TO {literal(str(tmp_path / name / 'f.parquet'))}")
            found = con.sql(f"FROM read_parquet({literal(pattern(Path(name) / 'f.parquet'))})")
            assert found.fetchall() == [(1,)]


def test_a_folder_made_anew_is_found_and_no_descriptor_is_lost(tmp_path: Path) -> None:
    folder, descriptors = tmp_path / "a\\b", len(list(Path("/proc/self/fd").iterdir()))
    for number in range(3):
        folder.mkdir()
        with open_memory() as con:
            con.execute(f"COPY (SELECT {number} AS n) TO {literal(str(folder / 'f.parquet'))}")
            text = literal(pattern(folder, "/*.parquet"))
            assert con.sql(f"FROM read_parquet({text})").fetchall() == [(number,)]
        shutil.rmtree(folder)
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors + 1
    assert pattern(folder, "/x").startswith("/proc/self/fd/-1/")


def test_names_and_texts() -> None:
    with open_memory() as con:
        for text in ("it's", 'say "so"', "\\", "a\\'b", "\n", "'; DROP TABLE x; --", "$1", "?"):
            assert con.sql(f"SELECT {literal(text)}").fetchall() == [(text,)]
            assert con.sql(f"SELECT 1 AS {quoted(text)}").columns == [text]


ODD = ('it\'s [a] *?%41 "lake"/x', "a\\b lake")


@pytest.mark.parametrize("name", pairs(ODD, always=1))
def test_all_commands(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    lake = small_cluster(root).lake
    out = tmp_path / "it's [o]*\\ut.csv"
    for arguments in (
        ["aggregate", "--device", "cpu"],
        ["load-profile", "--device", "cpu"],
        ["index", "--all"],
        ["check"],
        ["revisions"],
        ["diff"],
        ["by", "rack"],
        ["export", "--table", "job_index", "--out", str(out)],
        ["efficiency", "--job", "chat"],
        ["explain", "chat"],
        ["report", "--out", str(tmp_path / "r.html")],
    ):
        run = CliRunner().invoke(app, [*arguments, "--lake", str(root)])
        assert run.exit_code == 0, (arguments, run.output, run.exception)
    assert len(out.read_text().splitlines()) == 7
    for sql, count in (
        ("SELECT count(*) FROM job_index", 6),
        ("SELECT count(*) FROM power", len(lake.read("power"))),
    ):
        text = io.StringIO()
        run_query(lake, sql, Output("csv"), text)
        assert text.getvalue().split()[-1] == str(count)


def test_the_catalog_of_a_lake_with_a_backslash(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """DuckDB itself cannot open a file there, not even by a link: the index says so and goes on."""
    builder = LakeBuilder(tmp_path / "a\\b")
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + S))
    builder.job("j", "A", T0, T0 + S)
    lake = builder.build()
    index(lake, Site(None, None, {}), progress=lambda _: None)
    assert "catalog.duckdb is left out: DuckDB cannot open a database below a" in caplog.text
    with pytest.raises(UserError, match="use `tokenergy query`, or move the lake"):
        write_catalog(lake)
    assert not (lake.root / NAME).exists()


def test_one_place_opens_duckdb() -> None:
    """So that no connection prints a progress bar, or goes on after Ctrl-C."""
    found = [
        path.relative_to(ROOT).as_posix()
        for package in ("sql", "transforms", "collectors", "dags")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"duckdb\.(connect|sql|execute|query)\(", path.read_text("utf-8"))
    ]
    assert found == ["sql/tokenergy_sql/catalog/duck.py"]
