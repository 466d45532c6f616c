"""Readings of 64 emulated boards for hours, made in seconds on virtual clocks.

In: a folder, the first hour and how many there are. Out: the raw tables of eight nodes, and what
of them came late.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES

NODES = [f"n{number}" for number in range(8)]
BOARDS = 64
HOUR_US = 3_600_000_000

_PROFILE = """
name = "cluster"
start = {start}
duration_s = {seconds}
seed = 7

[nodes."n{{0..7}}"]
boards = "h100"
count = 8
rack = "r1"

[[jobs]]
id = "{name}-long"
user = "ada"
devices = {{ "n{{0..3}}" = "all" }}
start_s = 600
end_s = {end_s}
workload = {{ type = "training", model = "m-8b", tokens_per_step = 1000, load_s = 2 }}

[[jobs]]
id = "{name}-short"
user = "ben"
devices = {{ n7 = [0, 1] }}
start_s = 1200
end_s = 5000
workload = {{ type = "training", model = "m-1b", tokens_per_step = 1000, load_s = 2 }}
"""

# 1 Hz, and all that is not needed here as rarely as it may be.
_CONFIG = """
rate_hz = 1.0
roll_s = 3600.0
counter_every_s = 10.0
state_every_s = 60.0
processes_every_s = 300.0
wal_flush_s = 60.0
wal_fsync_s = 3600.0
"""


class Readings:
    """Raw tables of some hours, not yet where the DAGs look for them.

    Args:
        folder: an empty folder.
        name: begins the names of its jobs.
        first: the first hour.
        count: how many hours, at least two.
    """

    def __init__(self, folder: Path, name: str, first: datetime, count: int) -> None:
        first_us = int(first.timestamp()) * 1_000_000
        self.hours = [first_us + HOUR_US * number for number in range(count)]
        seconds = 3600 * count - 60  # so that no further hour has a reading
        values = {"start": first.strftime("%Y-%m-%dT%H:%M:%SZ"), "seconds": seconds, "name": name}
        profile, config = folder / "profile.toml", folder / "collect.toml"
        profile.write_text(_PROFILE.format(**values, end_s=seconds - 500))
        config.write_text(_CONFIG)
        words = [sys.executable, "-m", "tokenergy_collectors", "fleet", str(profile)]
        words += ["--config", str(config), "--lake", str(folder / "lake")]
        words += ["--truth", str(folder / "truth")]
        parts = [NODES[number :: os.cpu_count() or 1] for number in range(os.cpu_count() or 1)]
        running = [
            subprocess.Popen(
                [*words, *(word for node in part for word in ("--node", node))],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for part in parts
            if part
        ]
        for process in running:
            said = process.communicate()[0].decode()
            assert process.returncode == 0, said
        self.lake = Lake(folder / "lake")
        assert len({*self.lake.read("device")["device_id"].to_pylist()}) == BOARDS
        assert self.lake.hours("power") == self.hours

    def of(self, hour_us: int) -> list[Path]:
        """Return the files of an hour, of all tables."""
        return [path for table in TABLES for path in self.lake.files(table, [hour_us])]

    def on_time(self) -> list[Path]:
        """Return all files but the late ones."""
        late = {*self.late()}
        return [path for hour_us in self.hours for path in self.of(hour_us) if path not in late]

    def late(self) -> list[Path]:
        """Return the power files of one node in the second hour."""
        return self.lake.files("power", [self.hours[1]], NODES[-1])
