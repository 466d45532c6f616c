"""Compaction and expiry that are killed again and again: readers see each row once all the time."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from tests.kills.week import Readers, declare, fill, kill_often, run
from tests.support.late import derived
from tokenergy_collectors.lake import Lake, compacted
from tokenergy_collectors.lake.paths import hour_of_path, node_of
from tokenergy_collectors.lake.sealed import RAW_TABLES
from tokenergy_sql.catalog.asking import ask
from tokenergy_sql.catalog.file import NAME

pytestmark = pytest.mark.e2e

HOURS = 28
KILLS = 25
ROWS = (
    "SELECT (SELECT (count(*), sum(ts_us)) FROM power), (SELECT (count(*), sum(value)) FROM tokens)"
)
COMPACT = ("compact", "--older-than", "1h", "--grace")


class RowReaders(Readers):
    """Ask for the rows of raw tables; DuckDB may have to ask again."""

    def __init__(self, lake: Lake) -> None:
        super().__init__(lake)
        self.refused: Counter[str] = Counter()

    def _by_product(self) -> object:
        return ask(Lake(self._lake.root), "test", lambda con: con.execute(ROWS).fetchone())

    def _by_catalog(self) -> object:
        try:
            with duckdb.connect(str(self._lake.root / NAME), read_only=True) as con:
                return con.execute(ROWS).fetchone()
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            gone = "No such file" in str(error) or "does not exist" in str(error)
            if not gone and compacted.UNDER_WAY not in str(error):
                raise
            self.refused["gone" if gone else "under way"] += 1
            return "again"


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with books, its raw files split as a collector would: several for each hour."""
    lake = fill(tmp_path_factory.mktemp("indexed") / "lake", HOURS)
    for name in ("power", "tokens"):
        for path in lake.files(name):
            rows = lake.read(name, [hour_of_path(path)], node=node_of(path))
            path.unlink()
            for first in range(0, len(rows), len(rows) // 12 + 1):
                lake.append(name, rows.slice(first, len(rows) // 12 + 1), node_of(path))
    declare(lake, 1.2)
    run(lake, "index")
    return lake


def copied(lake: Lake, folder: Path) -> Lake:
    copy = Lake(shutil.copytree(lake.root, folder / "lake"))
    run(copy, "catalog")  # its paths are absolute
    return copy


def raw_files(lake: Lake) -> int:
    return sum(len([*(lake.root / name).rglob("*.parquet")]) for name in RAW_TABLES)


def test_a_compaction_killed_at_many_points(indexed: Lake, tmp_path: Path) -> None:
    lake = copied(indexed, tmp_path)
    books, before = derived(lake), raw_files(lake)
    wanted = ask(lake, "test", lambda con: con.execute(ROWS).fetchone())
    with RowReaders(lake) as readers:
        # The first step only; then the sources give way, a few folders in each run.
        kills = kill_often(lake, KILLS // 2, 1.4, 1, *COMPACT, "100h")
        run(lake, *COMPACT, "100h")
        kills += kill_often(lake, KILLS - KILLS // 2, 1.4, 2, *COMPACT, "0s")
        run(lake, *COMPACT, "0s")
    print(f"killed {kills} times; refused: {dict(readers.refused)}")
    for client, seen in readers.seen.items():
        print(f"{client}: {seen}")
        assert set(seen) - {"again"} == {wanted}
    assert "again" not in readers.seen["tokenergy"]
    print(f"{before} raw files, {raw_files(lake)} now")
    assert raw_files(lake) * 5 < before
    assert derived(lake) == books
    assert "nothing has changed" in run(lake, "index")
    run(lake, "stale")
    run(lake, "check")


def test_an_expiry_killed_at_many_points(indexed: Lake, tmp_path: Path) -> None:
    lake = copied(indexed, tmp_path)
    books = {name: data for name, data in derived(lake).items() if "segment" not in name}
    run(lake, *COMPACT, "0s")
    keep = ("--keep", "power=2d", "--keep", "segment=2d")
    kills = kill_often(lake, KILLS, 1.4, 3, "expire", *keep)
    run(lake, "expire", *keep)
    print(f"killed {kills} times")
    assert lake.hours("power") == lake.hours("segment") == []
    now = {name: data for name, data in derived(lake).items() if "segment" not in name}
    assert now == books
    assert "nothing has changed" in run(lake, "index")
    run(lake, "stale")
    run(lake, "check")
