"""Compaction: many files become one, and every reader sees each row once, whenever it dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tokenergy_collectors.lake import Lake, compacted
from tokenergy_collectors.lake.compaction import BusyError, compact, locked
from tokenergy_collectors.lake.contract import POWER
from tokenergy_collectors.upload.folder import FolderStore
from tokenergy_collectors.upload.store import Content
from tokenergy_sql.catalog.content import select_pattern
from tokenergy_sql.catalog.file import write_catalog

EVER = 2**62
NODES = ("n", "n-1")
"""The name of one begins like that of the other."""

FILES = 4


def fill(root: Path) -> Lake:
    """Two nodes with four files of power each in two hours, and a file of another program."""
    builder = LakeBuilder(root)
    for node in NODES:
        for hour_us in (T0, T0 + HOUR_US):
            for part in range(FILES):
                first_us = hour_us + part * 300 * S
                rows = [(first_us + s * S, 100_000 + part) for s in range(5)]
                builder.power(f"{node} A", rows, node=node)
    foreign = builder.lake.files("power")[0].with_name("foreign.parquet")
    table = builder.lake.read("power").slice(0, 2)
    pq.write_table(table.set_column(1, "device_id", pa.array(["F A", "F A"])), foreign)
    write_catalog(builder.lake)
    return builder.lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return fill(tmp_path / "lake")


def rows_of(lake: Lake) -> list[tuple[Any, ...]]:
    """All rows that a reader sees who opens the lake now."""
    found = Lake(lake.root).read("power", columns=["device_id", "ts_us", "power_mw"]).to_pylist()
    return [tuple(row.values()) for row in found]


def rows_or_refused(
    ask: Callable[[], duckdb.DuckDBPyRelation],
) -> list[tuple[Any, ...]] | None:
    """Rows of power as DuckDB finds their files by a pattern; None if it must ask again."""
    try:
        return ask().project("device_id, ts_us, power_mw").fetchall()
    except duckdb.InvalidInputException as error:
        if compacted.UNDER_WAY not in str(error):
            raise
        return None


def by_pattern(lake: Lake) -> list[tuple[Any, ...]] | None:
    with duckdb.connect(str(lake.root / "catalog.duckdb"), read_only=True) as con:
        return rows_or_refused(lambda: con.table("power"))


def names(lake: Lake) -> set[str]:
    return {path.name for path in (lake.root / "power").rglob("*.parquet")}


def test_a_call_takes_each_hour_as_far_as_it_may_go(lake: Lake) -> None:
    rows, before = rows_of(lake), names(lake)
    sources = lake.sources("power", lake.hours("power"))
    done = compact(lake, EVER)
    assert (done.made, done.sources, done.removed, done.waiting) == (4, 16, 0, 16)
    assert names(lake) == before
    assert by_pattern(lake) is not None
    assert [path.name for path in lake.files("power")] != [path.name for path in sources]

    done = compact(lake, EVER)
    assert (done.made, done.removed, done.waiting) == (0, 0, 16)
    done = compact(lake, EVER, 0)
    assert (done.made, done.removed, done.waiting) == (0, 16, 0)
    assert len(names(lake)) == 5
    assert not [*(lake.root / compacted.FOLDER).rglob("*.parquet")]
    assert sorted(rows_of(lake)) == sorted(by_pattern(lake) or []) == sorted(rows)
    assert lake.sources("power", lake.hours("power")) == sources
    assert compact(lake, EVER).lines() == ["5 files before, 5 now"]


def test_rows_keep_their_order_and_files_their_names_of_nodes(lake: Lake) -> None:
    before = {node: Lake(lake.root).read("power", node=node) for node in NODES}
    for _ in range(2):
        compact(lake, EVER, 0)
        for node in NODES:
            assert Lake(lake.root).read("power", node=node) == before[node]
        assert lake.nodes("power", T0) == ["foreign", *NODES]


def test_a_dry_run_changes_nothing(lake: Lake) -> None:
    before = sorted(path for path in lake.root.rglob("*"))
    done = compact(lake, EVER, dry_run=True)
    assert (done.made, done.sources, done.before, done.after) == (4, 16, 17, 5)
    assert done.lines(dry_run=True)[0].startswith("16 files would become 4")
    assert sorted(path for path in lake.root.rglob("*")) == before


def test_only_past_hours_and_chosen_tables(lake: Lake) -> None:
    assert compact(lake, T0 + HOUR_US - 1).made == 0
    assert compact(lake, EVER, tables=["state"]).made == 0
    assert compact(lake, T0 + HOUR_US).made == 2


def test_one_at_a_time(lake: Lake) -> None:
    with locked(lake), pytest.raises(BusyError, match="another run compacts it"):
        compact(lake, EVER)


class Killed(BaseException):
    """Takes the place of SIGKILL: nothing catches it."""


OPERATIONS = ((os, "link"), (Path, "replace"), (Path, "unlink"), (Path, "write_text"))


@contextmanager
def at_each(then: Callable[[int], None]) -> Iterator[list[str]]:
    """Call something before each change of a name, with how many there were before."""
    seen: list[str] = []
    busy = False
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in OPERATIONS:
            real = getattr(owner, name)

            def counting(*given: Any, real: Any = real, name: str = name, **more: Any) -> Any:
                nonlocal busy
                if not busy:  # what `then` does itself does not count
                    busy = True
                    try:
                        then(len(seen))
                    finally:
                        busy = False
                    seen.append(name)
                return real(*given, **more)

            patch.setattr(owner, name, counting)
        patch.setattr("tokenergy_collectors.lake.givingway._LISTED_S", 0)
        yield seen


def twice(lake: Lake) -> None:
    """Publish, and let the sources give way."""
    compact(lake, EVER)
    compact(lake, EVER, 0)


class Reader:
    """Reads a lake in two ways, and knows what is in it."""

    def __init__(self, lake: Lake, rows: list[tuple[Any, ...]]) -> None:
        self.lake, self.rows = lake, rows
        self.statement = select_pattern(str(lake.root), POWER)
        self.right = self.refused = 0

    def look(self, _number: int = 0) -> None:
        assert sorted(rows_of(self.lake)) == self.rows
        found = rows_or_refused(lambda: duckdb.sql(self.statement))
        if found is None:
            self.refused += 1
        else:
            assert sorted(found) == self.rows
            self.right += 1


def test_readers_see_each_row_once_at_each_change_of_a_name(lake: Lake) -> None:
    reader = Reader(lake, sorted(rows_of(lake)))
    with at_each(reader.look) as seen:
        twice(lake)
    print(f"{len(seen)} changes; {reader.right} answers, {reader.refused} refused")
    assert reader.right > len(seen) / 3
    assert reader.refused > FILES


def test_readers_see_each_row_once_after_a_kill_at_each_change(tmp_path: Path) -> None:
    whole = fill(tmp_path / "whole")
    rows = sorted(rows_of(whole))
    with at_each(lambda _: None) as seen:
        twice(Lake(shutil.copytree(whole.root, tmp_path / "undisturbed")))
    end = names(Lake(tmp_path / "undisturbed"))
    for number in range(0, len(seen), 3):

        def kill(done: int, number: int = number) -> None:
            if done == number:
                raise Killed

        lake = Lake(shutil.copytree(whole.root, tmp_path / "lake"))
        with at_each(kill), pytest.raises(Killed):
            twice(lake)
        reader = Reader(lake, rows)
        reader.look()
        with at_each(lambda _: None):
            twice(lake)
        reader.look()
        assert (names(lake), reader.right >= 1) == (end, True)
        shutil.rmtree(lake.root)


_KILLED = """
import os, signal, sys
from tests.collectors.lake.test_compaction import at_each, twice
from tokenergy_collectors.lake import Lake
def kill(done):
    if done == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
