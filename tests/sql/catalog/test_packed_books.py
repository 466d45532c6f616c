"""Books of past days are read from one file a day, whatever happened to that file or its hours."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake, packedbooks
from tokenergy_sql.catalog.asking import ask
from tokenergy_sql.catalog.file import NAME, write_catalog
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import aggregate, worklist

TEXT = "SELECT count(*), sum(e_gpu_nj) FROM job_hour_index"
HOURS = 18
"""Sixteen of the first day, two of the next."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    builder = LakeBuilder(tmp_path_factory.mktemp("made") / "lake")
    builder.device("A")
    for number in range(HOURS):
        start_us = T0 + number * HOUR_US
        builder.power("A", level(100_000, start_us, start_us + 100 * S, S))
        builder.job(f"j{number:02}", "A", start_us, start_us + 90 * S)
    run(builder.lake)
    return builder.lake


@pytest.fixture
def lake(made: Lake, tmp_path: Path) -> Lake:
    copy = Lake(shutil.copytree(made.root, tmp_path / "lake"))
    write_catalog(copy)
    return copy


def run(lake: Lake, hours: list[int] | None = None) -> None:
    for hour, node in worklist(lake):
        aggregate(lake, hour, node, S, "cpu")
    index(lake, Site(None, None, {}), hours, progress=lambda _: None)


def answers(lake: Lake) -> list[object]:
    """Return what the product and a DuckDB client say."""
    with duckdb.connect(str(lake.root / NAME), read_only=True) as con:
        return [ask(Lake(lake.root), "test", lambda c: c.execute(TEXT).fetchone()),
                con.execute(TEXT).fetchone()]  # fmt: skip


def packs(lake: Lake, table: str = "job_hour_index") -> list[Path]:
    return sorted((lake.root / packedbooks.FOLDER / table).rglob("*.parquet"))


RIGHT = (HOURS, HOURS * 90 * 100 * 1_000_000_000)


def test_a_day_is_one_file(lake: Lake) -> None:
    assert len(lake.files("job_hour_index")) == HOURS
    assert [len(packs(lake, name)) for name in ("job_hour_index", "job_index", "ledger")] == [
        1,
        1,
        0,
    ]
    assert len(lake.whole_files("job_hour_index", 0)) == 3
    assert answers(lake) == [RIGHT, RIGHT]
    rows = lake.read("job_hour_index")
    one_by_one = [lake.read("job_hour_index", [hour]) for hour in lake.hours("job_hour_index")]
    assert rows.to_pylist() == [row for part in one_by_one for row in part.to_pylist()]


def test_a_restated_hour_is_packed_again(lake: Lake) -> None:
    before = packs(lake)
    more = {"recorded_us": T0 + 30 * HOUR_US}
    LakeBuilder(lake.root).job("j03", "A", T0 + 3 * HOUR_US, T0 + 3 * HOUR_US + 50 * S, **more)
    with duckdb.connect(str(lake.root / NAME), read_only=True) as con:
        run(lake, [T0 + 3 * HOUR_US])
        assert con.execute(TEXT).fetchone() == RIGHT, "it is open at the revision before"
    now = (HOURS, RIGHT[1] - 40 * 100 * 1_000_000_000)
    assert answers(lake) == [now, now]
    assert len(packs(lake)) == 2
    assert before[0].exists()


def test_without_them(lake: Lake) -> None:
    shutil.rmtree(lake.root / packedbooks.FOLDER)
    with pytest.raises(duckdb.IOException, match="books/days"):
        answers(lake)
    run(lake)
    assert answers(lake) == [RIGHT, RIGHT]


@pytest.mark.parametrize("keep", [0, -40])
def test_a_damaged_one_is_removed(lake: Lake, keep: int) -> None:
    (path,) = packs(lake)
    data = bytearray(path.read_bytes())
    if keep:
        path.write_bytes(data[:keep])
    else:
        data[100:140] = bytes(40)
        path.write_bytes(data)
    found = ask(Lake(lake.root), "test", lambda con: con.execute("FROM job_hour_index").fetchall())
    assert len(found) == HOURS
    assert not path.exists()
    run(lake)
    assert answers(lake) == [RIGHT, RIGHT]


def test_a_file_that_is_missing_is_missed_only_by_who_needs_it(lake: Lake) -> None:
    """The packed copy answers; the index derives the hour again."""
    path = lake.files("job_hour_index")[3]
    path.unlink()
    assert answers(lake) == [RIGHT, RIGHT]
    with pytest.raises(UserError, match="is missing; run `tokenergy heal --hour 2026-01-15T11`"):
        lake.read("job_hour_index", [T0 + 3 * HOUR_US])
    run(lake)
    assert path.exists()
