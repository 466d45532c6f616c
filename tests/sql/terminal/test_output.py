"""The options of all tables: formats, columns, files, and what a terminal is spared."""

from __future__ import annotations

import csv
import io
import json
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.cli.commands import app
from tokenergy_sql.terminal.choosing import choose, parse_columns
from tokenergy_sql.terminal.grid import Grid, Heading
from tokenergy_sql.terminal.naming import typed_names
from tokenergy_sql.terminal.output import FORMATS, Output, asked
from tokenergy_sql.terminal.rowtext import arrow_table
from tokenergy_sql.terminal.table import say

TABLED = (
    *("query", "by", "site", "carbon", "cooling", "modules", "shift", "caps", "response"),
    *("storage", "swings", "comply", "efficiency", "revisions", "diff"),
)
"""The commands that print a table of results."""


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def refusal(*arguments: str) -> str:
    error = CliRunner().invoke(app, [*arguments]).exception
    assert isinstance(error, UserError), error
    assert "\n" not in str(error)
    return str(error)


@pytest.fixture(scope="module")
def lake(cluster: Lake) -> str:
    return str(cluster.root)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)


@pytest.mark.parametrize("command", TABLED)
def test_every_table_has_the_same_options(command: str) -> None:
    text = run(command, "--help")
    for option in ("--format", "--columns NAMES", "--wide", "--output FILE"):
        assert option in text, option


@pytest.mark.parametrize("output_format", FORMATS)
def test_no_format_rounds_but_the_table(lake: str, output_format: str, tmp_path: Path) -> None:
    """0.1 + 0.2 has 17 digits, and 38 digits are more than a float has."""
    file = tmp_path / "found"
    sql = f"SELECT 0.1::DOUBLE + 0.2::DOUBLE AS x, {'9' * 38}::DECIMAL(38,0) AS n, 1 AS x"
    run("query", sql, "--lake", lake, "--format", output_format, "--output", str(file))
    if output_format == "parquet":
        table = pq.read_table(file)
        assert table.column_names == ["x", "n", "x_2"]
        assert table.to_pylist() == [{"x": 0.30000000000000004, "n": Decimal("9" * 38), "x_2": 1}]
        return
    text = file.read_text("utf-8")
    assert ("0.30000000000000004" in text) == (output_format != "table")
    assert "9" * 38 in text
    if output_format == "json":
        assert json.loads(text)[0]["x_2"] == 1
    if output_format == "csv":
        assert text.splitlines()[0] == "x,n,x"


def test_a_table_says_that_it_rounds(lake: str) -> None:
    sql = "SELECT 2.0 / 3 AS x, 1768464060000000 AS t, 'a' AS word"
    assert "0.6667" in run("query", sql, "--lake", lake)
    assert "rounded to 4 digits (all of them: --digits full)" in run("query", sql, "--lake", lake)
    full = run("query", sql, "--lake", lake, "--digits", "full")
    assert "0.6666666666666666" in full
    assert "1768464060000000" in full
    assert full.rstrip().endswith("1 row")
    assert "0.67 " in run("query", sql, "--lake", lake, "--digits", "2")
    for wrong in ("0", "many", "-1", "18"):
        assert refusal("query", sql, "--lake", lake, f"--digits={wrong}").startswith("--digits ")


def test_columns_of_a_table_are_named_by_headings_or_as_in_csv(lake: str) -> None:
    names = "job,J/token GPU,j_per_token_gpu_bounds,e_gpu_nj"
    text = run("by", "job", "--lake", lake, "--columns", names)
    heading = [cell.strip() for cell in text.splitlines()[1].split("┃")]
    assert heading == ["job", "J/token GPU", "J/token GPU [low, high]", "e_gpu_nj"]
    exact = json.loads(run("by", "job", "--lake", lake, "--format", "json"))
    for row in exact:
        assert row["e_gpu_nj"] is None or str(row["e_gpu_nj"]) in text


@pytest.mark.parametrize("output_format", ["csv", "json", "parquet"])
def test_columns_of_rows_are_in_the_order_asked_for(
    lake: str, output_format: str, tmp_path: Path
) -> None:
    file = tmp_path / "rows"
    wanted = ("--columns", "te_gpu,value", "--output", str(file))
    run("by", "job", "--lake", lake, "--format", output_format, *wanted)
    whole = json.loads(run("by", "job", "--lake", lake, "--format", "json"))
    expected = [(row["te_gpu"], row["value"]) for row in whole]
    found = getattr(duckdb, f"read_{output_format}")(str(file))
    assert found.columns == ["te_gpu", "value"]
    assert found.fetchall() == expected


