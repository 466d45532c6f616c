"""The daemon and its log: killed, locked out, cut short, on a full disk; and what it then tells."""

import errno
import os
import random
import threading

import pytest
from benchmarks.chaos import run_lane

from benchmarks import chaos_run
from tests.support.clocks import SteppedClock
from tests.support.daemon import T0, Run, S
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.workers import Worker
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.spool.wal import SUFFIX, read_log


def logs(root):
    return sorted(root.glob(f".wal/*/*{SUFFIX}"))


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the daemon's runs after it."""


def killed(run, monkeypatch, after_us):
    """Run a daemon and leave it as a kill would: no last reading, no seal, no event."""

    def kill():
        raise Killed

    run.at(after_us, kill)
    with monkeypatch.context() as patch:
        patch.setattr("tokenergy_collectors.daemon.daemon.Daemon._finish", lambda *_: {})
        patch.setattr("tokenergy_collectors.daemon.recorder.time.monotonic", run.clock_s)
        with pytest.raises(Killed):
            run.run(60 * S)


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path, roll_s=20)
    run.clock_s = lambda: run.clock.monotonic_us() / S  # the log at the pace of virtual time
    return run


def test_a_kill_costs_what_was_read_since_the_last_flush(run, monkeypatch):
    killed(run, monkeypatch, 33_333_333)
    assert {ts_us for r in run.rows("power") if (ts_us := r["ts_us"]) > T0 + 20 * S} == set()
    later = Run(run.lake.root, start_us=T0 + 100 * S)
    later.run(S, sources=False)
    stamps = [r["ts_us"] - T0 for r in run.rows("power") if r["ts_us"] < T0 + 100 * S]
    assert 32 * S < max(stamps) <= 33_333_333
    [event] = run.rows("event", kind="recovered")
    assert event["ts_us"] == T0 + 100 * S
    assert "over 12.9" in event["detail"]
    assert logs(run.lake.root) == []


def test_the_same_time_run_again_after_a_kill_doubles_nothing(run, monkeypatch, tmp_path):
    killed(run, monkeypatch, 33_333_333)
    again = Run(run.lake.root, roll_s=20)
    again.run(60 * S)
    undisturbed = Run(tmp_path / "other", roll_s=20)
    undisturbed.run(60 * S)
    for table in ("power", "state", "tokens", "device", "jobs", "clock"):
        rows = sorted(map(repr, again.rows(table)))
        assert len(rows) == len(set(rows)), table
        assert rows == sorted(map(repr, undisturbed.rows(table))), table


def test_a_torn_tail_and_a_log_that_is_none_are_events(run, monkeypatch):
    killed(run, monkeypatch, 5 * S)
    [log] = [path for path in logs(run.lake.root) if "power" in path.name]
    log.write_bytes(log.read_bytes()[:-10])
    [other] = [path for path in logs(run.lake.root) if "state" in path.name]
    other.write_bytes(b"rubbish")
    Run(run.lake.root, start_us=T0 + 100 * S).run(S, sources=False)
    [torn] = run.rows("event", kind="torn")
    assert f"bytes cut from {log.name}" in torn["detail"]
    [aside] = run.rows("event", kind="quarantined")
    assert "not a log" in aside["detail"]
    assert len(run.rows("event", kind="recovered")) == 1


def test_a_second_daemon_of_the_node_is_refused(tmp_path):
    run, stop = Run(tmp_path), threading.Event()

    def before(node):
        with pytest.raises(UserError, match="by another process"):
            Run(tmp_path).run(S, sources=False)
        stop.set()

    run.run(S, stop=stop, before=before, sources=False)
    Run(tmp_path, start_us=T0 + 10 * S).run(S, sources=False)


