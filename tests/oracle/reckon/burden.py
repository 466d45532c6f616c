"""Energy that no job held, spread over the jobs of its site and hour.

Rules: docs/index-definition.md, "Burdened energy".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tests.oracle.reckon.devices import Devices
from tests.oracle.reckon.ledger import Entry
from tests.oracle.reckon.segments import HOUR_US
from tests.oracle.reckon.sums import (
    Figures,
    Site,
    add,
    add_if_all,
    boards_of_nodes,
    host_nj,
    times_pue,
)


def burden(
    entries: Iterable[Entry],
    hours: dict[tuple[str, int], Figures],
    devices: Devices,
    site: Site,
) -> None:
    """Add the burdened energies to the figures of the jobs' hours."""
    places: dict[tuple[int, str], list[Entry]] = defaultdict(list)
    for e in entries:
        row = devices.row(e.device, e.hour + HOUR_US) or {}
        places[e.hour, row.get("site") or ""].append(e)
    gpu: dict[tuple[str, int], list[int]] = defaultdict(list)
    facility: dict[tuple[str, int], list[int | None]] = defaultdict(list)
    for (hour, _), rows in places.items():
        for job, own, all_of_it in _site(rows, boards_of_nodes(devices, hour + HOUR_US), site):
            gpu[job, hour].append(own)
            facility[job, hour].append(all_of_it)
    for key, figures in hours.items():
        figures["e_gpu_burdened_nj"] = add(list(gpu.get(key, [])))
        figures["e_facility_burdened_nj"] = add_if_all(facility[key]) if key in facility else None


def _site(
    rows: list[Entry], boards: dict[str, int], site: Site
) -> list[tuple[str, int, int | None]]:
    """Return (job, its burdened GPU energy, its burdened facility energy) of a site and hour."""
    of: dict[str | None, list[Entry]] = defaultdict(list)
    for e in rows:
        of[e.job].append(e)
    host: dict[str | None, int | None] = {}
    for job, members in of.items():
        by_node: dict[str, int] = defaultdict(int)
        for e in members:
            by_node[e.node] += e.device_us
        host[job] = host_nj(by_node, boards, site)
    own = {job: add([e.energy_nj for e in members]) or 0 for job, members in of.items()}
    pool, pool_host = own.get(None, 0), host.get(None, 0)
    declared = None not in host.values()
    jobs = sorted(job for job in of if job is not None)
    weights = {job: max(1, sum(e.device_us for e in of[job])) for job in jobs}
    whole, lower, running = sum(weights.values()), 0, 0
    found: list[tuple[str, int, int | None]] = []
    for job in jobs:
        upper = lower + weights[job]
        gpu = own[job] + pool * upper // whole - pool * lower // whole
        all_of_it = None
        if declared:
            hosts = pool_host or 0
            before = times_pue(running, site)
            running += gpu + (host[job] or 0) + hosts * upper // whole - hosts * lower // whole
            after = times_pue(running, site)
            all_of_it = None if after is None or before is None else after - before
        found.append((job, gpu, all_of_it))
        lower = upper
    return found
