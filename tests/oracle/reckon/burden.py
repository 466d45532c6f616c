"""Energy that no job held, spread over the jobs of its site and hour.

Rules: docs/index-definition.md, "Burdened energy".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tests.oracle.reckon.devices import Devices
from tests.oracle.reckon.hosts import Hosts
from tests.oracle.reckon.ledger import Entry
from tests.oracle.reckon.segments import HOUR_US
from tests.oracle.reckon.site import Site
from tests.oracle.reckon.sums import Figures, add, add_if_all

Borne = tuple[str, int, int | None]
"""A job, its burdened GPU energy, its burdened facility energy."""


def burden(
    entries: Iterable[Entry],
    hours: dict[tuple[str, int], Figures],
    devices: Devices,
    borne: Hosts,
    site: Site,
) -> None:
    """Add the burdened energies to the figures of the jobs' hours."""
    places: dict[tuple[int, str], list[Entry]] = defaultdict(list)
    # A host is where the boards of its node are; of several sites it counts to the first.
    hosted: dict[tuple[int, str], str] = {}
    for e in entries:
        row = devices.row(e.device, e.hour + HOUR_US) or {}
        name = row.get("site") or ""
        places[e.hour, name].append(e)
        hosted[e.hour, e.node] = min(name, hosted.get((e.hour, e.node), name))
    gpu: dict[tuple[str, int], list[int]] = defaultdict(list)
    facility: dict[tuple[str, int], list[int | None]] = defaultdict(list)
    for (hour, name), rows in places.items():
        nodes = {node for (at, node), where in hosted.items() if (at, where) == (hour, name)}
        for job, own, all_of_it in _site(rows, nodes, hour, borne, site):
            gpu[job, hour].append(own)
            facility[job, hour].append(all_of_it)
    for key, figures in hours.items():
        figures["e_gpu_burdened_nj"] = add(list(gpu.get(key, [])))
        figures["e_facility_burdened_nj"] = add_if_all(facility[key]) if key in facility else None


def _site(rows: list[Entry], nodes: set[str], hour: int, borne: Hosts, site: Site) -> list[Borne]:
    """Return what each job of a site bears in an hour: its own, and a part of the pool by time.

    Args:
        rows: of the site's boards in the hour.
        nodes: those whose hosts are there.
        hour: the hour.
        borne: energies of hosts.
        site: the declared constants.
    """
    of: dict[str | None, list[Entry]] = defaultdict(list)
    for e in rows:
        of[e.job].append(e)
    for job in {job for node in nodes for job in borne[hour, node]}:
        of[job] += []
    own_host: dict[str | None, int | None] = {
        job: add_if_all([borne[hour, node].get(job, 0) for node in nodes]) for job in {*of, None}
    }
    declared = None not in own_host.values()
    own = {job: add([e.energy_nj for e in members]) or 0 for job, members in of.items()}
    pool, pool_host = own.get(None, 0), own_host[None] or 0
    whole = max(1, sum(e.device_us for e in rows))
    lower = running = 0
    found: list[Borne] = []
    for job in sorted(job for job in of if job is not None):
        upper = lower + sum(e.device_us for e in of[job])
        gpu = own[job] + pool * upper // whole - pool * lower // whole
        host = (own_host[job] or 0) + pool_host * upper // whole - pool_host * lower // whole
        before, running = site.times_pue(running, hour), running + gpu + host
        after = site.times_pue(running, hour)
        borne = None
        if declared and before is not None and after is not None:
            borne = after - before
        found.append((job, gpu, borne))
        lower = upper
    return found
