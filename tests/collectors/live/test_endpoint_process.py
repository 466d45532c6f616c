"""The daemon as a process with an endpoint: scraped, reloaded, stopped; and without one."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.emulated import SMALL
from tests.support.live import Metrics
from tokenergy_collectors.base.address import parse_address
from tokenergy_collectors.top.client import ask
from tokenergy_collectors.top.frame import frame_of

PLAIN = SMALL[: SMALL.index("[[jobs]]")]
"""The small profile without anything that runs, so without token endpoints."""


class Process:
    """`tokenergy-collect run` in real time on emulated boards, its log and its endpoint."""

    def __init__(self, root, metrics="", profile=SMALL):
        (root / "p.toml").write_text(profile)
        self.config = root / "c.toml"
        self.base = f"lake = '{root / 'lake'}'\nlog_format = 'json'\nlearn_s = 0\n"
        self.write(metrics)
        words = ["run", "--config", self.config, "--node", "n1", "--emulate", root / "p.toml"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tokenergy_collectors", *map(str, words), "--real-time"],
            stderr=subprocess.PIPE,
            text=True,
        )

    def write(self, metrics):
        self.config.write_text(self.base + (f"[metrics]\n{metrics}\n" if metrics else ""))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def event(self, wanted):
        while (line := json.loads(self.process.stderr.readline()))["event"] != wanted:
            pass
        return line

    def hang_up(self, metrics):
        self.write(metrics)
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0


def scrape(listen):
    families = list(ask(parse_address(listen)))
    metrics = Metrics("")
    metrics.families = families
    metrics.samples = [sample for family in families for sample in family.samples]
    return metrics


def until(condition, timeout_s=60):
    """Wait until something holds; return it."""
    end_s = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end_s, "did not come about"
        time.sleep(0.1)
    return found


def listening(pid):
    """The sockets on which a process listens, TCP and Unix, from the kernel's tables."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        if found := re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink())):
            inodes.add(found[1])
    net = Path(f"/proc/{pid}/net")
    tcp = [line.split() for name in ("tcp", "tcp6") for line in lines(net / name)]
    unix = [line.split() for line in lines(net / "unix")]
    return [row[1] for row in tcp if row[3] == "0A" and row[9] in inodes] + [
        row[-1] for row in unix if row[3] == "00010000" and row[6] in inodes
    ]


def lines(path):
    return path.read_text().splitlines()[1:] if path.exists() else []


def test_no_socket_is_open_unless_asked_for(tmp_path):
    with Process(tmp_path, profile=PLAIN) as daemon:
        daemon.event("start")
        assert listening(daemon.process.pid) == []
        daemon.stop()


def test_it_is_scraped_through_reloads_and_stops_cleanly(tmp_path):
    unix = f"unix:{tmp_path / 'm.sock'}"
    with Process(tmp_path, "listen = '127.0.0.1:0'") as daemon:
        told = daemon.event("metrics")["listen"]
        daemon.event("start")
        assert len(listening(daemon.process.pid)) == 3, "two token endpoints and this one"
        first = until(lambda: (m := scrape(told)).all("gpu_power_watts") and m)
        assert len(first.all("gpu_power_watts")) == 4
        assert all(60 < watts < 700 for watts in first.all("gpu_power_watts"))
        assert first.one("build_info") == 1
        assert abs(first.one("collector_time_seconds") - time.time()) < 5
        later = until(lambda: (m := scrape(told)).all("job_tokens_per_second") and m)
        energy = "gpu_energy_joules_total"
        assert all(b > a for a, b in zip(first.all(energy), later.all(energy), strict=True))
        frame = frame_of(later.families)
        assert (frame.node, [row.index for row in frame.gpus]) == ("n1", [0, 1, 2, 3])

        daemon.hang_up(f"listen = '{unix}'\nstale_s = 3.0")
        assert daemon.event("metrics")["listen"] == unix
        assert daemon.event("reload")["changed"] == "metrics"
        daemon.event("start")
        after = until(lambda: (m := scrape(unix)).all("gpu_power_watts") and m)
        readings = "collector_readings_total"
        assert after.one(readings) > later.one(readings), "counters go on"
        assert after.one("collector_events_total", kind="start") == 2
        with pytest.raises(Exception, match="no answer"):
            scrape(told)

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            daemon.hang_up(f"listen = '127.0.0.1:{taken.getsockname()[1]}'")
            assert "Address already in use" in daemon.event("reload_refused")["why"]
        until(lambda: scrape(unix).one(readings) > after.one(readings))  # the old one serves on

        daemon.hang_up("")
        assert daemon.event("reload")["changed"] == "metrics"
        daemon.event("start")
        assert not (tmp_path / "m.sock").exists()
        assert len(listening(daemon.process.pid)) == 2
        daemon.hang_up(f"listen = '{unix}'")
        daemon.event("start")
        until(lambda: scrape(unix).all("gpu_power_watts"))
        daemon.stop()
    assert not (tmp_path / "m.sock").exists()


@pytest.mark.parametrize(
    ("listen", "words"),
    [("0.0.0.0:9465", "not a loopback address"), (None, "Address already in use")],
)
def test_an_address_that_cannot_be_had_is_one_line_and_exit_code_2(tmp_path, listen, words):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = listen or f"127.0.0.1:{taken.getsockname()[1]}"
        with Process(tmp_path, f"listen = '{listen}'", PLAIN) as daemon:
            error = daemon.process.stderr.read().splitlines()
            assert daemon.process.wait(20) == 2
    assert len(error) == 1
    assert error[0].startswith("error: ")
    assert words in error[0]
    assert not (tmp_path / "lake" / "power").exists()
