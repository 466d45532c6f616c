"""`import events`: a list becomes rows of `grid_event` once; corrections count, nothing is lost."""

from __future__ import annotations

import pytest

from tests.support.commands import command
from tests.support.snapshot import snapshot
from tokenergy_collectors.lake import Lake

HEADER = "event_id,start,end,reduce_kw,reduce_percent,target_kw,name,program,status\n"
NOW = 'SELECT event_id, "interval", reduce_mw, status FROM grid_event_now ORDER BY 1, 2'


@pytest.fixture
def load(tmp_path):
    """Import the lines of a list; return the exit code and both outputs."""

    def load(text, *more, header=HEADER):
        path = tmp_path / "events.csv"
        path.write_text(header + text)
        lake = str(tmp_path / "lake")
        return command("tokenergy-collect", "import", "events", str(path), "--lake", lake, *more)

    return load


def rows(tmp_path):
    found = Lake(tmp_path / "lake").read("grid_event").to_pylist()
    return sorted(found, key=lambda row: (row["recorded_us"], row["event_id"], row["interval"]))


def now(tmp_path):
    code, out, _ = command(
        "tokenergy", "query", NOW, "--lake", str(tmp_path / "lake"), "--format", "csv"
    )
    assert code == 0
    return out.splitlines()[1:]


def test_a_list_becomes_rows_once(load, tmp_path):
    text = (
        "a,2026-01-15 17:00,2026-01-15 18:00,120.5,,,peak,fast,\n"
        "a,2026-01-15 18:00,2026-01-15 18:30,60,,,peak,fast,\n"
        "b,2026-01-16T17:00:00Z,2026-01-16T18:00:00Z,,12.5,,,,completed\n"
        "c,2026-01-17T17:00:00Z,2026-01-17T18:00:00Z,,,800,,,\n"
        "d,2026-01-18T17:00:00Z,2026-01-18T18:00:00Z,,,,,,\n"
    )
    code, out, err = load(text, "--tz", "Europe/Berlin")
    assert (code, err) == (0, "")
    assert out.startswith(
        "read 5 intervals of 4 events, 2026-01-15 16:00:00 to 2026-01-18 18:00:00"
    )
    found = rows(tmp_path)
    assert [(r["event_id"], r["interval"], r["reduce_mw"], r["reduce_ppm"], r["target_mw"])
            for r in found] == [
        ("a", 0, 120_500_000, None, None),
        ("a", 1, 60_000_000, None, None),
        ("b", 0, None, 125_000, None),
        ("c", 0, None, None, 800_000_000),
        ("d", 0, None, None, None),
    ]  # fmt: skip
    assert found[0]["start_us"] == 1_768_492_800_000_000
    assert {(r["source"], r["node"], r["opt"], r["vtn"]) for r in found} == {
        ("csv", "grid", None, None)
    }
    before = snapshot(Lake(tmp_path / "lake"))
    code, out, _ = load(text, "--tz", "Europe/Berlin")
    assert "already imported: nothing changed" in out
    assert snapshot(Lake(tmp_path / "lake")) == before


def test_what_was_imported_last_counts_also_if_it_was_said_before(load, tmp_path):
    line = "a,2026-01-15T{}:00Z,2026-01-15T18:00Z,{},,,,,{}\n"
    for hour, kw, status in ((16, 100, ""), (17, 50, ""), (17, 50, "cancelled"), (16, 100, "")):
        assert load(line.format(hour, kw, status))[0] == 0
    assert [row["reduce_mw"] for row in rows(tmp_path)] == [10**8, 5 * 10**7, 5 * 10**7, 10**8]
    assert now(tmp_path) == ["a,0,100000000,"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no events"),
        (",2026-01-15T16:00Z,2026-01-15T17:00Z,1,,,,,\n", "line 2: event_id is empty"),
        ("a,2026-01-15T17:00Z,2026-01-15T17:00Z,1,,,,,\n", "does not end after it begins"),
        ("a,2026-01-15T16:00Z,2026-01-15T17:00Z,1,2,,,,\n", "reduce_kw and reduce_percent"),
        ("a,2026-01-15T16:00Z,2026-01-15T17:00Z,x,,,,,\n", "reduce_kw 'x': expected a number"),
        ("a,2026-01-15T16:00Z,2026-01-15T17:00Z,nan,,,,,\n", "expected a number"),
        ("a,2026-01-15T16:00Z,2026-01-15T17:00Z,-1,,,,,\n", "reduce_kw '-1': expected 0 or more"),
        ("a,2026-01-15T16:00Z,2026-01-15T17:00Z,,101,,,,\n", "expected 0 to 100"),
        ("a,2026-01-15T16:00Z,2026-01-15T17:00Z,,,,,,over\n", "status 'over': expected none, far"),
        ("a,soon,2026-01-15T17:00Z,,,,,,\n", "line 2:"),
        ("a,2026-01-15T16:00Z\n", "2 values in"),
    ],
)  # fmt: skip
def test_a_bad_line_is_one_error_and_writes_nothing(load, tmp_path, text, message):
    code, _, err = load(text)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert not [*tmp_path.glob("lake/**/*.parquet")]


def test_columns_are_checked(load):
    assert "has no column 'end'" in load("a,1\n", header="event_id,start\n")[2]
    found = load("a,1,2,3\n", header="event_id,start,end,kw\n")[2]
    assert "unknown column 'kw': expected event_id, start, end, reduce_kw" in found