with at_each(kill):
    twice(Lake(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [5, 20, 30])
def test_sigkill(lake: Lake, number: int) -> None:
    reader = Reader(lake, sorted(rows_of(lake)))
    command = [sys.executable, "-c", _KILLED, str(lake.root), str(number)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    reader.look()
    twice(lake)
    reader.look()
    assert len(names(lake)) == 5
    assert not [*lake.root.rglob("*.tmp")]


def test_a_reader_who_listed_before_gets_an_answer(lake: Lake) -> None:
    listed = lake.files("power")
    compact(lake, EVER)
    again = lake.files("power")
    assert all(path.exists() for path in (*listed, *again))
    # Whoever listed the compacted files in their first place finds them after the second step.
    for folder in {path.parent for path in again if compacted.is_pending(lake.root, path)}:
        for path in folder.glob("*.parquet"):
            os.link(path, lake.root / path.relative_to(lake.root / compacted.FOLDER))
    compact(lake, EVER)
    assert all(path.exists() for path in again)


def test_a_late_file_joins_in(lake: Lake) -> None:
    compact(lake, EVER, 0)
    rows = [
        {"ts_us": T0 + 1800 * S, "device_id": "n A", "power_mw": 1, "sensor": "instant", "epoch": 0}
    ]
    LakeBuilder(lake.root).add("power", rows, node="n")
    sources = lake.sources("power", [T0], "n")
    seen = sorted(rows_of(lake))
    assert len(lake.files("power", [T0], "n")) == 2
    done = compact(lake, EVER)
    assert done.made == 1
    assert len(lake.files("power", [T0], "n")) == 1
    assert sorted(rows_of(lake)) == seen
    compact(lake, EVER, 0)
    assert sorted(rows_of(lake)) == sorted(by_pattern(lake) or []) == seen
    assert lake.sources("power", [T0], "n") == sources
    assert len(names(lake)) == 5


def test_files_that_overlap_are_left_alone(lake: Lake) -> None:
    """Two recorders of a board: the check that finds them has to know whose a reading is."""
    builder = LakeBuilder(lake.root)
    builder.power("n A", [(T0 + 2 * S, 7), (T0 + 9 * S, 7)], node="n")
    done = compact(lake, EVER)
    assert done.made == 3
    ((name, why),) = done.unfit.items()
    assert "power/" in name
    assert "another file has some" in why


def test_a_file_that_comes_again_is_not_read_and_goes(lake: Lake) -> None:
    (first, *_) = lake.files("power", [T0], "n")
    content = first.read_bytes()
    rows = sorted(rows_of(lake))
    compact(lake, EVER, 0)
    first.write_bytes(content)
    assert sorted(rows_of(lake)) == rows
    assert compact(lake, EVER).removed == 1
    assert not first.exists()
    # What writes it from its rows does not write it at all.
    builder = LakeBuilder(lake.root)
    builder.power("n A", [(T0 + s * S, 100_000) for s in range(5)], node="n")
    assert not first.exists()


def test_a_store_has_what_was_compacted_in_it(lake: Lake, tmp_path: Path) -> None:
    first = lake.files("power", [T0], "n")[0]
    name, content = first.relative_to(lake.root).as_posix(), Content.of(first.read_bytes())
    compact(lake, EVER, 0)
    store = FolderStore(lake.root, tmp_path)
    assert store.compare(name, content) == "same"
    assert store.compare(name, Content.of(b"other")) == "different"
    assert store.compare(name.replace("-1", "-2"), content) == "missing"


def test_nodes_whose_files_are_uploaded_from_here_are_left_alone(lake: Lake) -> None:
    (lake.root / ".upload" / "n").mkdir(parents=True)
    done = compact(lake, EVER)
    assert (done.made, done.uploading) == (2, {"n"})
    assert any("compact the lake that they are uploaded to" in line for line in done.lines())


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)


def test_a_damaged_file_goes_to_quarantine_and_the_others_are_merged(lake: Lake) -> None:
    broken = lake.files("power", [T0], "n")[1]
    flip(broken)
    done = compact(lake, EVER, 0)
    assert done.made == 4
    assert not broken.exists()
    assert broken.name not in {path.name for path in lake.sources("power", [T0])}
    assert [*(lake.root / "quarantine").rglob(broken.name)]
    assert len(rows_of(lake)) == len(NODES) * 2 * FILES * 5 + 2 - 5


@pytest.mark.parametrize("damage", [flip, lambda path: path.write_bytes(b"PAR1")])
def test_a_damaged_compacted_file_gives_way_to_its_sources(
    lake: Lake, damage: Callable[[Path], None]
) -> None:
    rows = sorted(rows_of(lake))
    compact(lake, EVER)
    (pending,) = (p for p in lake.files("power", [T0], "n") if compacted.is_pending(lake.root, p))
    damage(pending)
    assert sorted(rows_of(lake)) == rows
    assert len(lake.valid_files("power")) == len({path for path, _ in lake.valid_files("power")})
    assert not (lake.root / "quarantine").exists()
    compact(lake, EVER, 0)
    assert sorted(rows_of(lake)) == rows
    assert len(names(lake)) == 5


def test_without_links_it_is_copied(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    rows = sorted(rows_of(lake))
    compact(lake, EVER, 0)
    assert sorted(rows_of(lake)) == sorted(by_pattern(lake) or []) == rows


def test_the_list_of_sources_may_be_removed(lake: Lake) -> None:
    sources = lake.sources("power", [T0])
    compact(lake, EVER, 0)
    shutil.rmtree(lake.root / compacted.FOLDER / "power")
    (lake.root / compacted.FOLDER / "power").mkdir()
    assert Lake(lake.root).sources("power", [T0]) == sources


def test_files_of_an_earlier_version_are_merged_with_others(lake: Lake) -> None:
    """They lack columns that may be NULL, and have integers of another width."""
    path = lake.files("power", [T0], "n")[0]
    table = pq.read_table(path)
    there = lake.read("power", [T0], node="n")
    table = table.drop_columns(["energy_mj"])
    place = table.schema.get_field_index("epoch")
    table = table.set_column(place, "epoch", table["epoch"].cast(pa.int64()))
    pq.write_table(table, path)
    done = compact(lake, EVER, 0)
    assert (done.made, done.unfit) == (4, {})
    assert Lake(lake.root).read("power", [T0], node="n") == there


def test_columns_of_a_later_version_are_not_dropped(lake: Lake) -> None:
    path = lake.files("power", [T0], "n")[0]
    table = pq.read_table(path)
    pq.write_table(table.append_column("later", pa.array([1] * len(table))), path)
    done = compact(lake, EVER, 0)
    assert done.made == 3
    assert [*done.unfit.values()] == ["has columns that this version does not know: later"]
    assert path.exists()


def test_who_listed_before_the_grace_time_began_lists_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, real, calls = rows_of(lake), Lake._files_to_read, []

    def slow(*given: Any) -> list[Path]:
        found = real(*given)
        calls.append(found)
        if len(calls) <= 2:
            compact(lake, EVER, 0 if len(calls) == 1 else 2**50)
        return found

    monkeypatch.setattr(Lake, "_files_to_read", slow)
    assert sorted(rows_of(lake)) == sorted(rows)
    assert len(calls) == 2