@pytest.mark.parametrize(
    ("output_format", "one"), [("table", "j_per_token_gpu"), ("csv", "te_gpu"), ("json", "te_gpu")]
)
def test_an_unknown_column_is_an_error_that_lists_those_there_are(
    lake: str, output_format: str, one: str
) -> None:
    text = refusal("by", "job", "--lake", lake, "--format", output_format, "--columns", "watts")
    assert text.startswith("--columns 'watts': no such column; there are ")
    assert f" {one}," in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--format", "xml"), "--format 'xml': expected table, json, csv or parquet"),
        (("--columns", " , "), "expected names of columns"),
        (("--format", "csv", "--wide"), "--wide: is for tables; --format csv has all columns"),
        (("--output", "/no/such/folder/x"), "/no/such/folder/x: cannot be written"),
    ],
)
def test_wrong_options_end_before_the_lake_is_read(arguments: tuple[str, ...], says: str) -> None:
    assert says in refusal("by", "job", "--lake", "/no/lake", *arguments)


@pytest.mark.usefixtures("terminal")
def test_parquet_is_not_for_a_terminal(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--format parquet: is not for a terminal; add --output"):
        asked("parquet")
    assert asked("parquet", file=tmp_path / "x").file == tmp_path / "x"


def test_only_a_terminal_is_too_narrow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")  # without codes of colours, which take no room
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    grid = Grid([Heading("a"), *[Heading(f"c{i}", "right", 1) for i in range(9)]], [["1" * 9] * 10])
    Output().show_tables([grid])
    assert "not shown, for lack of width: " in (shown := capsys.readouterr().out)
    assert "(all of them: --wide)" in shown
    Output(wide=True).show_tables([grid])
    wide = capsys.readouterr().out
    assert all(len(line) <= 80 for line in wide.splitlines())
    assert all(f"c{i}" in wide for i in range(9))
    assert "not shown" not in wide
    Output(file=tmp_path / "x").show_tables([grid])
    assert (tmp_path / "x").read_text().splitlines()[2].count("1" * 9) == 10


def test_lines_around_a_table_are_folded_outside_of_numbers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    Output().show_tables(["found 1,578,106,880 tokens in 123,456,789 s"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines] == [
        "found 1,578,106,880",
        "tokens in",
        "123,456,789 s",
    ]


def test_tables_that_have_none_of_the_columns_are_left_out() -> None:
    one = Grid([Heading("a"), Heading("b")], [["1", "2"]], "one")
    two = Grid([Heading("b"), Heading("c")], [["3", "4"]], "two", [{"raw": None}])
    assert [(g.title, g.rows) for g in choose([one, two], ["c"])] == [("two", [("4",)])]
    assert [g.title for g in choose([one, two], ["b"])] == ["one", "two"]
    assert choose([one, two], ["raw"])[0].rows == [("-",)]


def test_names_of_headings() -> None:
    texts = ["J/token GPU", "[low, high]", "known %", "cost", "", "known %", "[low, high] modelled"]
    assert typed_names(texts) == [
        *("j_per_token_gpu", "j_per_token_gpu_bounds", "known_percent", "cost", "cost_unit"),
        *("known_percent_2", "known_percent_bounds_modelled"),
    ]
    assert parse_columns("a, x [low, high] ,b,a") == ("a", "x [low, high]", "b")


def test_rows_of_any_kind_become_parquet(tmp_path: Path) -> None:
    names = ("whole", "long", "mixed", "text", "none", "object", "flag", "odd")
    rows = [
        (1, 2**70, 1, "a", None, {"b": 0.5}, True, 1),
        (None, Decimal(3), 0.25, None, None, [1], None, "x"),
    ]
    pq.write_table(arrow_table(names, rows), tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").to_pylist() == [
        {
            **{"whole": 1, "long": Decimal(2**70), "mixed": 1.0, "text": "a", "none": None},
            **{"object": '{"b": 0.5}', "flag": True, "odd": "1"},
        },
        {
            **{"whole": None, "long": Decimal(3), "mixed": 0.25, "text": None, "none": None},
            **{"object": "[1]", "flag": None, "odd": "x"},
        },
    ]


def test_a_lake_without_jobs_has_the_columns(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    text = run("by", "job", "--lake", str(tmp_path / "lake"), "--format", "csv")
    (names,) = csv.reader(io.StringIO(text))
    assert names[:3] == ["dimension", "value", "workload"]
    assert run("by", "job", "--lake", str(tmp_path / "lake"), "--format", "json") == "[]\n"


@pytest.mark.parametrize("width", [20, 40, 80])
def test_lines_are_folded_on_a_terminal_and_whole_in_a_pipe(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "   te_gpu_out = 123,456,789,012,345 / 1e9 / 1,578,106,880\n\n2. Next [b]x[/b]"
    for terminal in (True, False):
        out = io.StringIO()
        monkeypatch.setattr(out, "isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("NO_COLOR", "1")
        say(text)
        lines = out.getvalue().splitlines()
        assert {"123,456,789,012,345", "1,578,106,880"} <= set(out.getvalue().split())
        if terminal:
            assert all(len(line) <= width for line in lines)
        else:
            assert lines == text.splitlines()
