"""The lake: names, partitions, atomic writes, and errors of one line."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import CLOCK, HOUR_US, JOBS, TABLES
from tokenergy_collectors.lake.paths import escape_node, hour_of, node_of, partition

T0 = 1_768_464_000_000_000  # 2026-01-15T08:00:00Z


def clocks(*stamps, node="n"):
    rows = [
        {"ts_us": ts, "node": node, "monotonic_us": ts, "boottime_us": ts, "realtime_us": ts}
        for ts in stamps
    ]
    return pa.Table.from_pylist(rows, schema=CLOCK.schema())


def job(**more):
    row = {"job_id": "j", "node": "n", "device_id": "0", "start_us": T0, "share_ppm": 1}
    row |= {"method": "declared", "recorded_us": T0}
    return pa.Table.from_pylist([row | more], schema=JOBS.schema())


def files_under(root):
    return sorted(p for p in Path(root).rglob("*") if p.is_file())


def test_partition_is_the_utc_hour():
    assert partition(T0) == "date=2026-01-15/hour=08"
    assert hour_of(T0 + HOUR_US - 1) == T0
    assert hour_of(T0 + HOUR_US) == T0 + HOUR_US
    assert partition(T0 + 16 * HOUR_US) == "date=2026-01-16/hour=00"


@pytest.mark.parametrize(
    "node",
    ["../../etc", "..", ".", ".hidden", "a/b", "a\\b", "'; DROP TABLE x --", "übér-nœud", "a b\nc",
     "rack-12-gpu-3", "100%", "n1"],
)  # fmt: skip
def test_any_node_name_is_one_plain_file_name(tmp_path, node):
    lake = Lake(tmp_path, create=True)
    [path] = lake.append("clock", clocks(T0, node=node), node)
    derived = lake.replace("segment", TABLES["segment"].schema().empty_table(), T0, node)
    for found, table in ((path, "clock"), (derived, "segment")):
        assert found.parent == tmp_path / table / partition(T0)
        assert not found.name.startswith(".")
        assert node_of(found) == node
        assert lake.files(table, [T0], node) == [found]
    assert lake.nodes("clock", T0) == [node]


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=15))
def test_escaping_is_undone_for_any_text(node):
    escaped = escape_node(node)
    assert "/" not in escaped
    assert node_of(Path("clock/d/h") / f"{escaped}-{T0}-0123.parquet") == node
    assert node_of(Path("segment/d/h") / f"{escaped}.parquet") == node


@pytest.mark.parametrize("node", ["", "x" * 181, "é" * 31, "\udcff"])
def test_names_that_cannot_be_files_are_told(node):
    with pytest.raises(UserError, match=r"node name .* cannot be used"):
        escape_node(node)


def test_append_splits_by_hour_and_sorts(tmp_path):
    lake = Lake(tmp_path, create=True)
    edge = T0 + HOUR_US
    written = lake.append("clock", clocks(edge + 5, edge, edge - 1, T0), "n")
    assert [path.parent.name for path in written] == ["hour=08", "hour=09"]
    stamps = [pq.read_table(p, partitioning=None)["ts_us"].to_pylist() for p in written]
    assert stamps == [[T0, edge - 1], [edge, edge + 5]]
    assert lake.hours("clock") == [T0, edge]
    assert lake.read("clock").schema == CLOCK.schema()


def test_appending_the_same_rows_changes_nothing(tmp_path):
    lake = Lake(tmp_path, create=True)
    [path] = lake.append("clock", clocks(T0, T0 + 1), "n")
    before = path.stat()
    assert lake.append("clock", clocks(T0 + 1, T0), "n") == []
    assert files_under(tmp_path) == [path]
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert lake.append("clock", clocks(T0, T0 + 2), "n") != []


def test_a_correction_taken_back_is_a_record_of_its_own(tmp_path):
    lake = Lake(tmp_path, create=True)
    for number, name in enumerate("ABA"):
        assert lake.append("jobs", job(name=name, recorded_us=T0 + number), "n")
    assert len(lake.files("jobs")) == 3


def test_replace_leaves_equal_bytes_untouched(tmp_path):
    lake = Lake(tmp_path, create=True)
    path = lake.replace("clock", clocks(T0, T0 + 1), T0, "n")
    before = path.stat()
    assert lake.replace("clock", clocks(T0 + 1, T0), T0, "n") == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    lake.replace("clock", clocks(T0), T0, "n")
    assert path.stat().st_ino != before.st_ino
    assert files_under(tmp_path) == [path]
    lake.remove("clock", T0, "n")
    lake.remove("clock", T0, "n")
    assert files_under(tmp_path) == []


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_failed_write_leaves_nothing_and_is_one_line(tmp_path, monkeypatch, step):
    lake = Lake(tmp_path, create=True)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    target = {
        "write": (pq.ParquetWriter, "write_table"),
        "fsync": (os, "fsync"),
        "rename": (Path, "replace"),
    }
    monkeypatch.setattr(*target[step], full)
    with pytest.raises(UserError, match="cannot be written: No space left"):
        lake.append("clock", clocks(T0), "n")
    assert files_under(tmp_path) == []


def test_an_interrupt_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(writer, rows, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(pq.ParquetWriter, "write_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Lake(tmp_path, create=True).append("clock", clocks(T0), "n")
    assert files_under(tmp_path) == []


def test_read_takes_hours_nodes_columns_and_spans(tmp_path):
    lake = Lake(tmp_path, create=True)
    lake.append("clock", clocks(T0, T0 + 5, T0 + HOUR_US, node="a"), "a")
    lake.append("clock", clocks(T0 + 1, node="b"), "b")
    assert lake.read("clock", node="b")["ts_us"].to_pylist() == [T0 + 1]
    assert lake.read("clock", [T0 + HOUR_US]).num_rows == 1
    found = lake.read("clock", columns=["node"], between_us=(T0, T0 + 5))
    assert found.column_names == ["node"]
    assert sorted(found["node"].to_pylist()) == ["a", "b"]
    assert lake.read("clock", between_us=(T0 + 5, T0 + HOUR_US)).num_rows == 1
    assert lake.read("power") == TABLES["power"].schema().empty_table()


def test_lakes_that_cannot_be_are_one_line(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    for root in (file, file / "below"):
        with pytest.raises(UserError, match="not a directory"):
            Lake(root, create=True)
    with pytest.raises(UserError, match="no such directory"):
        Lake(tmp_path / "missing")
    with pytest.raises(UserError, match="not an object store"):
        Lake("s3://bucket/lake", create=True)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UserError, match="is not writable"):
        Lake(tmp_path / "new", create=True)


def test_prepare_tries_to_write(tmp_path, monkeypatch):
    lake = Lake(tmp_path / "a" / "b", create=True)
    assert not lake.root.exists()
    lake.prepare()
    assert files_under(tmp_path) == []

    def read_only(self, *args, **kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "touch", read_only)
    with pytest.raises(UserError, match="not writable: Read-only"):
        lake.prepare()
