"""What a node's processors and their memory counted themselves (RAPL), over its watched time.

In: rows of `host` of a node, intervals. Out: `Cpu`. The packages and their memory are added; only
where there is no package the platform (`psys`) stands in for them, and is never added to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tokenergy_collectors.lake.hostdomains import added_up, rapl_kind
from tokenergy_sql.hosting.host import ceil_div, is_enough
from tokenergy_sql.metering.intervals import Intervals, length
from tokenergy_transforms.hostenergy import RAPL_AGE_US, energy_between

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("ts_us", "domain", "energy_uj", "epoch", "run", "counter_uj", "range_uj")
"""The columns of `host` that are read."""

_AROUND = 2
"""Readings that are kept on each side of an instant: a value may be older than its stamp."""

_LEAST_STEP_US = 100_000
"""Readings closer than this say little of the power between them: a value is up to 1 ms old."""

_NO_NUMBER = -1


class Cpu(NamedTuple):
    """The energy of a node's processors over some intervals.

    Attributes:
        nj: None: too little of the time is known.
        low_nj, high_nj: its bounds; no upper one where nothing bounds what is unknown.
        surely_nj: the least that the host drew for certain: 0 where `psys` stands in, as it may
            hold boards.
        covered_us: how long all of the domains are known.
        domains: what was added up.
    """

    nj: int | None
    low_nj: int
    high_nj: int | None
    surely_nj: int
    covered_us: int
    domains: tuple[str, ...]


def cpu_energy(rows: pa.Table, spans: Intervals) -> Cpu | None:
    """Return what a node's processors counted; None if no such meter was read.

    Args:
        rows: `COLUMNS` of the node's readings, in any order, from before the intervals until after.
        spans: the intervals, ascending and disjoint.
    """
    rows = rows.filter(rows["energy_uj"].is_valid()).combine_chunks()
    names = rows["domain"].unique().to_pylist()
    domains = added_up(names)
    packaged = any(rapl_kind(one) == "package" for one in domains)
    if not packaged:
        domains = sorted(one for one in names if rapl_kind(one) == "psys")
    if not domains or not spans:
        return None
    found = [_of_domain(rows, one, spans) for one in domains]
    values = [one.nj for one in found]
    highs = [one.high_nj for one in found]
    low_nj = sum(one.low_nj for one in found)
    return Cpu(
        None if None in values else sum(one for one in values if one is not None),
        low_nj,
        None if None in highs else sum(one for one in highs if one is not None),
        low_nj if packaged else 0,
        min(one.covered_us for one in found),
        tuple(domains),
    )


def _of_domain(rows: pa.Table, domain: str, spans: Intervals) -> Cpu:
    import pyarrow.compute as pc

    own = rows.filter(pc.equal(rows["domain"], domain))
    kept, peak_mw = _thinned(own, [edge for span in spans for edge in span])
    parts = [energy_between(kept, *span, limit_mw=peak_mw, age_us=RAPL_AGE_US) for span in spans]
    covered_us, whole_us = sum(part.covered_us for part in parts), length(spans)
    low_nj = sum(part.low_nj for part in parts)
    highs = [part.high_nj for part in parts]
    high_nj = None if None in highs else sum(high for high in highs if high is not None)
    if not is_enough(covered_us, whole_us):
        return Cpu(None, low_nj, high_nj, low_nj, covered_us, (domain,))
    # What is not known is filled in at the mean of what is, up to the highest power that was seen.
    known_nj = sum(part.energy_nj or 0 for part in parts)
    nj = max(low_nj, known_nj * whole_us // covered_us)
    return Cpu(nj, low_nj, None if high_nj is None else max(nj, high_nj), low_nj, covered_us, ())


def _thinned(rows: pa.Table, edges: Sequence[int]) -> tuple[list[dict[str, Any]], int | None]:
    """Return the readings of a domain that matter for some instants, and its highest power, mW.

    Between two readings of a counter that only rises, those in between change nothing.
    """
    ts_us, energy = rows["ts_us"].to_numpy(), rows["energy_uj"].to_numpy()
    run, epoch = (rows[name].fill_null(_NO_NUMBER).to_numpy() for name in ("run", "epoch"))
    order = np.lexsort((energy, ts_us, epoch, run))
    ts_us, energy, run, epoch = (one[order] for one in (ts_us, energy, run, epoch))
    breaks = np.flatnonzero((np.diff(run) != 0) | (np.diff(epoch) != 0) | (np.diff(energy) < 0))
    kept: set[int] = set()
    peak_mw: int | None = None
    for begin, end in pairwise([0, *(breaks + 1).tolist(), len(order)]):
        kept |= {begin, end - 1}
        for edge in edges:
            at = begin + int(np.searchsorted(ts_us[begin:end], edge))
            kept |= {*range(max(begin, at - _AROUND), min(end, at + _AROUND + 1))}
        for mw in _peaks(ts_us[begin:end], energy[begin:end]):
            peak_mw = mw if peak_mw is None else max(peak_mw, mw)
    return rows.take(order[sorted(kept)]).to_pylist(), peak_mw


def _peaks(ts_us: Any, energy: Any) -> Iterator[int]:
    """Yield the highest power between two readings in turn, mW, rounded up."""
    step_us, grown = np.diff(ts_us), np.diff(energy)
    wide = step_us >= _LEAST_STEP_US
    if wide.any():
        most = int(np.argmax(np.where(wide, grown / np.maximum(step_us, 1), -1.0)))
        yield ceil_div(1_000 * int(grown[most]), int(step_us[most]))
