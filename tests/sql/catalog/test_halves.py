"""catalog.duckdb: what is past is not written again; it says what one made from scratch says."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder
from tests.support.long import pairs
from tokenergy_collectors.lake import Lake, keptallocations
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_sql.catalog import content, file, note
from tokenergy_sql.catalog.file import NAME, write_catalog

DAY_US = 24 * HOUR_US
ABOUT = {
    # DuckDB writes the names after EXCLUDE in any order.
    "views": r"schema_name, view_name, comment, regexp_replace(sql, 'EXCLUDE \([^)]*\)', '', 'g')",
    "columns": "schema_name, table_name, column_name, column_index, data_type, comment",
    "tables": "schema_name, table_name, comment, sql",
    "functions": "schema_name, function_name, comment, parameters::VARCHAR",
}
"""What a client may ask about tables, views and macros."""


@pytest.fixture
def lake(cluster: Lake, tmp_path: Path) -> Lake:
    """A lake with books of a month ago and jobs that ended then."""
    copied = Lake(shutil.copytree(cluster.root, tmp_path / "lake"))
    for days in (40, 41):
        _add_hour(copied, T0 - days * DAY_US)
        LakeBuilder(copied.root).job(
            f"old-{days}", "A", T0 - days * DAY_US, T0 - days * DAY_US + HOUR_US
        )
    write_catalog(copied)
    return copied


def _add_hour(lake: Lake, hour_us: int, rows: int = 2) -> None:
    first, *_ = lake.files("job_index")
    table = pq.read_table(first, partitioning=None)
    lake.replace("job_index", table.slice(0, rows), hour_us, "job_index")


def _said(path: Path, scratch: Path) -> dict[str, Any]:
    """Return all that a catalog says; of a copy, as this process may have the file open."""
    copy = shutil.copyfile(path, scratch / f"{path.stat().st_ino}-{path.stat().st_mtime_ns}.duckdb")
    with duckdb.connect(str(copy), read_only=True) as con:
        names = [name for (name,) in con.execute("SHOW TABLES").fetchall()]
        rows: dict[str, Any] = {
            name: sorted(con.execute(f"FROM {name}").fetchall(), key=repr) for name in names
        }
        for kind, names in ABOUT.items():
            found = con.table_function(f"duckdb_{kind}").filter("NOT internal").project(names)
            rows[f"duckdb_{kind}"] = sorted(found.fetchall(), key=repr)
        return rows


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What of the books and the allocations is written, from now on: names of parts."""
    found: list[str] = []
    view, store = content._view, content._store

    def viewing(part: Any, text: str) -> str:
        found.append(f"{part.half}.{part.table}")
        return view(part, text)

    def storing(con: Any, name: str, rows: Any) -> None:
        found.append(name)
        store(con, name, rows)

    monkeypatch.setattr(content, "_view", viewing)
    monkeypatch.setattr(content, "_store", storing)
    return found


def test_a_new_hour_writes_only_what_is_recent(lake: Lake, made: list[str]) -> None:
    _add_hour(lake, T0 + 5 * HOUR_US)
    LakeBuilder(lake.root).job("new", "A", T0 + 5 * HOUR_US, None)
    write_catalog(lake)
    assert sorted(made) == ["recent.allocation", "recent.job_index"]
    made.clear()
    _add_hour(lake, T0 - 40 * DAY_US, 1)  # restated
    write_catalog(lake)
    assert made == ["past.job_index"]
    made.clear()
    LakeBuilder(lake.root).job(
        "late", "A", T0 - 45 * DAY_US, T0 - 44 * DAY_US, recorded_us=T0 + 9 * HOUR_US
    )
    write_catalog(lake)
    assert made == ["past.allocation"]


def test_what_was_recent_becomes_past(lake: Lake, made: list[str]) -> None:
    _add_hour(lake, T0 + 40 * DAY_US)
    write_catalog(lake)
    assert {"past.job_index", "past.ledger", "past.allocation"} <= {*made}
    with duckdb.connect(str(lake.root / NAME), read_only=True) as con:
        found = con.sql(
            "SELECT (SELECT count(*) FROM past.job_index), (SELECT count(*) FROM recent.job_index)"
        )
        past, recent = found.fetchall()[0]
        assert past == len(lake.read("job_index")) - 2
        assert recent == 2


