"""The energy of hosts: what each job bears of a node's, and what no job bears.

Rules: docs/index-definition.md, "Energy".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tests.oracle.reckon.claimed import Span
from tests.oracle.reckon.ledger import Entry
from tests.oracle.reckon.names import short
from tests.oracle.reckon.site import Site

Hosts = dict[tuple[int, str], dict[str | None, int | None]]
"""Energy in nJ by hour and node, and by job (None: no job); None where it is not declared."""


def hosts(entries: Iterable[Entry], site: Site) -> Hosts:
    """Return the energy of each host, shared by device time."""
    nodes: dict[tuple[int, str], list[Entry]] = defaultdict(list)
    for e in entries:
        nodes[e.hour, e.node].append(e)
    return {
        (hour, node): _shared(rows, site.host_of(node, hour))
        for (hour, node), rows in nodes.items()
    }


def _shared(rows: list[Entry], host_mw: int | None) -> dict[str | None, int | None]:
    held: dict[str, int] = defaultdict(int)
    for e in rows:
        if e.job is not None:
            held[e.job] += e.device_us
    capacity = sum(e.device_us for e in rows)
    if host_mw is None:
        return {None: None, **{job: None if us else 0 for job, us in held.items()}}
    whole = host_mw * watched_us(rows)
    borne = {job: whole * us // capacity if us else 0 for job, us in held.items()}
    return {None: whole - sum(borne.values()), **borne}


def unseen_host_nj(spans: list[Span], hour: int, borne: Hosts, site: Site) -> int | None:
    """Return what hosts may have drawn for a job in its unseen time; None if it is not declared.

    A host can be the job's for as long as the job claims a board there; what it bears is known.
    The rest is unknown for as long as a board that it claims is unseen, and no longer.
    """
    total = 0
    for node in {s.node for s in spans if not s.booked}:
        there = [s for s in spans if s.node == node]
        held_us = _covered_us((s.start, s.end) for s in there)
        unseen_us = _covered_us((s.start, s.end) for s in there if not s.booked)
        names = {n for h, n in borne if h == hour and short(n) == node} or {node}
        host_mw = site.host_of(min(names), hour)
        if host_mw is None:
            return None
        known = sum(borne.get((hour, n), {}).get(there[0].job) or 0 for n in names)
        total += max(0, min(host_mw * unseen_us, host_mw * held_us - known))
    return total


def watched_us(rows: list[Entry]) -> int:
    """Return for how long any of the rows lasts: time that several share counts once."""
    return _covered_us((e.start, e.end) for e in rows)


def _covered_us(spans: Iterable[tuple[int, int]]) -> int:
    """Return how long any of some spans lasts."""
    total, until = 0, 0
    for start, end in sorted(set(spans)):
        total += max(0, end - max(start, until))
        until = max(until, end)
    return total
