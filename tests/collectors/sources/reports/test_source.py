"""The `reports` source: what programs report becomes rows of `tokens`."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from array import array
from pathlib import Path

import pytest

from tests.support.lakes import LakeBuilder, S
from tokenergy_collectors.base.clock import SystemClock, VirtualClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.lake.contract import TOKENS
from tokenergy_collectors.report import SOCKET_VARIABLE, Tokens
from tokenergy_collectors.sources.host import Host, Output
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.reports import receiver
from tokenergy_collectors.sources.reports.settings import ReportKeys, Reports
from tokenergy_collectors.sources.reports.source import TokenReports
from tokenergy_sql.index.tokens import Usage

T0_US = 1_768_464_000_000_000


class Rig:
    """A source on a virtual clock or another one, and the rows that it records."""

    def __init__(self, path, clock=None, **settings):
        self.rows = []
        self.arrived = threading.Semaphore(0)
        self.clock = clock or VirtualClock(T0_US)
        self.host = Host("n1", self.clock, Log("text"), Output(self), run=7, cluster="east")
        keys = ReportKeys(reports=Reports(socket=str(path), every_s=5.0, **settings))
        self.source = TokenReports(keys, self.host)
        self.plan = Plan(Schedule(self.clock), self.host)
        self.plan.begin(self.clock.monotonic_us(), None)
        self.source.begin()
        self._watch()
        self.source.plan(self.plan)

    def _watch(self):
        """Let a test wait until a datagram has been looked at."""
        found = self.source._receiver
        parse = receiver.parse

        def parsed(data):
            try:
                return parse(data)
            finally:
                self.arrived.release()

        receiver.parse = parsed
        self.undo = lambda: setattr(receiver, "parse", parse)
        self.receiver = found

    def add(self, table, rows):
        assert table == "tokens"
        self.rows += map(TOKENS.as_dict, rows)

    def wait(self, reports):
        for _ in range(reports):
            assert self.arrived.acquire(timeout=20)
        # The lock is free again once the last one is noted.
        with self.receiver._lock:
            pass

    def run(self, seconds=5):
        self.plan.schedule.run(self.clock.monotonic_us() + seconds * S, threading.Event())
        [reader] = self.plan.readers
        return reader.health


@pytest.fixture
def rig(tmp_path, monkeypatch):
    monkeypatch.setenv(SOCKET_VARIABLE, str(tmp_path / "t.sock"))
    monkeypatch.delenv("RANK", raising=False)
    found = Rig(tmp_path / "t.sock")
    yield found
    found.source.finish(found.host.now_us())
    found.undo()


def send(path, **values):
    good = {"v": 1, "job": "ft", "session": "ab", "began": T0_US / 1e6, "total": 7}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(json.dumps({**good, **values}).encode(), str(path))


def test_the_latest_count_becomes_a_row(rig):
    tokens = Tokens("ft", model="m", every_s=0, rank=3)
    tokens.add(100)
    tokens.add(20)
    rig.wait(3)
    assert rig.run().succeeded
    [row] = rig.rows
    labels = json.loads(row.pop("series"))
    assert labels["pid"] == str(os.getpid())
    assert labels["uid"] == str(os.getuid())
    assert labels["rank"] == "3"
    assert row["since_us"] <= row["ts_us"]
    expected = {
        "job_id": "ft", "cluster": "east", "node": "n1", "model": "m", "kind": "trained",
        "value": 120, "run": 7, "source_id": "report:loop", "metric": "tokenergy_report",
        "quantum": 1, "epoch": 0,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    rig.run()
    assert len(rig.rows) == 1  # nothing new came


def test_what_is_no_report_is_a_problem_and_the_others_go_on(rig, tmp_path):
    send(tmp_path / "t.sock", kind="seen")
    send(tmp_path / "t.sock")
    rig.wait(2)
    rig.run()
    assert [row["value"] for row in rig.rows] == [7]
    assert rig.plan.readers[0].health.failures == 1


def test_a_count_ends_and_the_file_goes_with_the_daemon(rig, tmp_path):
    send(tmp_path / "t.sock", total=9)
    rig.wait(1)
    rig.source.finish(rig.host.now_us())
    assert [row["value"] for row in rig.rows] == [9]
    assert not (tmp_path / "t.sock").exists()


def test_files_that_come_with_a_report_are_not_kept(rig, tmp_path):
    """A program may pass open files along with a datagram."""
    handles = len([*Path("/proc/self/fd").iterdir()])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, Path(__file__).open() as file:
        sender.connect(str(tmp_path / "t.sock"))
        report = {"v": 1, "job": "ft", "session": "ab", "began": T0_US / 1e6, "total": 7}
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [file.fileno()]))
        sender.sendmsg([json.dumps(report).encode()], [rights])
        rig.wait(1)
    rig.run()
    assert [row["value"] for row in rig.rows] == [7]
    assert len([*Path("/proc/self/fd").iterdir()]) == handles


def test_what_is_forgotten_leaves_nothing_behind(rig, tmp_path):
    for name in "ab":
        send(tmp_path / "t.sock", session=name)
    rig.wait(2)
    rig.run()
    rig.run(3601)
    assert (rig.source._began_us, rig.source._epochs._last) == ({}, {})
    send(tmp_path / "t.sock", session="a", total=9)  # it goes on after all, with the same start
    rig.wait(1)
    rig.run()
    assert rig.rows[-1]["value"] == 9
    assert rig.rows[-1]["since_us"] == rig.rows[0]["since_us"]


def test_counts_are_limited(rig, tmp_path, monkeypatch):
    monkeypatch.setattr(receiver, "MOST_COUNTS", 2)
    for name in "abc":
        send(tmp_path / "t.sock", session=name)
    rig.wait(3)
    rig.run()
    assert len(rig.rows) == 2
    rig.run(3601)  # what is silent for an hour is forgotten
    send(tmp_path / "t.sock", session="d")
    rig.wait(1)
    rig.run()
    assert len(rig.rows) == 3


def test_other_users_are_refused(tmp_path):
    rig = Rig(tmp_path / "t.sock", users=["nobody"] if os.getuid() else ["daemon"])
    try:
        send(tmp_path / "t.sock")
        rig.wait(1)
        assert "is not taken: see users" in (rig.source._record() or "")
        assert rig.rows == []
    finally:
        rig.source.finish(rig.host.now_us())
        rig.undo()


def test_a_user_that_is_not_there_and_a_socket_in_use_are_errors(rig, tmp_path):
    keys = ReportKeys(reports=Reports(socket=str(tmp_path / "x"), users=["no such user"]))
    with pytest.raises(UserError, match="there is no user 'no such user' on this host"):
        TokenReports.validate(keys, emulated=False)
    with pytest.raises(UserError, match="another daemon receives on it"):
        Rig(tmp_path / "t.sock")
    with pytest.raises(UserError, match="No such file or directory"):
        Rig(tmp_path / "none" / "t.sock")


def test_a_socket_that_a_killed_daemon_left_is_replaced(tmp_path):
    path = tmp_path / "t.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(str(path))
    rig = Rig(path)
    try:
        send(path)
        rig.wait(1)
    finally:
        rig.source.finish(rig.host.now_us())
        rig.undo()


LOOP = """
    import os, signal, sys
    from tokenergy_collectors.report import Tokens
    tokens = Tokens("ft", cluster="east", every_s=0)
    for step in range(int(sys.argv[1]), int(sys.argv[2])):
        tokens.add(10)
        while tokens.unsent:  # the queue was full: what is killed next has reported all
            tokens.unsent = 0
            tokens.add(0)
    if sys.argv[3] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_loop_that_is_killed_and_goes_on_from_a_checkpoint_counts_its_work(tmp_path, monkeypatch):
    """100 steps, killed; the checkpoint is of step 80; then steps 80 to 150: 1,700 tokens."""
    monkeypatch.setenv(SOCKET_VARIABLE, str(tmp_path / "t.sock"))
    rig = Rig(tmp_path / "t.sock", SystemClock())
    began_us = rig.host.now_us()
    ends = []
    try:
        for first, last, how in ((0, 100, "killed"), (80, 150, "ended")):
            program = textwrap.dedent(LOOP)
            done = subprocess.run(
                [sys.executable, "-c", program, str(first), str(last), how], check=False
            )
            ends.append(done.returncode)
    finally:
        rig.source.finish(rig.host.now_us())
        rig.undo()
    assert ends == [-signal.SIGKILL, 0]
    builder = LakeBuilder(tmp_path / "lake")
    builder.job("ft", "A", began_us, rig.host.now_us(), cluster="east", node="n1")
    builder.add("tokens", rig.rows)
    [found] = Usage.of(builder.lake).rows.to_pylist()
    assert (found["job_id"], found["kind"], found["tokens"]) == ("east/ft", "trained", 1_700)
    assert found["reasons"] is None
