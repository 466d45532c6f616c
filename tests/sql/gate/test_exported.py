"""A baseline as a file: it comes back as it was, and what is no baseline is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sql.gate.planted import Runs, side_of
from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.gate.exported import COLUMNS, read_side_file, write_side
from tokenergy_sql.gate.side import Side


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_side(side_of(Runs(blocks=8)), tmp_path / "base.json")
    return tmp_path / "base.json"


def test_a_side_comes_back_as_it_was(written: Path) -> None:
    assert read_side_file(written, "BASE") == side_of(Runs(blocks=8))


def test_a_line_is_a_row(written: Path) -> None:
    lines = written.read_text("utf-8").splitlines()
    assert sum('"start_us"' in line for line in lines) == 8


@pytest.mark.parametrize("name", COLUMNS)
def test_every_missing_column_is_named(written: Path, name: str) -> None:
    for column in COLUMNS[name]:
        found: dict[str, Any] = json.loads(written.read_text("utf-8"))
        del found[name][0][column]
        other = written.with_name("other.json")
        other.write_text(json.dumps(found), "utf-8")
        with pytest.raises(UserError, match=rf"{name}\[0\]: has no '{column}'"):
            read_side_file(other, "BASE")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[]", 'has no "tokenergy_gate": 1'),
        ('{"tokenergy_gate": 2}', 'has no "tokenergy_gate": 1'),
        ('{"tokenergy_gate": 1, "hours": {}}', "has no list 'hours'"),
        ('{"tokenergy_gate": 1, "hours": [3]}', r"hours\[0\]: expected an object"),
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, "utf-8")
    with pytest.raises(UserError, match=message) as caught:
        read_side_file(path, "HEAD")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [("blocks", "tokens", 0), ("blocks", "energy_nj", "1"), ("blocks", "device_us", True),
     ("hours", "energy_nj", None), ("hours", "workload", None)],
)  # fmt: skip
def test_a_value_that_cannot_be_is_refused(
    written: Path, name: str, column: str, value: object
) -> None:
    found = json.loads(written.read_text("utf-8"))
    found[name][0][column] = value
    written.write_text(json.dumps(found), "utf-8")
    with pytest.raises(UserError, match=rf"{name}\[0\]"):
        read_side_file(written, "BASE")


def test_an_empty_side_is_a_file_too(tmp_path: Path) -> None:
    write_side(Side("none", [], [], []), tmp_path / "x.json")
    assert read_side_file(tmp_path / "x.json", "BASE") == Side("none", [], [], [])
