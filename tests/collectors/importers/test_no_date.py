"""Rows whose time is no date: they are left out and said, and cost no other row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tokenergy_collectors.importers.cli import app
from tokenergy_collectors.lake import Lake

Write = Callable[[str | bytes], Path]
GOOD = "2026-01-15T08:00:00Z"
NO_DATE = [
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-05:00"),
    *("0001-01-01T00:00:00+05:00", "0", "1970-01-01T00:00:00Z"),
]
FILES = {
    "nvidia-smi": ("power", "timestamp,uuid,power.draw\n", "{},GPU-a,100\n"),
    "counters": ("tokens", "timestamp,generation_tokens\n", "{},5\n"),
    "jobs": ("jobs", "job_id,node,device,start,end\n", "{0}j,n1,0,{0},\n"),
}
OPTIONS = {
    "nvidia-smi": ["--node", "n1"],
    "counters": ["--node", "n1", "--job", "j", "--model", "m"],
    "jobs": [],
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("stamp", NO_DATE)
def test_a_row_without_a_date_is_left_out(
    tmp_path: Path, write: Write, kind: str, stamp: str
) -> None:
    table, header, row = FILES[kind]
    for good in (True, False):
        lake = tmp_path / f"lake-{good}"
        path = write(header + (row.format(GOOD) if good else "") + row.format(stamp))
        args = [kind, str(path), "--lake", str(lake), *OPTIONS[kind]]
        result = CliRunner().invoke(app, args, catch_exceptions=False)
        assert result.exit_code == 0
        said = result.output.splitlines()
        assert said[1].startswith("left out 1 line: time outside the years 2000 to 2099 (line ")
        assert stamp in said[1]
        if good:
            assert said[0].startswith("read 1 ")
            assert len(Lake(lake).files(table)) == 1
        else:
            assert said[0].startswith("read 0 ")
            assert said[2] == "nothing to import: nothing changed"
            assert list(lake.rglob("*.parquet")) == []


def test_an_end_without_a_date_leaves_the_row_out(tmp_path: Path, write: Write) -> None:
    path = write(f"{FILES['jobs'][1]}j,n1,0,{GOOD},9999-12-31T23:59:59Z\n")
    result = CliRunner().invoke(app, ["jobs", str(path), "--lake", str(tmp_path / "lake")])
    assert result.exit_code == 0
    assert "left out 1 line: time outside" in result.output
