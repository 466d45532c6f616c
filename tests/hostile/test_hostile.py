"""A daemon beside everything that is wrong with its neighbours at once, and one beside nothing.

Both sample the same emulated boards at the same time, so that what the machine does else delays
both. Late ticks are counted, not timed: the daemon with bad neighbours may have no more of them.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.servers import HOSTILE, Hostile
from tests.support.feeding import Feeding, Truth
from tests.support.kubelet import FakeKubelet, HostFolders, pod
from tokenergy_collectors.emulate.profile.profile import load_profile
from tokenergy_collectors.lake import Lake

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc: it compiles the boards"),
]

BOARDS = 8
PODS = 10_000
LIMIT_S = 240
ALLOWED = 0.02
"""Part of the ticks by which two daemons that see the same differ on a busy machine."""
GAP_US = 1_500_000
PROFILE = """
name = "hostile"
start = 2026-01-15T08:00:00Z
duration_s = 900
seed = 11

[nodes.n1]
boards = "h100"
count = 8

[[jobs]]
id = "load"
devices = { n1 = [0, 1, 2, 3] }
start_s = 1
end_s = 900
workload = { type = "periodic", model = "m", frequency_hz = 0.5, high_w = 500 }
"""
CALM = """
lake = "{lake}"
node = "n1"
log_format = "json"
rate_hz = 20
learn_s = 0
"""
NEIGHBOURS = """
[slurm]
spool = "{spool}"

[kubernetes]
enabled = true
socket = "{socket}"
pod_logs = "{logs}"
cgroups = "{cgroups}"
"""
TOKENS = """
[[tokens]]
source_id = "{name}"
url = "{url}"
job_id = "job-{name}"
every_s = 1.0
"""
HALF = "1768464000.000000000-7-prolog-1.event"
BAD_POD = "clear\x1b[2J"


@dataclass
class Run:
    """What a daemon said and recorded."""

    lines: list[str]
    lake: Lake

    @property
    def stop(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.lines[-1])
        return found

    @property
    def missed(self) -> int:
        return int(self.stop["late"]) + int(self.stop["left_out"])

    def gaps(self) -> int:
        """Return between how many neighbouring readings of a board power is not known."""
        stamps = defaultdict(list)
        for row in self.lake.read("power", columns=["device_id", "ts_us"]).to_pylist():
            stamps[row["device_id"]].append(row["ts_us"])
        assert len(stamps) == BOARDS
        return sum(
            after - before > GAP_US
            for each in stamps.values()
            for before, after in zip(sorted(each), sorted(each)[1:], strict=False)
        )

    def told(self) -> list[str]:
        """Return the details of all events but those of a run itself."""
        rows = self.lake.read("event").to_pylist()
        return [row["detail"] for row in rows if row["kind"] not in ("start", "stop", "late")]


class Daemon:
    """A daemon whose lines are read as it writes them."""

    def __init__(self, folder: Path, name: str, text: str, environment: dict[str, str]) -> None:
        self._lake = folder / name
        config = folder / f"{name}.toml"
        config.write_text(text)
        words = [sys.executable, "-m", "tokenergy_collectors", "run", "--config", str(config)]
        self.process = subprocess.Popen(
            words, env=environment, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                with self._changed:
                    self._lines.append(line.rstrip("\n"))
                    self._changed.notify_all()

    def wait_for(self, *words: str) -> None:
        """Wait until each of some words was in a line."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: all(any(word in line for line in self._lines) for word in words), LIMIT_S
            )
            assert found, "\n".join(self._lines)

    def end(self) -> Run:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0
        self._thread.join()
        return Run(self._lines, Lake(self._lake))


