"""After a crash: what is in the log is sealed once, the rest is told, and the daemon goes on."""

import os
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.long import pairs
from tests.support.spooling import kill
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.spool.spool import Spool
from tokenergy_collectors.spool.wal import SUFFIX

T0 = 1_768_464_000_000_000


def power(ts_us):
    return (ts_us, "GPU-a", 5, "instant", None, 0)


def clock(ts_us):
    return (ts_us, "n", 1, 2, 3, 1)


def dropped(*what):
    raise AssertionError(what)


def stamps(lake, table="clock"):
    return sorted(lake.read(table)["ts_us"].to_pylist())


def logs(lake):
    return sorted(lake.root.glob(f".wal/*/*{SUFFIX}"))


class Node:
    """Spools of one node on one lake, one after the other, as processes that are killed."""

    def __init__(self, root):
        self.lake = Lake(root, create=True)
        self.spool = None

    def start(self, **more):
        self.spool = Spool(self.lake, "n", dropped, **more)
        return self.spool

    def kill(self):
        """End the process: its memory is gone, and its lock with it."""
        kill(self.spool)
        self.spool = None

    def recovered(self):
        recovery = self.start().recover()
        self.spool.seal()
        return recovery


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path / "lake")


def test_what_was_flushed_outlives_a_kill(node):
    spool = node.start()
    spool.add("clock", [clock(T0)])
    spool.add("power", [power(T0 + 1_500_000)])
    spool.flush()
    spool.add("clock", [clock(T0 + 2_000_000)])
    node.kill()
    recovery = node.recovered()
    assert (recovery.rows, recovery.span_s) == (2, 1.5)
    assert (recovery.torn, recovery.unreadable) == ([], [])
    assert (stamps(node.lake), stamps(node.lake, "power")) == ([T0], [T0 + 1_500_000])
    assert logs(node.lake) == []


@pytest.mark.parametrize("step", pairs([7, 1], always=1))
def test_cut_at_any_byte_a_prefix_is_recovered_and_never_doubled(tmp_path, monkeypatch, step):
    monkeypatch.setattr(os, "fsync", lambda fd: None)  # thousands of them
    node = Node(tmp_path / "whole")
    spool = node.start()
    for number in range(2):
        spool.add("clock", [clock(T0 + 2 * number), clock(T0 + 2 * number + 1)])
        spool.flush()
    [log] = logs(node.lake)
    data = log.read_bytes()
    ends = whole_ends(data)
    seen = set()
    around = {end + near for end in (0, *ends, len(data)) for near in (-1, 0, 1)}
    for cut in sorted({*range(0, len(data), step), *around} & {*range(len(data) + 1)}):
        root = tmp_path / "cut"
        copy = Node(root)
        torn = root / log.relative_to(node.lake.root)
        torn.parent.mkdir(parents=True)
        for again in (False, True):  # as after a crash between sealing and removing
            torn.write_bytes(data[:cut])
            recovery = copy.recovered()
            found = stamps(copy.lake)
            assert found == [T0 + i for i in range(2 * sum(end <= cut for end in ends))]
            assert recovery.rows == len(found)
            assert not logs(copy.lake)
            assert bool(recovery.torn or recovery.unreadable) == (cut not in (0, *ends))
            copy.kill()
            if not again and cut % 5 and cut not in around:
                break
        seen.add(len(found))
        shutil.rmtree(root)
    assert seen == {0, 2, 4}


def whole_ends(data):
    """Offsets at which a batch and its mark are over, found by asking Arrow."""
    source = pa.BufferReader(data)
    stream = pa.ipc.open_stream(source)
    return [source.tell() for part in stream if not part.num_rows]


