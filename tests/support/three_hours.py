"""Three hours of two emulated nodes that end now: what was collected, and how it arrives in a lake.

The hours are the last complete ones, so that the schedule itself processes them.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.fleet import collect_fleet
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import node_of, parse_raw_name
from tokenergy_collectors.settings.config import Config

HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
DELAY = timedelta(minutes=10)

_PROFILE = """
name = "three-hours"
duration_s = 10900
seed = 7

[boards.h100]
name = "NVIDIA H100 80GB HBM3"
idle_w = 80
idle_spread_w = 10
limit_w = 700
load_spread = 0.015

[nodes.n1]
boards = "h100"
count = 2
rack = "r1"

[nodes.n2]
boards = "h100"
count = 1
rack = "r1"

[[jobs]]
id = "{{ 7 * 7 }} '; DROP TABLE jobs; --/../long"
user = "ada"
devices = { n1 = [0], n2 = [0] }
start_s = 600
end_s = 9000
workload = { type = "training", model = "m-1b", tokens_per_step = 1000, load_s = 2 }

[[jobs]]
id = "short"
devices = { n1 = [1] }
start_s = 5000
end_s = 6000
workload = { type = "training", model = "m-1b", tokens_per_step = 1000, load_s = 2 }
"""


class ThreeHours:
    """Raw tables of three hours, collected by the daemon from emulated boards.

    Args:
        folder: where they are kept until they arrive.
        now: the time.

    Attributes:
        hours: starts of the three hours, microseconds UTC.
    """

    def __init__(self, folder: Path, now: datetime) -> None:
        last = (now - DELAY).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
        first = last - timedelta(hours=2)
        first_us = int(first.timestamp()) * 1_000_000
        self.hours = [first_us + HOUR_US * number for number in range(3)]
        values = {**tomllib.loads(_PROFILE), "start": first.astimezone(UTC)}
        root = folder / "collected"

        def read_config(node: str) -> Config:
            keys = {"lake": str(root), "node": node, "rate_hz": 1.0, "roll_s": 300.0}
            return Config.model_validate(keys)

        profile = Profile.model_validate(values)
        collect_fleet(profile, read_config, Control(), truth=folder / "truth")
        self._lake = Lake(root)

    def late(self) -> list[Path]:
        """Return the power files of one node from 10 to 50 minutes past the second hour."""
        begin_us = self.hours[1] + 10 * MINUTE_US
        found = []
        for path in self._lake.files("power", [self.hours[1]], "n2"):
            name = parse_raw_name(path.name)
            if name and begin_us <= name.first_us < begin_us + 40 * MINUTE_US:
                found.append(path)
        assert found
        return found

    def arrive(self, lake: Lake, only: Iterable[Path] | None = None) -> None:
        """Copy files into a lake: these, or all but the late ones."""
        late = {*self.late()}
        everything = (path for name in TABLES for path in self._lake.files(name))
        files = [*(only if only is not None else (one for one in everything if one not in late))]
        assert {node_of(path) for path in files} <= {"n1", "n2"}
        deliver(files, self._lake.root, lake.root)

    def correct(self, lake: Lake) -> None:
        """Add what a day later corrects: the short job ended five minutes earlier."""
        rows = [row for row in lake.read("jobs").to_pylist() if row["job_id"] == "short"]
        latest = max(rows, key=lambda row: (row["recorded_us"], row["end_us"] is not None))
        assert latest["end_us"]
        end_us, later_us = latest["end_us"] - 5 * MINUTE_US, latest["recorded_us"] + 24 * HOUR_US
        row = {**latest, "end_us": end_us, "recorded_us": later_us}
        lake.append("jobs", pa.Table.from_pylist([row], schema=TABLES["jobs"].schema()), "n1")


def deliver(files: Iterable[Path], source: Path, root: Path) -> None:
    """Copy files of one lake into another, each at once or not at all, as an upload does."""
    for path in files:
        place = root / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place.with_name(f".{place.name}"))
        place.with_name(f".{place.name}").rename(place)