@dataclass
class Both:
    """Two daemons at the same time, and how often each neighbour was met."""

    calm: Run
    hostile: Run
    asked: dict[str, int]
    pods_asked: int


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("hostile")
    profile = folder / "profile.toml"
    profile.write_text(PROFILE)
    spool = folder / "spool"
    spool.mkdir()
    (spool / HALF).write_text("tokenergy-slurm-1\tevent=prolog\tjob=7\tgp")
    kubelet, host = FakeKubelet(folder), HostFolders(folder)
    with ExitStack() as stack:
        fed = stack.enter_context(Feeding(profile, folder))
        kubelet.pods = pods([one.uuid for one in Truth(load_profile(profile), "n1", 1).identities])
        kubelet.start()
        stack.callback(kubelet.stop)
        servers = {name: stack.enter_context(Hostile(how)) for name, how in HOSTILE.items()}
        text = CALM.format(lake=folder / "hostile") + NEIGHBOURS.format(
            spool=spool, socket=kubelet.socket, logs=host.logs, cgroups=host.cgroups
        )
        for name, server in servers.items():
            text += TOKENS.format(name=name, url=server.url)
        daemons = [
            Daemon(folder, "calm", CALM.format(lake=folder / "calm"), fed.environment),
            Daemon(folder, "hostile", text, fed.environment),
        ]
        for daemon in daemons:
            stack.callback(daemon.process.kill)
        # The file that is cut off is the last to be told of: it may still get its end for a minute.
        daemons[1].wait_for(HALF, *HOSTILE, "forbids")
        runs = [daemon.end() for daemon in daemons]
        found = Both(*runs, {name: server.asked for name, server in servers.items()}, 0)
        found.pods_asked = kubelet.calls.count("List")
    show(found)
    return found


def pods(devices: list[str]) -> list[bytes]:
    """Return ten thousand pods: most without a board, one with a name for terminals."""
    named = [pod(f"job-{number}", device) for number, device in enumerate(devices[1:])]
    others = [pod(f"web-{number}") for number in range(PODS - BOARDS)]
    return [pod(BAD_POD, devices[0]), *named, *others]


def test_every_neighbour_was_met_again_and_again(both: Both) -> None:
    assert all(count > 5 for count in both.asked.values()), both.asked
    assert both.pods_asked > 20


def test_no_more_ticks_are_late_than_without_them(both: Both) -> None:
    allowed = both.calm.missed + ALLOWED * int(both.hostile.stop["ticks"])
    assert both.hostile.missed <= allowed, both.hostile.stop
    assert both.hostile.gaps() <= both.calm.gaps()


def test_each_is_told_once(both: Both) -> None:
    told = both.hostile.told()
    for name in HOSTILE:
        assert len([text for text in told if text.startswith(f"{name}: ")]) == 1, told
    assert len([text for text in told if HALF in text]) == 1, told
    assert len([text for text in told if "a name that Kubernetes forbids" in text]) == 1, told
    assert len(told) == len(HOSTILE) + 2, told
    failed = [json.loads(line)["source"] for line in both.hostile.lines if "source_failed" in line]
    assert sorted(failed) == sorted(f"tokens/{name}" for name in HOSTILE)


def test_no_line_of_the_log_moves_a_terminal(both: Both) -> None:
    assert all(line.isprintable() for line in both.hostile.lines)


def test_what_is_right_beside_them_is_recorded(both: Both) -> None:
    jobs = {row["job_id"] for row in both.hostile.lake.read("jobs").to_pylist()}
    assert jobs == {f"default/job-{number}" for number in range(BOARDS - 1)}
    rows = both.hostile.lake.read("tokens").to_pylist()
    assert {(row["source_id"], row["value"]) for row in rows} == {(name, 7) for name in HOSTILE}


def show(both: Both) -> None:
    for name, run in (("alone", both.calm), ("with bad neighbours", both.hostile)):
        stop = run.stop
        print(
            f"{name}: {stop['ticks']} ticks, {stop['late']} late, {stop['left_out']} skipped, "
            f"the worst {stop['worst_ms']} ms; {run.gaps()} gaps"
        )
    print(f"asked: {both.asked}; pods {both.pods_asked} times")
    print(*map(ascii, both.hostile.told()), sep="\n")
