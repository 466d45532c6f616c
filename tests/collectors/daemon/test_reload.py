"""SIGHUP, SIGTERM and a lost NVML: what ends a run, what follows it, and what is in the lake."""

import json
import os
import signal
import socket
import subprocess
import sys

import pynvml
import pytest

from tests.support.clocks import PlannedClock
from tests.support.daemon import T0, S
from tests.support.emulated import SMALL, small_profile
from tokenergy_collectors.daemon import supervise
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.daemon.notify import Notifier
from tokenergy_collectors.emulate.run.emulated import run_emulated_node
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.nvml.fieldvalues import FieldRequest
from tokenergy_collectors.start import run_collector


@pytest.fixture
def site(tmp_path):
    (tmp_path / "small.toml").write_text(SMALL)
    (tmp_path / "collect.toml").write_text(f"lake = '{tmp_path / 'lake'}'\nlog_format = 'json'\n")
    return tmp_path


class Supervised:
    """The daemon in real time on emulated boards, with a supervisor's socket; its log is read."""

    def __init__(self, site):
        self.config = site / "collect.toml"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(site / "notify"))
        self.socket.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(site / "notify")}
        environment |= {"WATCHDOG_USEC": "200000"}
        words = ["--config", self.config, "--node", "n1", "--emulate", site / "small.toml"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tokenergy_collectors", "run", *words, "--real-time"],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.socket.close()

    def state(self, wanted):
        """Wait until a state was told; return the ones before it."""
        before = []
        while (state := self.socket.recv(4096).decode().split("\n")[0]) != wanted:
            before.append(state)
        return before

    def event(self, wanted):
        while (line := json.loads(self.process.stderr.readline()))["event"] != wanted:
            pass
        return line


def test_a_reload_seals_and_goes_on_with_what_the_file_says_then(site):
    with Supervised(site) as daemon:
        assert daemon.state("READY=1") == []
        assert daemon.state("WATCHDOG=1") == []
        assert daemon.state("WATCHDOG=1") == []

        text = daemon.config.read_text()
        daemon.config.write_text(text + "rate_hz = 1000\n")
        daemon.process.send_signal(signal.SIGHUP)
        assert "rate_hz" in daemon.event("reload_refused")["why"]

        daemon.config.write_text(text.replace("'json'", "'text'") + "rate_hz = 10\n")
        daemon.process.send_signal(signal.SIGHUP)
        assert daemon.event("reload")["changed"] == "log_format, rate_hz"
        assert set(daemon.state("RELOADING=1")) <= {"WATCHDOG=1"}
        assert "STOPPING=1" not in daemon.state("READY=1")
        daemon.state("WATCHDOG=1")
        daemon.process.send_signal(signal.SIGTERM)
        daemon.state("STOPPING=1")
        assert daemon.process.wait(20) == 0
        assert " level=info event=stop " in daemon.process.stderr.read().splitlines()[-1]
    lake = Lake(site / "lake")
    events = sorted(lake.read("event").to_pylist(), key=lambda r: r["ts_us"])
    kinds = [row["kind"] for row in events if row["kind"] in ("start", "stop")]
    assert kinds == ["start", "stop", "start", "stop"]
    [stop] = [row for row in events if row["kind"] == "stop"][:1]
    again = [row for row in events if row["kind"] == "start"][1]
    assert again["ts_us"] - stop["ts_us"] < 1.5 * S, "the gap must stay below the gap limit"
    keys = [(r["device_id"], r["ts_us"]) for r in lake.read("power").to_pylist()]
    assert len(keys) == len(set(keys))


def run(site, control, **more):
    return run_collector(
        site / "collect.toml",
        control=control,
        node="n1",
        emulate=str(site / "small.toml"),
        real_time=True,
        **more,
    )


def test_nvml_that_is_lost_ends_the_run_after_everything_is_sealed(site, monkeypatch):
    monkeypatch.setattr(supervise, "_LOOK_EVERY_US", 50_000)
    monkeypatch.setattr(supervise, "_LOST_US", 400_000)
    asked = []
    real_read = FieldRequest.read

    def lost(*arguments):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)

    def lost_later(*arguments):
        asked.append(1)
        return real_read(*arguments) if len(asked) < 100 else lost()

    monkeypatch.setattr(FieldRequest, "read", lost_later)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", lost)
    (site / "collect.toml").write_text(f"lake = '{site / 'lake'}'\nrate_hz = 50\nlearn_s = 0\n")
    with pytest.raises(supervise.NvmlLostError, match=r"NVML is lost: each of 4 boards"):
        run(site, Control(Notifier({})), duration="30s")
    kinds = [row["kind"] for row in Lake(site / "lake").read("event").to_pylist()]
    assert kinds.count("lost") == 4
    assert kinds.count("stop") == 1
    assert Lake(site / "lake").read("power").num_rows > 0


def test_a_stop_beats_a_reload():
    control = Control(Notifier({}))
    control.on_reload(lambda: True)
    control.ask_reload().join(5)
    assert control.event.is_set()
    assert control.goes_on()
    assert not control.event.is_set()
    control.ask_reload().join(5)
    control.ask_stop()
    assert not control.goes_on()
    assert control.event.is_set()
    control.ask_reload().join(5)
    assert not control.goes_on()


def test_a_reload_that_may_not_be_ends_nothing():
    control = Control(Notifier({}))
    control.ask_reload().join(5)
    assert not control.event.is_set()
    control.on_reload(lambda: False)
    control.ask_reload().join(5)
    assert not control.event.is_set()


def test_a_duration_holds_across_reloads(site):
    control, clock = Control(Notifier({})), PlannedClock(T0)
    config = Config(lake=str(site / "lake"), node="n1")
    clock.at(2_500_000, lambda: control.ask_reload().join(5))
    run_emulated_node(lambda: config, small_profile(), clock, control, 4 * S)
    rows = Lake(site / "lake").read("event").to_pylist()
    stamps = [(row["kind"], row["ts_us"] - T0) for row in rows if row["kind"] in ("start", "stop")]
    ends = [("start", 0), ("stop", 2_500_000), ("start", 2_500_000), ("stop", 4 * S)]
    assert stamps == ends