@pytest.mark.parametrize("closed", [True, False])
def test_a_crash_between_seal_and_removal_doubles_nothing(node, monkeypatch, closed):
    spool = node.start()
    spool.add("clock", [clock(T0), clock(T0 + HOUR_US)])
    if not closed:
        monkeypatch.setattr(
            "tokenergy_collectors.spool.wal.LogWriter._append_end", lambda self: None
        )

    def crash(*_, **more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", crash)
        with pytest.raises(KeyboardInterrupt):
            spool.seal()
    assert stamps(node.lake) == [T0, T0 + HOUR_US]
    files = node.lake.files("clock")
    node.kill()
    assert len(logs(node.lake)) == 1
    assert node.recovered().rows == 2
    assert node.lake.files("clock") == files
    assert stamps(node.lake) == [T0, T0 + HOUR_US]


def test_a_log_cut_after_it_was_sealed_doubles_nothing(node):
    spool = node.start()
    for number in range(3):
        spool.add("power", [power(T0 + number)])
        spool.flush()
    [log] = logs(node.lake)
    data = log.read_bytes()
    spool.seal()
    node.kill()
    log.write_bytes(data[:-700])
    assert node.recovered().rows == 2
    assert stamps(node.lake, "power") == [T0, T0 + 1, T0 + 2]


def test_half_an_hours_edge_sealed_at_the_kill_is_completed(node, monkeypatch):
    spool, real, calls = node.start(), pq.ParquetWriter.write_table, []
    spool.add("clock", [clock(T0), clock(T0 + HOUR_US)])

    def second_fails(*args, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*args, **options)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", second_fails)
    with pytest.raises(KeyboardInterrupt):
        spool.seal()
    node.kill()
    node.recovered()
    assert stamps(node.lake) == [T0, T0 + HOUR_US]


def test_what_a_kill_while_sealing_left_beside_is_swept_up(node):
    spool = node.start()
    spool.add("clock", [clock(T0)])
    spool.flush()
    [log] = logs(node.lake)
    data = log.read_bytes()
    spool.seal()
    [path] = node.lake.files("clock")
    node.kill()
    aside = path.with_name(f".{path.name}.4711.tmp")
    path.rename(aside)
    other = path.with_name(".of-somebody-else.4711.tmp")
    other.touch()
    log.write_bytes(data)
    node.recovered()
    assert stamps(node.lake) == [T0]
    assert not aside.exists()
    assert other.exists()


def test_a_lake_that_cannot_be_written_at_the_start_waits(node, monkeypatch):
    spool = node.start()
    spool.add("clock", [clock(T0)])
    spool.flush()
    node.kill()

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    spool = node.start()
    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", full)
        assert spool.recover().rows == 1
        with pytest.raises(UserError, match="No space left on device; 1 rows wait in the log"):
            spool.seal_waiting()
    assert spool.seal_waiting() == {"clock": 1}
    assert stamps(node.lake) == [T0]


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("1-1-clock", b"rubbish", "not a log"),
        ("1-1-clock", bytes(4096), "not a log"),
        ("1-1-nothing", b"", "unknown table 'nothing'"),
        ("odd", b"", "unknown table 'odd'"),
    ],
)
def test_what_cannot_be_read_is_set_aside_with_the_reason(node, name, data, why):
    node.start()
    node.kill()
    folder = node.lake.root / ".wal" / "n"
    (folder / f"{name}{SUFFIX}").write_bytes(data)
    recovery = node.recovered()
    assert recovery.rows == 0
    assert why in recovery.unreadable[0]
    moved = node.lake.root / "quarantine" / f"n-{name}{SUFFIX}"
    assert moved.read_bytes() == data
    assert why in moved.with_name(f"{moved.name}.reason").read_text()
    node.spool.add("clock", [clock(T0)])
    assert node.spool.seal() == {"clock": 1}


def test_a_log_that_cannot_be_set_aside_is_told_and_left(node, monkeypatch):
    node.start()
    node.kill()
    log = node.lake.root / ".wal" / "n" / f"1-1-clock{SUFFIX}"
    log.write_bytes(b"rubbish")

    def refused(*_):
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", refused)
        assert "cannot be moved" in node.start().recover().unreadable[0]
    assert log.exists()


def test_a_second_process_is_refused_and_harms_nothing(node):
    spool = node.start()
    spool.add("clock", [clock(T0)])
    spool.flush()
    before = [path.read_bytes() for path in logs(node.lake)]
    with pytest.raises(UserError, match=r"node 'n' is already collected into .*lock") as caught:
        Spool(node.lake, "n", dropped)
    assert "\n" not in str(caught.value)
    assert [path.read_bytes() for path in logs(node.lake)] == before
    Spool(node.lake, "other", dropped).close()
    spool.seal()
    spool.close()
    Spool(node.lake, "n", dropped).close()
    assert stamps(node.lake) == [T0]


def test_time_that_is_run_again_in_other_portions_adds_no_rows(node):
    spool = node.start(replay=True)
    spool.add("clock", [clock(T0), clock(T0 + 1)])
    spool.seal()
    spool.close()
    again = node.start(replay=True)
    again.add("clock", [clock(T0), clock(T0 + 1), clock(T0 + 2)])
    assert again.seal() == {"clock": 1}
    assert stamps(node.lake) == [T0, T0 + 1, T0 + 2]


def test_a_file_of_the_lake_that_cannot_be_read_holds_nothing_up(node):
    spool = node.start()
    spool.add("clock", [clock(T0)])
    spool.seal()
    [path] = node.lake.files("clock")
    path.write_bytes(b"rubbish")
    spool.add("clock", [clock(T0 + 1)])
    spool.flush()
    node.kill()
    node.recovered()
    path.unlink()
    assert stamps(node.lake) == [T0 + 1]


def test_readers_of_the_lake_see_no_logs(node):
    spool = node.start()
    spool.add("clock", [clock(T0)])
    spool.flush()
    assert node.lake.files("clock") == []
    assert node.lake.hours("clock") == []
    assert [path.name for path in node.lake.root.iterdir()] == [".wal"]


def test_wide_numbers_survive_a_crash(tmp_path):
    node = Node(tmp_path / "lake")
    node.start()
    widest = 10**38 - 1
    rows = [
        (T0, "m", "n", "modbus", -widest, None, None),
        (T0 + 1, "m", "n", "modbus", widest, 10**9, 60 * 10**6),
        (T0 + 2, "m", "n", "modbus", 0, 1, None),
    ]
    node.spool.add("meter", rows)
    node.spool.flush()
    node.kill()
    node.recovered()
    found = node.lake.read("meter").to_pylist()
    assert [(int(row["value_n"]), row["resolution_n"]) for row in found] == [
        (-widest, None),
        (widest, 10**9),
        (0, 1),
    ]
