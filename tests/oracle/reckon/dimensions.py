"""Energy, time and tokens by user, model, node, rack and site.

Rules: docs/views.md, `tokenergy_by`, `job_device`, `place`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tests.oracle.reckon.devices import Devices
from tests.oracle.reckon.ledger import Entry
from tests.oracle.reckon.segments import HOUR_US
from tests.oracle.reckon.sums import Figures

By = dict[tuple[str | None, str], dict[str, int]]
"""By value and workload: device_us, e_gpu_nj, and the number of rows of the ledger."""


def place(row: dict[str, Any], part: str) -> str | None:
    """Return the name of a device's site, or rack qualified by what contains it."""
    if part == "site":
        return row.get("site")
    if row.get("rack") is None:
        return None
    names = [row.get(name) for name in ("site", "hall", "pod", "rack")]
    return "/".join(name for name in names if name is not None)


def by_place(entries: list[Entry], jobs: dict[str, Figures], devices: Devices, part: str) -> By:
    """Return the sums by node, rack or site."""
    found: By = defaultdict(lambda: defaultdict(int))
    for e in entries:
        if e.job is None or e.job not in jobs:
            continue
        row = devices.row(e.device, e.hour + HOUR_US) or {}
        value = e.node if part == "node" else place(row, part)
        sums = found[value, jobs[e.job]["workload"]]
        sums["rows"] += 1
        sums["device_us"] += e.device_us
        sums["e_gpu_nj"] += e.energy_nj or 0
    return found


def by_name(jobs: dict[str, Figures], names: dict[str, str | None]) -> By:
    """Return the sums by a name of each job, such as its user or its model."""
    found: By = defaultdict(lambda: defaultdict(int))
    for job, figures in jobs.items():
        sums = found[names.get(job), figures["workload"]]
        sums["device_us"] += figures["device_us"]
        sums["e_gpu_nj"] += figures["e_gpu_nj"] or 0
        kind = {"training": "n_trained", "inference": "n_generated"}.get(figures["workload"])
        sums["n_tokens"] += figures[kind] or 0 if kind else 0
    return found
