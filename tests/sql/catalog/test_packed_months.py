"""Books of past months are read from one file a month, if they are small."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder
from tests.support.long import pairs, seeds
from tokenergy_collectors.lake import Lake, books, keptallocations, packedbooks
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_sql.catalog.asking import ask
from tokenergy_sql.catalog.file import NAME, write_catalog

TABLE = "job_index"
DAY_US = 24 * HOUR_US
FIRST_US = T0 - 60 * DAY_US
"""In November 2025; `T0` is in January 2026."""

DAYS = (0, 1, 2, 5, 9, 20, 21, 22, 30, 31, 50, 52)
"""From then on: five in November, five in December, two in January."""

ALL = 10_000

TEXT = f"SELECT count(*), count(DISTINCT job_id), max(as_of_us) FROM {TABLE}"  # noqa: S608 - a constant


@pytest.fixture
def lake(cluster: Lake, tmp_path: Path) -> Lake:
    """Five hours on each of some days from November to January, each with a row or two."""
    lake = Lake(shutil.copytree(cluster.root, tmp_path / "lake"))
    for day in DAYS:
        for hour in range(5):
            put(lake, FIRST_US + day * DAY_US + hour * HOUR_US, 1 + (day + hour) % 2)
    return lake


def put(lake: Lake, hour_us: int, rows: int) -> None:
    table = lake.read(TABLE, [T0])
    if not len(table):
        table = lake.read(TABLE)
    lake.replace(TABLE, table.slice(0, rows), hour_us, TABLE)


def packs(lake: Lake) -> list[Path]:
    return [Path(path) for path in lake.whole_places(TABLE, 0)]


def months(lake: Lake) -> list[str]:
    return [
        path.parent.name for path in packs(lake) if len(path.parent.name) == len("date=YYYY-MM")
    ]


def check(lake: Lake) -> None:
    """A product's reader, a client, and whoever reads hour by hour see the same rows."""
    one_by_one = [row for hour in lake.hours(TABLE) for row in lake.read(TABLE, [hour]).to_pylist()]
    assert lake.read(TABLE).to_pylist() == one_by_one
    write_catalog(lake)
    with duckdb.connect(str(lake.root / NAME), read_only=True) as con:
        told = con.execute(TEXT).fetchall()
    assert told == ask(Lake(lake.root), "test", lambda con: con.execute(TEXT).fetchall())
    assert told[0][0] == len(one_by_one)


def test_past_months_are_one_file_each(lake: Lake) -> None:
    lake.whole_places(TABLE, ALL)
    assert months(lake) == ["date=2025-11", "date=2025-12"]
    assert len(packs(lake)) == 2 + 2 + len({*lake.hours(TABLE)} & {T0, T0 + HOUR_US})
    check(lake)


@pytest.fixture
def kept(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """The lake with a catalog, with all packed and with allocations that are kept."""
    monkeypatch.setattr(keptallocations, "_MANY", 1)
    for _ in range(4):  # seven days at a time
        put(lake, T0 + HOUR_US, 1)
        put(lake, T0 + HOUR_US, 2)
        write_catalog(lake, allocations(lake))
    return lake


def test_a_catalog_of_the_published_list_is_left_alone(
    kept: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (kept.root / NAME).stat()
    with monkeypatch.context() as patch:
        patch.setattr(books.Books, "current", None)  # whoever reads the list fails
        write_catalog(Lake(kept.root))
        put_quarantined(kept)
        with pytest.raises(TypeError):
            write_catalog(Lake(kept.root))
    assert (kept.root / NAME).stat() == made
    check(kept)


@pytest.mark.parametrize("change", pairs(["packed", "job", "list", "catalog"], always=2))
def test_a_catalog_follows_what_changes(
    kept: Lake, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    if change == "list":
        put(kept, T0, 1)
    elif change == "job":
        LakeBuilder(kept.root).job("another", "A", T0, None)
    elif change == "packed":
        shutil.rmtree(kept.root / packedbooks.FOLDER / TABLE / "date=2025-11")
    else:
        (kept.root / NAME).unlink()
    check(kept)
    with duckdb.connect(str(kept.root / NAME), read_only=True) as con:
        found = con.sql("SELECT count(*) FROM allocation").fetchall()
    assert found == [(len(allocations(kept)),)]


def put_quarantined(lake: Lake) -> None:
    broken = lake.root / "power" / "date=2026-01-02" / "hour=00" / "n1-1-x.parquet"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no parquet at all")
    lake.valid_files("power")


def test_reading_packs_nothing(lake: Lake) -> None:
    assert lake.read(TABLE).num_rows
    assert not (lake.root / packedbooks.FOLDER).exists() or not months(lake)


def test_they_are_packed_a_few_days_at_a_time(lake: Lake) -> None:
    found = []
    for _ in range(4):
        lake.whole_places(TABLE, 4)
        found.append((len(months(lake)), len(packs(lake))))
    assert found[0][0] == 0
    assert [files for _, files in found] == sorted((files for _, files in found), reverse=True)
    assert found[-1][0] == 2
    check(lake)


def test_large_months_stay_in_days(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packedbooks, "_MONTH_BYTES", 10_000)
    lake.whole_places(TABLE, ALL)
    assert months(lake) == []
    assert len(packs(lake)) > 10
    check(lake)


@pytest.mark.parametrize("seed", seeds(2))
def test_whatever_happens_to_them(lake: Lake, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(6):
        lake.whole_places(TABLE, rng.choice([0, 7, ALL]))
        what, hour_us = rng.choice(["restated", "gone", "damaged", "new"]), 0
        if what == "restated":
            put(lake, rng.choice(lake.hours(TABLE)), rng.randrange(1, 3))
        elif what == "gone":
            lake.remove(TABLE, rng.choice(lake.hours(TABLE)[:100]), TABLE)
        elif what == "new":
            hour_us = FIRST_US + rng.randrange(80) * DAY_US + rng.randrange(24) * HOUR_US
            put(lake, hour_us, 2)
        else:
            files = sorted((lake.root / packedbooks.FOLDER / TABLE).rglob("*.parquet"))
            for path in rng.sample(files, len(files) // 2):
                path.write_bytes(path.read_bytes()[: rng.choice([0, 40, 400])])
            lake.quarantine_damaged([])
        check(lake)


def test_a_damaged_month_is_left_for_its_hours(lake: Lake) -> None:
    lake.whole_places(TABLE, ALL)
    before = lake.read(TABLE).to_pylist()
    path = next(path for path in packs(lake) if path.parent.name == "date=2025-12")
    path.write_bytes(path.read_bytes()[:-40])
    assert lake.read(TABLE).to_pylist() == before
    assert not path.exists()
    check(lake)
