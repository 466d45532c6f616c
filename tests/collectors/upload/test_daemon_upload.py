"""The daemon as a process with a store: away and back, killed, hung, reloaded, on virtual time."""

import json
import re
import signal
import subprocess
import sys
import threading

import pytest

from tests.support.emulated import SMALL
from tests.support.s3 import BUCKET
from tests.support.uploading import Uploading, files, fill, make_old
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import aggregate, worklist

START = """
import sys
from tokenergy_collectors import cli
from tokenergy_collectors.daemon import housekeeping
housekeeping.STOP_S = float(sys.argv.pop(1))
cli.main()
"""
"""The command, with another limit on what uploads get at the stop."""

FAST = "every_s = 0.1\ntimeout_s = 20.0\nretry_s = 0.1\nretry_limit_s = 0.3\n"


class Host:
    """A daemon on emulated boards in real time; its log is read as it comes."""

    def __init__(self, folder, url, more=FAST, head=""):
        self.root = folder / "lake"
        (folder / "small.toml").write_text(SMALL)
        self.config = folder / "collect.toml"
        self.config.write_text(
            f"lake = '{self.root}'\nnode = 'n1'\nroll_s = 1\nlearn_s = 0\nlog_format = 'json'\n"
            f"{head}[upload]\nto = 's3://{BUCKET}/up'\nendpoint_url = '{url}'\n{more}"
        )
        self.profile = folder / "small.toml"
        self.process = None
        self.lines = []

    def start(self, *words, stop_s=10.0):
        words = words or ("--real-time",)
        self.lines = []
        words = ("run", "--config", self.config, "--emulate", self.profile, *words)
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(stop_s), *map(str, words)],
            stderr=subprocess.PIPE,
            text=True,
        )
        # A daemon that says nothing more must fail a test, not hang it.
        self._timer = threading.Timer(120, self.process.kill)
        self._timer.start()
        return self

    def until(self, event, **fields):
        while True:
            line = self.process.stderr.readline()
            assert line, f"no {event}: {self.lines}"
            self.lines.append(json.loads(line))
            last = self.lines[-1]
            if last["event"] == event and fields.items() <= last.items():
                return last

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        with self.process:
            self.lines += [json.loads(line) for line in self.process.stderr]
        self._timer.cancel()
        return self.process.returncode

    def told(self, event):
        return [line for line in self.lines if line["event"] == event]


@pytest.fixture
def host(tmp_path, wire):
    host = Host(tmp_path, wire.url)
    yield host
    if host.process is not None:
        host.process.kill()
        host.process.wait()
        host.process.stderr.close()
        host._timer.cancel()


def arrived(server, folder):
    server.download(folder, "up")
    return files(folder)


def test_all_that_was_sealed_arrives_by_the_stop(host, server, tmp_path):
    host.start().until("uploaded", failed=0)
    assert host.end() == 0
    assert not host.told("upload_waits")
    assert arrived(server, tmp_path / "got") == files(host.root)
    kinds = [r["kind"] for r in Lake(tmp_path / "got").read("event").to_pylist()]
    assert (kinds[0], kinds[-1]) == ("start", "stop")


def test_away_and_back_loses_nothing_and_is_told_once_each(host, server, wire, tmp_path):
    wire.cut()
    host.start().until("upload_failed")
    host.until("sealed")
    host.until("sealed")
    wire.mend()
    host.until("upload_works")
    assert host.end() == 0
    got = tmp_path / "got"
    assert arrived(server, got) == files(host.root)
    kinds = [r["kind"] for r in Lake(got).read("event").to_pylist()]
    assert (kinds.count("upload_failed"), kinds.count("upload_works")) == (1, 1)
    assert "drop" not in kinds


def test_killed_in_the_midst_of_uploads_each_file_arrives_once(host, server, wire, tmp_path):
    fill(host.root, 20)
    before = files(host.root)
    wire.hang_after(5)
    host.start()
    assert wire.hung.wait(60)
    host.end(signal.SIGKILL)
    there = len(server.names("up"))
    wire.mend()
    host.start().until("uploaded", waiting=0)
    assert host.end() == 0
    got = arrived(server, tmp_path / "got")
    assert 5 <= there < len(before)
    assert before.items() <= got.items()
    assert got == files(host.root)
    lake = Lake(tmp_path / "got")
    for table in ("power", "state", "event"):
        rows = [repr(row) for row in lake.read(table).to_pylist()]
        assert len(rows) == len(set(rows)), table