def test_a_log_that_cannot_be_written_is_told_once_and_costs_nothing(tmp_path, monkeypatch, capsys):
    real = os.pwrite
    full = [False]

    def write(fd, data, at):
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data, at)

    monkeypatch.setattr(os, "pwrite", write)
    run = Run(tmp_path, roll_s=20)
    monkeypatch.setattr(
        "tokenergy_collectors.daemon.recorder.time.monotonic", lambda: run.clock.monotonic_us() / S
    )
    run.at(3 * S + 1, lambda: full.__setitem__(0, True))
    run.at(9 * S + 1, lambda: full.__setitem__(0, False))
    run.run(30 * S, sources=False)
    [error] = run.rows("event", kind="error")
    assert "cannot be written: No space left on device" in error["detail"]
    assert error["ts_us"] == T0 + 3_500_000
    assert "log_works" in capsys.readouterr().err
    assert [r["ts_us"] for r in run.rows("clock")] == [T0]
    assert len(run.rows("state")) == 4 * 31


@pytest.fixture
def in_line(monkeypatch):
    """What runs beside the sampling on a real clock, here runs in line with it."""
    real = Worker.__init__

    def begin(worker, task, failed, *, inline):
        real(worker, task, failed, inline=True)

    monkeypatch.setattr(Worker, "__init__", begin)


@pytest.mark.parametrize(("fsync_s", "least", "most"), [(0.2, 6, 16), (60.0, 0, 0)])
@pytest.mark.usefixtures("in_line")
def test_the_log_is_forced_to_disk_at_its_own_pace(tmp_path, monkeypatch, fsync_s, least, most):
    synced = []
    monkeypatch.setattr(
        "tokenergy_collectors.spool.spool.sync_path", lambda path: synced.append(path.name)
    )
    run = Run(tmp_path, clock=SteppedClock(T0), wal_fsync_s=fsync_s, wal_flush_s=0.1)
    run.run(1_700_000, sources=False)
    assert least <= sum("power" in name for name in synced) <= most


@pytest.mark.usefixtures("in_line")
def test_level_readings_reach_the_log_as_others_do(tmp_path, monkeypatch):
    """A board whose reading does not change is kept once a second; a kill must not cost that."""
    run = Run(tmp_path, clock=SteppedClock(T0), wal_flush_s=0.2, counter_every_s=60.0)
    monkeypatch.setattr(Board, "read", lambda *_, **more: (80_000, None))
    read, seen = [], []

    def look():
        [log] = [path for path in logs(run.lake.root) if "power" in path.name]
        rows = read_log(log, TABLES["power"].schema()).rows
        seen.append(max(rows["ts_us"].to_pylist()))
        read.append(run.clock.realtime_us())

    run.at(890_000, look)
    run.run(S, sources=False)
    assert read[0] - seen[0] < 0.6 * S


def test_killed_at_random_and_its_logs_damaged(tmp_path):
    tally = run_lane(tmp_path, 5, 3, lambda: None)
    assert tally.violations == []
    assert (tally.kills, tally.unreadable, tally.duplicates, tally.missing) == (5, 0, 0, 0)
    assert tally.damaged
    assert tally.recovered


def test_the_kill_test_would_see_what_goes_wrong(tmp_path):
    """Rows doubled, rows lost and a file cut, by our own hand."""
    from benchmarks.chaos_check import check

    chaos_run.prepare(tmp_path)
    life = chaos_run.live(tmp_path, 0, random.Random(3))
    last, exit_code = chaos_run.stop(tmp_path, 1)
    lake = tmp_path / "lake"
    assert check(lake, [life], last, exit_code).violations == []
    life.logged.add(("power", "GPU-x", 1))
    files = sorted((lake / "power").rglob("*.parquet"))
    files[0].with_name("n1-0-other.parquet").write_bytes(files[0].read_bytes())
    state = min((lake / "state").rglob("*.parquet"))
    state.write_bytes(state.read_bytes()[:-20])
    tally = check(lake, [life], last, 1)
    assert (tally.unreadable, tally.missing >= 1, tally.duplicates > 0) == (1, True, True)
    assert len(tally.violations) >= 4