def test_past_allocations_are_not_digested_again(
    lake: Lake, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keptallocations, "_MANY", 1)
    builder, digested = LakeBuilder(lake.root), list[int]()
    builder.job("first", "A", T0, T0 + HOUR_US)
    write_catalog(lake, allocations(lake))
    digest_of = content.digest_of

    def digesting(rows: Any) -> str:
        digested.append(len(rows))
        return digest_of(rows)

    monkeypatch.setattr(content, "digest_of", digesting)
    builder.job("new", "A", T0 + 5 * HOUR_US, None)
    held = allocations(lake)
    write_catalog(lake, held)
    assert digested == [len(held) - 2]
    builder.job("late", "A", T0 - 45 * DAY_US, T0 - 44 * DAY_US)
    made.clear()
    write_catalog(lake, allocations(lake))
    assert digested[1:] == [3, len(held) - 2]
    assert made == ["past.allocation"]


@pytest.mark.parametrize(("seed", "many"), pairs(range(3), [1, 10_000], always=2))
def test_it_says_the_same_as_one_made_from_scratch(
    lake: Lake, seed: int, many: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keptallocations, "_MANY", many)
    rng = random.Random(seed)
    for step in range(6):
        hour_us = T0 + rng.choice([-40, -39, -1, 0, 1, 33]) * DAY_US + rng.randrange(4) * HOUR_US
        if rng.random() < 0.6:
            _add_hour(lake, hour_us, rng.randrange(3))
        if rng.random() < 0.3:
            lake.remove("job_index", rng.choice(lake.hours("job_index")), "job_index")
        if rng.random() < 0.6:
            end_us = None if rng.random() < 0.3 else hour_us + rng.randrange(1, 3 * HOUR_US)
            LakeBuilder(lake.root).job(f"more-{step}", rng.choice("AB"), hour_us, end_us)
        if rng.random() < 0.3:
            broken = lake.root / "power" / f"date=2026-01-0{step + 1}" / "hour=00"
            broken.mkdir(parents=True, exist_ok=True)
            (broken / f"n1-1-{step}.parquet").write_bytes(b"no parquet at all")
            lake.valid_files("power")
        held = allocations(lake) if rng.random() < 0.6 else None  # as a run of the index does
        renewed = _said(write_catalog(lake, held), tmp_path)
        shutil.copyfile(lake.root / note.PLACE, tmp_path / "note")
        stat = (lake.root / NAME).stat()
        shutil.copy2(lake.root / NAME, tmp_path / "renewed")
        (lake.root / note.PLACE).unlink()
        scratch = _said(write_catalog(lake), tmp_path)
        for name, rows in scratch.items():
            assert rows == renewed[name]
        # Go on from the one that was renewed, not from the one made from scratch.
        shutil.copy2(tmp_path / "renewed", lake.root / NAME)
        os.utime(lake.root / NAME, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        shutil.copyfile(tmp_path / "note", lake.root / note.PLACE)


def test_one_whose_bytes_another_has_changed_is_made_from_scratch(
    lake: Lake, tmp_path: Path
) -> None:
    path = lake.root / NAME
    before, data = path.stat(), bytearray(path.read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 4_096):
        data[place] ^= 0xFF
    path.write_bytes(bytes(data))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    _add_hour(lake, T0 + 5 * HOUR_US)
    found = _said(write_catalog(lake), tmp_path)
    (lake.root / note.PLACE).unlink()
    assert _said(write_catalog(lake), tmp_path) == found


def test_one_that_has_grown_is_made_from_scratch(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(note, "_ROOM_BYTES", 0)
    monkeypatch.setattr(note, "_GROWN", 1)
    made: list[object] = []
    make = file._make

    def making(*some: Any) -> None:
        made.append(some)
        make(*some)

    monkeypatch.setattr(file, "_make", making)
    first = (lake.root / NAME).stat().st_size
    for number in range(40):
        _add_hour(lake, T0 + 5 * HOUR_US, number % 3)
        write_catalog(lake)
        if made:
            break
    assert made
    assert (lake.root / NAME).stat().st_size <= 2 * first


def test_a_catalog_that_is_renewed_often_stays_small(lake: Lake) -> None:
    first = (lake.root / NAME).stat().st_size
    for number in range(40):
        _add_hour(lake, T0 + 5 * HOUR_US, number % 3)
        write_catalog(lake)
    assert (lake.root / NAME).stat().st_size <= 2 * first + (1 << 22)