def test_a_store_that_hangs_holds_up_neither_the_sampling_nor_the_stop(
    tmp_path, wire, server, monkeypatch
):
    host = Host(tmp_path, wire.url, FAST.replace("20.0", "300.0"))
    wire.hang()
    host.start(stop_s=1.0).until("sealed")
    while not wire.connections:
        host.until("sealed")
    host.until("sealed")
    host.until("sealed")
    assert host.end() == 0
    [waits] = host.told("upload_waits")
    assert waits["files"] > 0
    assert not any(line["files"] for line in host.told("uploaded"))
    power = Lake(host.root).read("power").to_pylist()
    assert {r["device_id"] for r in power} == {r["device_id"] for r in power if r["energy_mj"]}
    wire.mend()
    words = [sys.executable, "-m", "tokenergy_collectors", "upload", "--config", str(host.config)]
    assert subprocess.run(words, check=False, capture_output=True).returncode == 0
    assert arrived(server, tmp_path / "got") == files(host.root)


def test_a_reload_goes_on_uploading_and_refuses_a_store_that_cannot_be(host, server, tmp_path):
    host.start().until("uploaded", failed=0)
    sound = host.config.read_text()
    host.config.write_text(sound.replace("s3://", "gopher://"))
    host.process.send_signal(signal.SIGHUP)
    assert "no such protocol" in host.until("reload_refused")["why"]
    host.config.write_text(sound.replace("/up'", "/other'"))
    host.process.send_signal(signal.SIGHUP)
    assert host.until("reload")["changed"] == "upload"
    host.until("uploaded", failed=0)
    assert host.end() == 0
    server.download(tmp_path / "other", "other")
    assert files(tmp_path / "other") == files(host.root)  # a new place gets everything


def test_on_virtual_time_everything_arrives_too_and_the_pipeline_sees_no_difference(
    host, server, tmp_path
):
    host.config.write_text(host.config.read_text().replace("roll_s = 1\n", "roll_s = 10\n"))
    host.start("--truth", str(tmp_path / "truth.json"))
    host.until("stop")
    with host.process:
        host.lines += [json.loads(line) for line in host.process.stderr]
    assert host.process.returncode == 0
    got = tmp_path / "got"
    assert arrived(server, got) == files(host.root)
    here, there = Lake(host.root), Lake(got)
    for lake in (here, there):
        for hour, node in worklist(lake):
            aggregate(lake, hour, node, 1_000_000, "cpu")
        index(lake, Site(None, None, {}), progress=lambda _: None, catalog=False)
    for table in ("segment", "ledger", "token_usage", "job_hour_index", "job_index"):
        rows = here.read(table)
        assert rows.num_rows, table
        assert rows.equals(there.read(table)), table


def test_a_limit_on_the_disk_while_the_store_is_away(tmp_path, wire, server):
    """What is given up is told, in the bucket too; everything else arrives."""
    host = Host(tmp_path, wire.url, f"{FAST}[disk]\nkeep_days = 0.00003\n")
    fill(host.root, 3)
    make_old(host.root)
    event = {n: d for n, d in files(host.root).items() if n.startswith("event")}
    wire.cut()
    host.start().until("drop")
    host.until("sealed")
    wire.mend()
    host.until("upload_works")
    assert host.end() == 0
    got = tmp_path / "got"
    there = arrived(server, got)
    assert event.items() <= there.items()
    told = [r["detail"] for r in Lake(got).read("event").to_pylist() if r["kind"] == "drop"]
    assert sorted(told) == sorted(line["why"] for line in host.told("drop"))
    old = [d for d in told if re.search("from 2026-01-15T(08|09|10):00", d)]
    assert (
        sorted(d.split(",")[0] for d in old) == ["50 rows of power"] * 3 + ["50 rows of state"] * 3
    )


def test_a_kill_between_put_and_note_puts_nothing_twice(tmp_path, server):
    """The state is lost in that instant: the store is asked, and has it."""
    lake = fill(tmp_path / "lake")
    first = Uploading(lake, f"s3://{BUCKET}/up", endpoint_url=server.url)

    class Killed(BaseException):
        pass

    def note(file):
        raise Killed

    first.verified.add = note
    with pytest.raises(Killed):
        first.run()
    assert len(server.names()) == 1
    again = Uploading(lake, f"s3://{BUCKET}/up", endpoint_url=server.url)
    put, real = [], again.store.put
    again.store.put = lambda *what: (put.append(what), real(*what))
    assert again.run() == []
    assert len(put) == len(server.names()) - 1 == 5
    assert again.verified.path.exists()
