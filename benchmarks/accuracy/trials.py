"""Runs trials: the real daemon, the real pipeline, the two peers, and the truth.

In: a kind of sensor, durations, workloads, a number of trials. Out: one `Trial` a board. Everything
is on virtual clocks with fixed seeds: the same arguments give the same figures.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.accuracy import peers
from benchmarks.accuracy.design import Kind, profile
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.emulate.profile import blueprint
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.fleet import collect_fleet
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.settings.config import Config
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import aggregate, worklist
from tokenergy_transforms.inventory import read_inventory

_WINDOW_US = 1_000_000

Method = Literal["naive", "counter", "ours"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One job on one board: the truth and what each method found, in joules.

    Attributes:
        true_j: energy that the board drew between the job's start and end.
        ours_j: what the ledger booked to the job; `low_j` and `high_j` are its bounds.
        gain, offset_w: of the card's power reading.
        counter_gain: of the card's energy counter.
    """

    true_j: float
    naive_j: float
    counter_j: float | None
    ours_j: float
    low_j: float
    high_j: float
    gain: float
    offset_w: float
    counter_gain: float
    duration_s: float

    def found(self, method: Method) -> float | None:
        """Return what a method found, in joules; None where it has nothing to read."""
        return {"naive": self.naive_j, "counter": self.counter_j, "ours": self.ours_j}[method]

    def error(self, method: Method, *, without_card: bool = False) -> float:
        """Return a method's relative error in per cent.

        Args:
            method: one that found something.
            without_card: take the gain (and offset) out of the meter whose total it reports, as
                if the card had no error of its own.
        """
        found_j = self.found(method)
        assert found_j is not None
        if without_card and (method == "naive" or self.counter_j is None):
            found_j = (found_j - self.offset_w * self.duration_s) / (1 + self.gain)
        elif without_card:
            found_j /= 1 + self.counter_gain
        return 100 * (found_j - self.true_j) / self.true_j

    @property
    def inside(self) -> bool:
        """Whether the truth is within the bounds."""
        return self.low_j <= self.true_j <= self.high_j

    @property
    def width(self) -> float:
        """Width of the bounds over the truth, in per cent."""
        return 100 * (self.high_j - self.low_j) / self.true_j


Cell = tuple[str, float]
"""A workload and a duration in seconds."""


def run_kind(
    kind: Kind, durations_s: Sequence[float], workloads: Sequence[str], trials: int
) -> dict[Cell, list[Trial]]:
    """Run all trials of a kind of sensor; return them by workload and duration.

    Raises:
        RuntimeError: a check of the lake failed; figures from such a lake would mean nothing.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found: dict[Cell, dict[peers.Key, peers.Found]] = {}
        profiles = {d: profile(kind, d, workloads, trials) for d in durations_s}
        for duration_s, one in profiles.items():
            collect(one, folder, kind.rate_hz)
            for seed, (node, workload) in enumerate(zip(one.nodes, workloads, strict=True)):
                found[workload, duration_s] = peers.measure(one, node, seed)
        lake = Lake(folder / "lake")
        integrate(lake)
        ours = book(lake, Site(None, None, {}))
        return {
            (workload, duration_s): [
                _trial(profiles[duration_s], node, key, ours[key], beside, truth)
                for key, beside in found[workload, duration_s].items()
                if key[0].count("/") == 1
            ]
            for duration_s, one in profiles.items()
            for node, workload in zip(one.nodes, workloads, strict=True)
            for truth in [read_truth(folder / "truth" / f"{node}.json")]
        }


def collect(one: Profile, folder: Path, rate_hz: float) -> None:
    """Run the daemon on a profile: FOLDER/lake gets its readings, FOLDER/truth what was true."""

    def read_config(node: str) -> Config:
        keys = {"lake": str(folder / "lake"), "node": node, "rate_hz": rate_hz}
        return Config.model_validate(keys)

    collect_fleet(one, read_config, Control(), truth=folder / "truth")


def integrate(lake: Lake) -> None:
    """Aggregate all hours of a lake into segments."""
    inventory = read_inventory(lake)
    for hour, node in worklist(lake):
        aggregate(lake, hour, node, _WINDOW_US, "cpu", inventory)


def book(lake: Lake, site: Site) -> dict[peers.Key, tuple[float, float, float]]:
    """Index and check a lake of segments; return energy and bounds (J) by job and device.

    Raises:
        RuntimeError: a check of the lake failed; figures from such a lake would mean nothing.
    """
    index(lake, site, progress=lambda _: None)
    breaches = [finding.name for finding in run_checks(lake) if finding.breach]
    if breaches:
        raise RuntimeError(f"checks failed: {', '.join(breaches)}")
    with catalog.connect(lake) as con:
        rows = con.sql(
            "SELECT job_id, device_id, sum(energy_nj) / 1e9, sum(low_nj) / 1e9, "
            "sum(high_nj) / 1e9 FROM ledger WHERE job_id IS NOT NULL GROUP BY ALL"
        ).fetchall()
    return {(job, device): (j, low, high) for job, device, j, low, high in rows}


def read_truth(path: Path) -> dict[peers.Key, float]:
    """Return the true energy (J) of each job and device of a node."""
    return {
        (row["job_id"], row["device_id"]): row["energy_nj"] / 1e9
        for row in json.loads(path.read_text("utf-8"))["rows"]
        if row["row"] == "allocation"
    }


def _trial(
    one: Profile,
    node: str,
    key: peers.Key,
    ours: tuple[float, float, float],
    beside: peers.Found,
    truth: dict[peers.Key, float],
) -> Trial:
    job = next(job for job in one.jobs if job.id == key[0])
    count = one.nodes[node].count
    ids = [blueprint.identity(one, node, board).uuid for board in range(count)]
    sensor = blueprint.sensor(one, node, ids.index(key[1]))
    return Trial(
        truth[key],
        beside.naive_j,
        beside.counter_j,
        *ours,
        sensor.gain_ppm / 1e6,
        sensor.offset_mw / 1e3,
        sensor.counter_gain_ppm / 1e6,
        (job.end_us - job.start_us) / 1e6,
    )
