"""From what a GPU-hour costs to what a fleet needs: multiplication, and no more than that.

In: the figures of one run. Out: unit costs, and the needs of a fleet of any size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.scale.fleet import GPUS_A_NODE
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.checks.slices import SLICE_ROWS

HOURS_A_DAY = 24
DAYS_A_YEAR = 365
HOUR_S = 3600

CHECK = "check"

CHECKED_AT_ONCE = SLICE_ROWS // HOUR_S
"""GPUs that the checks look at together in a larger fleet: those of so many rows of 1 s."""

KEPT_DAYS = {"power": 90, "state": 90, "segment": 400, "load_spectrum": 30}
"""The example of a `retention.toml` in docs/retention.md; other tables are kept for ever."""


@dataclass(frozen=True, slots=True)
class Units:
    """What was measured, by GPU-hour unless a name says otherwise.

    Attributes:
        cpu_s: CPU seconds of each step of the pipeline.
        check_mib: MiB for each GPU that the checks take, unless they are told to take less.
        fresh_bytes: bytes of each raw table as collectors leave it.
        kept_bytes: bytes of each table as it is kept: raw ones after their compaction.
        fresh_files: files of a node-hour, of tables of which each node has its own.
        kept_files: the same after the compaction.
        hour_files: files of an hour for the whole fleet.
    """

    cpu_s: Mapping[str, float]
    check_mib: float
    fresh_bytes: Mapping[str, float]
    kept_bytes: Mapping[str, float]
    fresh_files: float
    kept_files: float
    hour_files: float


@dataclass(frozen=True, slots=True)
class Needs:
    """What a fleet needs.

    Attributes:
        gpus: its size.
        cores: cores that are busy all the time, by step.
        check_s: CPU seconds an hour of the checks, which are one task.
        check_gib: GiB of memory that this task takes, unless it is told to take less.
        raw_gb: GB of raw tables a day, as collectors leave them.
        compacted_gb: the same after the compaction.
        derived_gb: GB of derived tables a day.
        year_gb: GB on disk after a year if nothing expires.
        expiring_gb: the same with `KEPT_DAYS`.
        forever_gb: GB a year of tables that never expire then.
        files: files a day before the compaction.
        compacted_files: files a day after it.
    """

    gpus: int
    cores: Mapping[str, float]
    check_s: float
    check_gib: float
    raw_gb: float
    compacted_gb: float
    derived_gb: float
    year_gb: float
    expiring_gb: float
    forever_gb: float
    files: float
    compacted_files: float


def units_of(report: Mapping[str, Any]) -> Units:
    """Return the unit costs of a run: each figure over the GPU-hours that it is of."""
    gpu_hours = report["devices"] * report["hours"]
    # Files are sealed and derived by the hour, however much of it a short run covers.
    fresh, kept = report["stored"], report["compacted"]
    return Units(
        cpu_s={name: step["large"]["cpu_s"] / gpu_hours for name, step in report["steps"].items()},
        check_mib=report["steps"][CHECK]["peak_mib"] / report["devices"],
        fresh_bytes={name: of["bytes"] / gpu_hours for name, of in fresh.items() if _raw(name)},
        kept_bytes={name: of["bytes"] / gpu_hours for name, of in kept.items()},
        fresh_files=sum(of["files"] for of in fresh.values() if of["nodes"]) / report["nodes"],
        kept_files=sum(of["files"] for of in kept.values() if of["nodes"]) / report["nodes"],
        hour_files=sum(of["files"] for of in kept.values() if not of["nodes"]),
    )


def needs_of(units: Units, gpus: int) -> Needs:
    """Return what a fleet of so many GPUs needs, on nodes of eight."""
    gpu_hours = gpus * HOURS_A_DAY
    node_hours = gpu_hours / GPUS_A_NODE
    a_day = {name: size * gpu_hours / 1e9 for name, size in units.kept_bytes.items()}
    of_hours = units.hour_files * HOURS_A_DAY
    return Needs(
        gpus=gpus,
        cores={name: cpu_s * gpus / HOUR_S for name, cpu_s in units.cpu_s.items()},
        check_s=units.cpu_s[CHECK] * gpus,
        check_gib=units.check_mib * min(gpus, CHECKED_AT_ONCE) / 1024,
        raw_gb=sum(units.fresh_bytes.values()) * gpu_hours / 1e9,
        compacted_gb=sum(size for name, size in a_day.items() if _raw(name)),
        derived_gb=sum(size for name, size in a_day.items() if not _raw(name)),
        year_gb=sum(a_day.values()) * DAYS_A_YEAR,
        expiring_gb=sum(
            size * min(DAYS_A_YEAR, KEPT_DAYS.get(name, DAYS_A_YEAR))
            for name, size in a_day.items()
        ),
        forever_gb=sum(size for name, size in a_day.items() if name not in KEPT_DAYS) * DAYS_A_YEAR,
        files=units.fresh_files * node_hours + of_hours,
        compacted_files=units.kept_files * node_hours + of_hours,
    )


def _raw(table: str) -> bool:
    return TABLES[table].layer == "raw"
