"""The figures of jobs: energy at each boundary, burden, tokens and their ratio.

Rules: docs/index-definition.md, "Formulas", "Burdened energy".
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from tests.oracle.reckon.claimed import Claimed, Span, add_up
from tests.oracle.reckon.hosts import Hosts, unseen_host_nj
from tests.oracle.reckon.ledger import Entry
from tests.oracle.reckon.site import Site
from tests.oracle.reckon.usage import Key, Usage, by_hour, workload

Figures = dict[str, Any]


def add(values: list[Any]) -> Any:
    """Return the sum of what is known; None if nothing is."""
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def add_if_all(values: list[Any]) -> Any:
    """Return the sum; None if one is not known."""
    return None if None in values else sum(values)


def job_hours(
    entries: list[Entry],
    claims: dict[tuple[str, int], list[Span]],
    used: dict[Key, Usage],
    borne: Hosts,
    site: Site,
) -> dict[tuple[str, int], Figures]:
    """Return the figures of each job in each hour, but for its burden."""
    booked: dict[tuple[str, int], list[Entry]] = defaultdict(list)
    for e in entries:
        if e.job is not None:
            booked[e.job, e.hour].append(e)
    tokens: dict[tuple[str, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (job, hour, _, kind), u in used.items():
        tokens[job, hour][kind] += u.tokens
    found: dict[tuple[str, int], Figures] = {}
    for key in sorted({*booked, *tokens, *claims}):
        claim = add_up(claims.get(key, []))
        more = unseen_host_nj(claims.get(key, []), key[1], borne, site)
        figures = _energies(booked.get(key, []), claim, *key, borne, site, more)
        for kind in ("prompt_computed", "prompt_cached", "generated", "trained"):
            figures[f"n_{kind}"] = tokens[key].get(kind)
        figures["ties"] = int(claim.tie)
        found[key] = figures
    return found


def _energies(
    rows: list[Entry],
    claim: Claimed,
    job: str,
    hour: int,
    borne: Hosts,
    site: Site,
    unseen_host: int | None,
) -> Figures:
    gpu = add([e.energy_nj for e in rows])
    low, high = (add([getattr(e, bound) for e in rows]) for bound in ("low", "high"))
    if claim.unseen_us > 0:
        high = (high or 0) + claim.unseen_high_nj
    nodes = {e.node for e in rows}
    unknown_us = sum(e.device_us - e.covered_us for e in rows)
    host = add_if_all([borne[hour, node][job] for node in nodes]) if rows else None
    active = sum(e.energy_nj or 0 for e in rows if e.account == "active")
    return {
        "device_us": claim.device_us,
        "unseen_us": claim.unseen_us,
        "covered_us": max(0, claim.device_us - claim.unseen_us - unknown_us),
        "e_gpu_nj": gpu,
        "e_gpu_low_nj": 0 if low is None and claim.unseen_us else low,
        "e_gpu_high_nj": high,
        "e_gpu_active_nj": None if gpu is None else active,
        "e_host_nj": host,
        "e_facility_nj": site.times_pue(add_if_all([gpu, host]), hour),
        "e_facility_low_nj": site.times_pue(add_if_all([low, host]), hour),
        "e_facility_high_nj": site.times_pue(add_if_all([high, host, unseen_host]), hour),
        "unseen_host_nj": unseen_host,
    }


def jobs(
    hours: dict[tuple[str, int], Figures], used: dict[Key, Usage], whole: dict[Key, Usage]
) -> dict[str, Figures]:
    """Return the figures of each job: the sums of its hours."""
    of_job: dict[str, list[Figures]] = defaultdict(list)
    for (job, _), figures in hours.items():
        of_job[job].append(figures)
    found = {}
    for job, rows in of_job.items():
        held = [r for r in rows if r["device_us"] > 0]
        figures: Figures = {
            name: add([r[name] for r in rows])
            for name in rows[0]
            if not name.startswith(("e_host", "e_facility", "unseen_host"))
        }
        unknown = None in [r["e_host_nj"] for r in held]
        figures["e_host_nj"] = None if unknown else add([r["e_host_nj"] for r in rows])
        lows = [r["e_facility_low_nj"] for r in held]
        bounded = figures["e_gpu_nj"] is not None and None not in lows
        for name in ("e_facility_nj", "e_facility_low_nj", "e_facility_high_nj"):
            values = [
                r["e_facility_low_nj"] if r[name] is None else r[name]
                for r in rows
                if r["e_facility_low_nj"] is not None
            ]
            figures[name] = sum(values) if bounded else None
        if any(
            r["e_facility_high_nj"] is None and r["e_facility_low_nj"] is not None for r in rows
        ):
            figures["e_facility_high_nj"] = None
        paired = [r for r in rows if r["e_joint_nj"] is not None and r["joint_us"]]
        for name in ("", "_low", "_high", "_burdened"):
            if None in [r[f"e_joint_facility{name}_nj"] for r in paired]:
                figures[f"e_joint_facility{name}_nj"] = None
        unknown = None in [r["e_facility_burdened_nj"] for r in held]
        bearing = add([r["e_facility_burdened_nj"] for r in rows])
        figures["e_facility_burdened_nj"] = None if unknown else bearing
        found[job] = figures
    _index_tokens(found, used)
    _whole_tokens(found, by_hour(whole))
    return found


def _index_tokens(found: dict[str, Figures], used: dict[Key, Usage]) -> None:
    """Add what a job is for, and the bounds of the tokens that its index divides by."""
    hours: dict[str, list[dict[str, Usage]]] = defaultdict(list)
    for (job, _), kinds in by_hour(used).items():
        hours[job].append(kinds)
    for job, figures in found.items():
        figures["workload"] = workload(hours[job])
        kind = {"training": "trained", "inference": "generated"}.get(figures["workload"], "")
        us = [kinds[kind] for kinds in hours[job] if kind in kinds]
        figures["n_low"] = sum(u.low for u in us) if us else None
        figures["n_high"] = sum(u.high for u in us) if us else None
        figures["n_odd"] = any(u.odd for u in us)


def _whole_tokens(
    found: dict[str, Figures], whole: dict[tuple[str, int], dict[str, Usage]]
) -> None:
    """Take bounds of tokens from the job's own edges: inner edges of hours leave nothing open."""
    for (job, _), kinds in whole.items():
        figures = found.get(job, {"workload": None})
        kind = {"training": "trained", "inference": "generated"}.get(figures["workload"])
        alone = kinds.get(kind or "")
        if alone is None or figures[f"n_{kind}"] != alone.tokens:
            continue
        joint = ("n_joint", "n_joint_low", "n_joint_high")
        all_joint = [figures[name] for name in joint] == [
            figures[name] for name in (f"n_{kind}", "n_low", "n_high")
        ]
        figures["n_low"], figures["n_high"] = alone.low, alone.high
        if all_joint:
            figures["n_joint_low"], figures["n_joint_high"] = alone.low, alone.high
