"""A meter's register to SQL: the daemon, the log, sealed and compacted files, DuckDB; exactly."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.support.lakes import T0
from tests.support.modbus import MeterServer, Request, words_of
from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.daemon.daemon import Daemon
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.compaction import compact
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.settings.example import effective
from tokenergy_collectors.sources.host import Host
from tokenergy_sql.catalog import connecting
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site

ENERGY, TEMPERATURE = 2**64 - 2, -5


class FromT0(SystemClock):
    """A clock that goes on as real time does, but from the start of an hour: no file is of two."""

    def __init__(self) -> None:
        super().__init__()
        self._began_us = self.monotonic_us()

    def realtime_us(self) -> int:
        return T0 + self.monotonic_us() - self._began_us


def keys(port: int) -> dict[str, Any]:
    """The keys of a host that only reads meters."""
    registers = [
        {"meter": "feed", "address": 0, "type": "uint64"},
        {"meter": "t", "address": 4, "type": "int16"},
        {"meter": "none", "address": 5, "type": "uint16"},
    ]
    device = {"host": "127.0.0.1", "port": port, "every_s": 0.1, "register": registers}
    return {"gpus": False, "roll_s": 1.0, "modbus": [device]}


def collect(root: Path, server: MeterServer, clock: FromT0, enough: threading.Event) -> None:
    """Run a daemon until the server has had enough requests."""
    config = Config.model_validate({"lake": str(root), "node": "n1", **keys(server.port)})
    host = Host("n1", clock, Log("text"), lake=Lake(root, create=True))
    daemon = Daemon(config, host)
    stop = threading.Event()
    running = threading.Thread(target=daemon.run, args=(stop,))
    running.start()
    assert enough.wait(60)
    stop.set()
    running.join()


def test_from_the_register_to_sql(tmp_path: Path) -> None:
    enough, clock = threading.Event(), FromT0()

    def count(_: Request) -> None:
        if len(server.requests) >= 3:
            enough.set()

    blocks = {0: words_of("Q", ENERGY), 4: words_of("h", TEMPERATURE), 5: [0xFFFF]}
    with MeterServer({1: blocks}, count) as server:
        for _ in range(2):  # two files
            enough.clear()
            server.requests.clear()
            collect(tmp_path / "lake", server, clock, enough)
    lake = Lake(tmp_path / "lake")
    assert len(lake.files("meter")) >= 2
    check(lake)
    compact(lake, 2**62, 0)
    lake = Lake(tmp_path / "lake")
    assert any("merged" in path.name for path in lake.files("meter"))
    check(lake)


def check(lake: Lake) -> None:
    con = connecting.connect(lake)
    found = con.sql(
        "SELECT meter_id, node, source, value_n::VARCHAR, resolution_n, count(*) >= 4, "
        "count(DISTINCT ts_us) = count(*) FROM meter GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    billion = 10**9
    assert [(*row[:4], int(row[4]), *row[5:]) for row in found] == [
        ("feed", "n1", "modbus", str(ENERGY * billion), billion, True, True),
        ("t", "n1", "modbus", str(TEMPERATURE * billion), billion, True, True),
    ]
    events = con.sql("SELECT detail FROM event WHERE kind = 'meter_lost'").fetchall()
    assert len(events) == 2  # one in each run
    assert all("none: reads 65535 (all ones)" in detail for (detail,) in events)


def test_a_host_without_gpus_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """The whole process, on a host that needs no driver; a lake of meters alone has no breach."""
    with MeterServer({1: {0: words_of("Q", ENERGY), 4: words_of("h", TEMPERATURE)}}) as server:
        root, config = tmp_path / "lake", tmp_path / "collect.toml"
        found = Config.model_validate({"lake": str(root), "node": "n1", **keys(server.port)})
        config.write_text(effective(found))
        words = [sys.executable, "-m", "tokenergy_collectors"]
        # Without an emulator or a driver NVML cannot be started, and would end the process.
        check = subprocess.run(
            [*words, "check", "--config", config], capture_output=True, text=True
        )
        assert "nvml      gpus = false: no GPU is read" in check.stdout
        assert "FAIL" not in check.stdout
        running = [*words, "run", "--config", config]
        with subprocess.Popen(running, stderr=subprocess.PIPE, text=True, bufsize=1) as process:
            assert process.stderr is not None
            lines = []
            while sum("event=sealed" in line and "meter" in line for line in lines) < 2:
                lines.append(process.stderr.readline())
                assert lines[-1], "".join(lines)
            process.send_signal(signal.SIGTERM)
            lines += process.stderr
        assert process.returncode == 0, "".join(lines)
    assert "event=stop" in lines[-1]
    assert not any("source=gpu" in line for line in lines)
    assert any("source=modbus/" in line for line in lines)
    lake = Lake(root)
    assert {row["meter_id"] for row in lake.read("meter").to_pylist()} == {"feed", "t"}
    assert index(lake, Site(None, None, {}), progress=lambda _: None, catalog=False).causes == {}
    assert [one.name for one in run_checks(lake) if one.breach and one.rows] == []
