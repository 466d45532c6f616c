"""One life of the daemon, ended by SIGKILL, and what is then done to its logs.

In: a folder and a random generator. Out: what the daemon reported, when it was killed, and which
rows its logs held, read with Arrow alone, without the daemon's own reader.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

NODE = "n1"
SETTLED_S = 1.0
"""A daemon that sampled this long has reported what it recovered, on any machine."""

_PROFILE = """
name = "chaos"
start = 2026-01-15T08:00:00Z
duration_s = 86400
seed = 7
[boards.b]
name = "NVIDIA H100 80GB HBM3"
idle_w = 80
limit_w = 700
update_us = {update_us}
[nodes.n1]
boards = "b"
count = {boards}
[[strays]]
id = "work"
devices = {{ n1 = {busy} }}
start_s = 0
end_s = 86400
workload = {{ type = "stray", burst_s = 0.7, pause_s = 0.3 }}
"""
_START_KILL_S = 1.0
_RUN_KILL_S = 1.8
_EARLY = 0.25
_DAMAGE = ("none", "cut", "cut", "flip", "append")

Key = tuple[str, str, int]
"""Table, device, stamp (us UTC): a row that must arrive, once."""


@dataclass
class Life:
    """What is known of one life of the daemon; instants are UTC in microseconds."""

    number: int
    began_us: int
    sampled_us: int | None = None
    """When it said that it samples; None if it was killed before."""
    killed_us: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    """Lines that are no events."""
    damage: str = "none"
    logged: set[Key] = field(default_factory=set)
    """Rows of power and state that its logs held, up to the damage."""
    cut: set[Key] = field(default_factory=set)
    """Rows that the damage took from its logs, or from those of earlier lives."""


def now_us() -> int:
    """Return UTC in microseconds."""
    return time.time_ns() // 1000


def prepare(folder: Path, *, boards: int = 2, rate_hz: int = 20, update_us: int = 100_000) -> None:
    """Write profile and configuration of the daemon that is to be killed."""
    folder.mkdir(parents=True, exist_ok=True)
    busy = list(range(max(1, boards // 2)))  # the others are level: their runs are held back
    profile = _PROFILE.format(boards=boards, update_us=update_us, busy=busy)
    (folder / "profile.toml").write_text(profile)
    (folder / "collect.toml").write_text(
        f"lake = {json.dumps(str(folder / 'lake'))}\nnode = '{NODE}'\nrate_hz = {rate_hz}\n"
        "roll_s = 1\nlearn_s = 0\nwal_limit_mib = 64\nlog_format = 'json'\n"
    )


def start(folder: Path) -> subprocess.Popen[str]:
    """Start the daemon on emulated boards, in real time."""
    words = ["run", "--config", "collect.toml", "--emulate", "profile.toml", "--real-time"]
    return subprocess.Popen(
        [sys.executable, "-m", "tokenergy_collectors", *words],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )


def live(folder: Path, number: int, chance: random.Random) -> Life:
    """Start the daemon, kill it at a random instant, and perhaps damage a log."""
    life = Life(number, now_us())
    process = start(folder)
    if chance.random() < _EARLY:  # while it starts, or recovers
        time.sleep(chance.uniform(0, _START_KILL_S))
    else:
        await_event(process, life, "start")
        time.sleep(chance.uniform(0, _RUN_KILL_S))
    process.kill()
    life.killed_us = now_us()
    read_rest(process, life)
    life.damage = chance.choice(_DAMAGE)
    harm(folder, life, chance)
    return life


def stop(folder: Path, number: int) -> tuple[Life, int]:
    """Start the daemon once more, stop it as one should; return its exit code too."""
    life = Life(number, now_us())
    process = start(folder)
    await_event(process, life, "start")
    time.sleep(SETTLED_S)
    process.terminate()
    life.killed_us = now_us()
    read_rest(process, life)
    return life, process.returncode


def await_event(process: subprocess.Popen[str], life: Life, event: str) -> None:
    """Read the daemon's log until it reports an event, or ends."""
    assert process.stderr is not None
    for line in process.stderr:
        _take(line, life)
        if life.told and life.told[-1]["event"] == event:
            return


def read_rest(process: subprocess.Popen[str], life: Life) -> None:
    """Read what is left, until the process is gone."""
    assert process.stderr is not None
    with process:
        for line in process.stderr:
            _take(line, life)


def _take(line: str, life: Life) -> None:
    try:
        life.told.append(json.loads(line))
    except ValueError:
        life.odd.append(line.rstrip())
        return
    if life.told[-1]["event"] == "start":
        at = datetime.fromisoformat(life.told[-1]["time"])
        life.sampled_us = round(at.timestamp() * 1e6)


def harm(folder: Path, life: Life, chance: random.Random) -> None:
    """Note what the logs hold; cut one, overwrite its tail or append to it, if so decided."""
    logs = [path for path in (folder / "lake").glob(".wal/*/*.arrows") if path.stat().st_size]
    harmed = chance.choice(sorted(logs)) if logs and life.damage != "none" else None
    if harmed is None:
        life.damage = "none"
    for path in logs:
        data = path.read_bytes()
        end = len(data)
        if path == harmed:
            junk = chance.randbytes(chance.randrange(1, 300))
            if life.damage == "cut":
                end = chance.randrange(len(data) + 1)
                path.write_bytes(data[:end])
            elif life.damage == "flip":
                end = max(0, len(data) - len(junk))
                path.write_bytes(data[:end] + junk)
            else:
                path.write_bytes(data + junk)
        table = path.stem.split("-", 2)[2]
        held = set(_rows(table, data, end))
        life.logged.update(held)
        life.cut.update(set(_rows(table, data, len(data))) - held)


def _rows(table: str, data: bytes, end: int) -> Iterator[Key]:
    """Yield the rows of batches that are followed by their mark before an offset."""
    if table not in ("power", "state"):
        return
    source = pa.BufferReader(data)
    try:
        stream = pa.ipc.open_stream(source)
        while True:
            batch = stream.read_next_batch()
            stream.read_next_batch()
            if source.tell() > end:
                return
            for device_id, ts_us in zip(
                batch["device_id"].to_pylist(), batch["ts_us"].to_pylist(), strict=True
            ):
                yield table, device_id, ts_us
    except (StopIteration, OSError, pa.ArrowException):
        return
