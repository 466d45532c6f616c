"""The benchmark of booking: both sides are timed on the same hour, and a difference is found."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from benchmarks.scale.fleet import make_lake

from benchmarks import booking as command
from tokenergy_collectors.lake import Lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return make_lake(tmp_path_factory.mktemp("booking") / "lake", 3, 1)[0]


def test_both_sides_are_timed(lake: Lake) -> None:
    found = command.book(lake, 2)
    assert list(found) == list(command.SIDES)
    assert all(len(took) == 2 for took in found.values())
    assert all(seconds > 0 and cpu > 0 for took in found.values() for seconds, cpu in took)


def test_one_unit_of_difference_is_found(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    right = command.ledger_by_sql

    def wrong(con: duckdb.DuckDBPyConnection) -> tuple[pa.Table, pa.Table]:
        rows, by_segment = right(con)
        place = rows.schema.get_field_index("energy_nj")
        off = pc.add(rows["energy_nj"], pa.scalar(1, pa.int64()))
        return rows.set_column(place, rows.field(place), off), by_segment

    monkeypatch.setattr(command, "ledger_by_sql", wrong)
    monkeypatch.setattr(command, "make_lake", lambda _root, _devices, _hours: (lake, 1))
    monkeypatch.setattr("sys.argv", ["booking", "--runs", "1"])
    assert command.main() == 1
    assert "energy_nj differs" in capsys.readouterr().out
