"""The spool: nothing is lost while the lake cannot be written, nothing is doubled after."""

import threading

import pytest

from tokenergy_collectors.contract import HOUR_US
from tokenergy_collectors.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.spool import Spool

T0 = 1_768_464_000_000_000


def clock(ts_us):
    return (ts_us, "n", 1, 2, 3)


def power(ts_us, power_mw=5):
    return (ts_us, "GPU-a", power_mw, "instant", None, 0)


def state(ts_us):
    return (ts_us, "GPU-a", 1, 1, 1, 1, 0, None)


class FullDisk(Lake):
    """A lake that refuses what it is told to refuse."""

    def __init__(self, root):
        super().__init__(root, create=True)
        self.refuse = lambda table, path: False

    def append(self, table, rows, node, tag=None):
        if self.refuse(table, rows):
            raise UserError(f"{table}: cannot be written: No space left on device")
        return super().append(table, rows, node, tag)


@pytest.fixture
def lake(tmp_path):
    return FullDisk(tmp_path)


@pytest.fixture
def dropped():
    return []


@pytest.fixture
def spool(lake, dropped):
    return Spool(lake, "n", lambda *what: dropped.append(what), limit_rows=10)


def stamps(lake, table):
    return sorted(lake.read(table)["ts_us"].to_pylist())


def test_rows_are_sealed_once(spool, lake):
    spool.add("clock", [clock(T0)])
    assert spool.seal() == {"clock": 1}
    assert spool.seal() == {}
    assert stamps(lake, "clock") == [T0]


def test_one_table_that_fails_does_not_hold_up_the_others(spool, lake):
    lake.refuse = lambda table, rows: table == "power"
    spool.add("power", [power(T0)])
    spool.add("clock", [clock(T0)])
    with pytest.raises(UserError, match="No space left on device; 1 rows wait"):
        spool.seal()
    assert stamps(lake, "clock") == [T0]
    lake.refuse = lambda table, rows: False
    assert spool.seal() == {"power": 1}
    assert stamps(lake, "power") == [T0]


def test_half_a_batch_written_is_not_written_again(spool, lake, monkeypatch):
    """The first hour's file is there, the second's fails; later rows of both hours follow."""
    import pyarrow.parquet as pq

    real, calls = pq.write_table, []

    def second_fails(*args, **options):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(*args, **options)

    monkeypatch.setattr(pq, "write_table", second_fails)
    spool.add("clock", [clock(T0), clock(T0 + HOUR_US)])
    with pytest.raises(UserError):
        spool.seal()
    spool.add("clock", [clock(T0 + 1), clock(T0 + HOUR_US + 1)])
    spool.seal()
    assert stamps(lake, "clock") == [T0, T0 + 1, T0 + HOUR_US, T0 + HOUR_US + 1]


def test_a_value_that_does_not_fit_is_told_and_holds_up_nothing_else(spool, lake):
    spool.add("power", [power(T0, 2**40)])
    spool.add("clock", [clock(T0)])
    with pytest.raises(UserError, match="power:"):
        spool.seal()
    spool.add("power", [power(T0 + 1)])
    with pytest.raises(UserError, match="1 rows wait"):
        spool.seal()
    assert stamps(lake, "clock") == [T0]
    assert stamps(lake, "power") == [T0 + 1]


def test_beyond_the_limit_the_oldest_gauges_go_before_readings(spool, lake, dropped):
    lake.refuse = lambda table, rows: True
    for start in (T0, T0 + 10, T0 + 20):
        spool.add("power", [power(start + i) for i in range(3)])
        spool.add("state", [state(start)])
        spool.add("clock", [clock(start)])
        with pytest.raises(UserError):
            spool.seal()
    # 15 rows wait and 10 may: the three gauges, then the oldest readings.
    assert dropped == [("state", 1), ("state", 1), ("state", 1), ("power", 3)]
    lake.refuse = lambda table, rows: False
    spool.seal()
    assert stamps(lake, "power") == [T0 + 10 + i for i in (0, 1, 2, 10, 11, 12)]
    assert stamps(lake, "clock") == [T0, T0 + 10, T0 + 20]


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
