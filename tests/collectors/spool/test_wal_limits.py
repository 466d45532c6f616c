"""Logs on a full disk, and at their limit: what matters least goes first, and is counted."""

import errno
import os

import pytest

from tests.support.spooling import T0, FullDisk, clock, logs, power, stamps, state
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.spool import spool as spool_module
from tokenergy_collectors.spool.spool import Spool


@pytest.fixture
def lake(tmp_path):
    return FullDisk(tmp_path)


@pytest.fixture
def dropped():
    return []


@pytest.fixture
def spool(lake, dropped):
    return Spool(lake, "n", lambda *what: dropped.append(what))


def log_full(monkeypatch):
    """No room for the log, until the monkeypatch is undone."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)


def waiting_log(lake, dropped, limit_bytes):
    """A spool at whose three rolls nothing could be sealed."""
    spool = Spool(lake, "n", lambda *what: dropped.append(what), limit_bytes)
    lake.refuse = lambda table, rows: True
    for start in (T0, T0 + 10, T0 + 20):
        spool.add("power", [power(start + i) for i in range(3)])
        spool.add("state", [state(start)])
        spool.add("clock", [clock(start)])
        with pytest.raises(UserError):
            spool.seal()
    return spool


def test_beyond_the_limit_the_oldest_gauges_go_before_readings(lake, dropped):
    roomy = waiting_log(lake, [], 1 << 20)
    by_table = {path.stem.split("-")[2]: path.stat().st_size for path in logs(lake)}
    everything = 3 * sum(by_table.values())
    roomy.close()
    for path in logs(lake):
        path.unlink()
    # Room for all but the three gauges and one roll of readings.
    limit_bytes = everything - 3 * by_table["state"] - by_table["power"]
    spool = waiting_log(lake, dropped, limit_bytes)
    spool.flush()
    assert [what[:2] for what in dropped] == [*[("state", 1)] * 3, ("power", 3)]
    assert sum(path.stat().st_size for path in logs(lake)) <= limit_bytes
    lake.refuse = lambda table, rows: False
    spool.seal()
    assert stamps(lake, "power") == [T0 + 10 + i for i in (0, 1, 2, 10, 11, 12)]
    assert stamps(lake, "clock") == [T0, T0 + 10, T0 + 20]
    assert lake.read("state").num_rows == 0


def test_a_log_that_has_become_large_is_closed_and_may_be_given_up(lake, dropped):
    spool = Spool(lake, "n", lambda *what: dropped.append(what), limit_bytes=16_000)
    for number in range(100):
        spool.add("power", [power(T0 + number)])
        spool.flush()
        assert sum(path.stat().st_size for path in logs(lake)) < 17_500
    lost = sum(rows for table, rows, _ in dropped if table == "power")
    assert 0 < lost < 95
    spool.seal()
    assert stamps(lake, "power") == [T0 + number for number in range(lost, 100)]


def test_a_full_disk_costs_nothing_but_time_at_first(spool, lake, dropped, monkeypatch):
    spool.add("power", [power(T0)])
    spool.flush()
    with monkeypatch.context() as patch:
        log_full(patch)
        spool.add("power", [power(T0 + 1), power(T0 + 2)])
        with pytest.raises(UserError, match=r"n: cannot be written: No space left on device"):
            spool.flush()
        spool.add("power", [power(T0 + 3)])
        with pytest.raises(UserError, match="No space left"):
            spool.seal()
        assert stamps(lake, "power") == [T0]  # what was logged is sealed, which makes room
    assert spool.seal() == {"power": 3}
    assert stamps(lake, "power") == [T0, T0 + 1, T0 + 2, T0 + 3]
    assert dropped == []


def test_what_sealing_frees_the_log_may_use(spool, lake, monkeypatch):
    """The log is full; once what it holds is sealed there is room: nothing is refused."""
    spool.add("power", [power(T0)])
    spool.flush()
    spool.add("power", [power(T0 + 1)])
    real = os.pwrite

    def full_while_logs_are_there(fd, data, at):
        if logs(lake)[0].stat().st_size:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data, at)

    monkeypatch.setattr(os, "pwrite", full_while_logs_are_there)
    assert spool.seal() == {"power": 2}
    assert stamps(lake, "power") == [T0, T0 + 1]


def test_a_disk_that_fills_amid_many_rows_doubles_none(spool, lake, monkeypatch):
    monkeypatch.setattr(spool_module, "_BATCH_ROWS", 3)
    real, room = os.pwrite, [2]

    def write(fd, data, at):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data, at)

    monkeypatch.setattr(os, "pwrite", write)
    spool.add("power", [power(T0 + i) for i in range(10)])
    with pytest.raises(UserError):
        spool.flush()
    room[0] = 100
    assert spool.seal() == {"power": 10}
    assert stamps(lake, "power") == [T0 + i for i in range(10)]


def test_a_log_is_not_given_up_while_it_is_being_sealed(spool, lake, dropped):
    def meanwhile(table, rows):
        spool._limit_bytes = 1
        spool.flush()
        return False

    lake.refuse = meanwhile
    spool.add("power", [power(T0)])
    assert spool.seal() == {"power": 1}
    assert dropped == []
    assert logs(lake) == []


def test_a_disk_full_for_long_drops_the_oldest_gauges_and_counts(spool, lake, dropped, monkeypatch):
    monkeypatch.setattr(spool_module, "_MEMORY_ROWS", 10)
    monkeypatch.setattr(spool_module, "_BATCH_ROWS", 3)
    with monkeypatch.context() as patch:
        log_full(patch)
        for start in (T0, T0 + 10, T0 + 20):
            spool.add("power", [power(start + i) for i in range(4)])
            spool.add("state", [state(start)])
            spool.add("clock", [clock(start)])
            with pytest.raises(UserError):
                spool.flush()
        assert dropped == []  # told when it can be written
    spool.flush()
    why = "the log could not be written"
    assert dropped == [("state", 3, why), ("power", 5, why)]
    spool.flush()
    assert len(dropped) == 2
    spool.seal()
    assert stamps(lake, "power") == [T0 + i for i in (11, 12, 13, 20, 21, 22, 23)]
    assert stamps(lake, "clock") == [T0, T0 + 10, T0 + 20]
