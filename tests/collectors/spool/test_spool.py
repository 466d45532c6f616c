"""The spool: nothing is lost while the lake cannot be written, nothing is doubled after."""

import errno
import os
import threading
from pathlib import Path

import pytest

from tests.support.spooling import T0, FullDisk, clock, logs, power, stamps
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.spool.spool import Spool
from tokenergy_collectors.spool.wal import SUFFIX


@pytest.fixture
def lake(tmp_path):
    return FullDisk(tmp_path)


@pytest.fixture
def dropped():
    return []


@pytest.fixture
def spool(lake, dropped):
    return Spool(lake, "n", lambda *what: dropped.append(what))


def test_rows_are_sealed_once(spool, lake):
    spool.add("clock", [clock(T0)])
    assert spool.seal() == {"clock": 1}
    assert spool.seal() == {}
    assert stamps(lake, "clock") == [T0]


def test_one_table_that_fails_does_not_hold_up_the_others(spool, lake):
    lake.refuse = lambda table, rows: table == "power"
    spool.add("power", [power(T0)])
    spool.add("clock", [clock(T0)])
    with pytest.raises(UserError, match="No space left on device; 1 rows wait in the log"):
        spool.seal()
    assert stamps(lake, "clock") == [T0]
    lake.refuse = lambda table, rows: False
    assert spool.seal() == {"power": 1}
    assert stamps(lake, "power") == [T0]


def test_half_a_batch_written_is_not_written_again(spool, lake, monkeypatch):
    """The first hour's file is there, the second's fails; later rows of both hours follow."""
    import pyarrow.parquet as pq

    real, calls = pq.ParquetWriter.write_table, []

    def second_fails(*args, **options):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(*args, **options)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", second_fails)
    spool.add("clock", [clock(T0), clock(T0 + HOUR_US)])
    with pytest.raises(UserError):
        spool.seal()
    spool.add("clock", [clock(T0 + 1), clock(T0 + HOUR_US + 1)])
    spool.seal()
    assert stamps(lake, "clock") == [T0, T0 + 1, T0 + HOUR_US, T0 + HOUR_US + 1]


def test_a_value_that_does_not_fit_is_told_and_holds_up_nothing_else(spool, lake, dropped):
    spool.add("power", [power(T0), power(T0 + 1, 2**40), power(T0 + 2)])
    spool.add("event", [(T0, "n", None, "odd", "\udcff")])
    spool.add("clock", [clock(T0)])
    assert spool.seal() == {"power": 2, "clock": 1}
    assert [what[:2] for what in dropped] == [("power", 1), ("event", 1)]
    assert "does not fit" in dropped[0][2]
    assert stamps(lake, "power") == [T0, T0 + 2]


def test_rows_that_fit_no_file_are_set_aside(spool, lake, dropped):
    spool.add("clock", [clock(2**62)])
    spool.add("power", [power(T0)])
    assert spool.seal() == {"power": 1}
    assert spool.seal() == {}
    [(table, rows, why)] = dropped
    assert (table, rows) == ("clock", 1)
    assert "quarantine" in why
    assert [path.suffix for path in sorted((lake.root / "quarantine").iterdir())] == [
        SUFFIX, ".reason",
    ]  # fmt: skip


def test_a_log_that_is_damaged_or_gone_meanwhile_is_told(spool, lake, dropped):
    lake.refuse = lambda table, rows: True
    for start in (T0, T0 + 10):
        spool.add("power", [power(start)])
        spool.flush()
        spool.add("power", [power(start + 1)])
        with pytest.raises(UserError):
            spool.seal()
    first, second = logs(lake)
    first.write_bytes(first.read_bytes()[:-100])
    second.unlink()
    lake.refuse = lambda table, rows: False
    assert spool.seal() == {"power": 1}
    assert [what[:2] for what in dropped] == [("power", 1), ("power", 2)]
    assert stamps(lake, "power") == [T0]
    assert spool.seal() == {}


def test_each_log_is_forced_to_disk_once_for_what_is_new(spool, lake, monkeypatch):
    real, synced = os.fsync, []

    def count(fd):
        synced.append(Path(f"/proc/self/fd/{fd}").readlink().name.split("-")[-1])
        real(fd)

    monkeypatch.setattr(os, "fsync", count)
    spool.add("power", [power(T0)])
    spool.add("clock", [clock(T0)])
    spool.flush()
    assert synced == []
    spool.sync()
    assert sorted(synced[:2]) == ["clock.arrows", "power.arrows"]
    assert len(synced) == 3  # and their folder
    spool.sync()
    assert len(synced) == 3
    spool.add("clock", [clock(T0 + 1)])
    spool.flush()
    spool.sync()
    assert synced[3] == "clock.arrows"
    lake.refuse = lambda table, rows: table == "clock"
    spool.add("clock", [clock(T0 + 2)])
    with pytest.raises(UserError):
        spool.seal()
    synced.clear()
    spool.sync()
    assert synced[0] == "clock.arrows"  # it waits, with rows that were not forced before


def test_the_log_goes_after_the_files_are_on_the_disk(spool, lake, monkeypatch):
    real, order = os.fsync, []
    spool.add("clock", [clock(T0), clock(T0 + HOUR_US)])

    def count(fd):
        order.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        assert len(logs(lake)) == 1
        real(fd)

    monkeypatch.setattr(os, "fsync", count)
    spool.seal()
    assert logs(lake) == []
    folders = [str(path.parent) for path in lake.files("clock")]
    last_file = max(number for number, path in enumerate(order) if path.endswith(".tmp"))
    assert set(folders) <= set(order[last_file:])
    assert {str(lake.root), str(lake.root / "clock")} <= set(order[last_file:])


def test_a_disk_that_refuses_to_sync_is_one_line(spool, monkeypatch):
    def broken(fd):
        raise OSError(errno.EIO, "Input/output error")

    spool.add("clock", [clock(T0)])
    spool.flush()
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(UserError, match="cannot be synced: Input/output error"):
        spool.sync()


def test_rows_added_from_many_threads_all_arrive(spool, lake):
    def add(start):
        for i in range(500):
            spool.add("clock", [clock(T0 + start * 1000 + i)])

    threads = [threading.Thread(target=add, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        spool.seal()
    spool.seal()
    assert len(set(stamps(lake, "clock"))) == lake.read("clock").num_rows == 2000


def test_a_node_name_that_cannot_be_used_is_told_before_anything_is_read(lake):
    with pytest.raises(UserError, match="node name"):
        Spool(lake, "x" * 200, lambda *_: None)
