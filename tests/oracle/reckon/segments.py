"""The time of a device, cut at windows and at the edges of jobs, and what its meters say of each.

Rules: docs/ledger.md, "From readings to segments".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from tests.oracle.reckon.holders import Allocation
from tests.oracle.reckon.meters import COUNTER_REACH_US, EnergyCounter, Sensor

WINDOW_US = 1_000_000
HOUR_US = 3_600_000_000


@dataclass
class Segment:
    """The time between two neighbouring cuts.

    Attributes:
        node: where the device was.
        covered_us, energy_nj: the time in which power is known, and its energy.
        counter_nj: what the counter counted; None where that is not known.
        off_us: from its end to the nearest reading of the counter.
        end_mw: power at its end.
        least_mw, most_mw: of its readings.
        sparse_us: the known time between readings that are far apart.
        doubt_nj: how far the energy may be off because readings of one stamp were averaged.
    """

    node: str
    start: int
    end: int
    covered_us: int
    energy_nj: int
    counter_nj: int | None
    off_us: int | None
    end_mw: int | None
    least_mw: int | None
    most_mw: int | None
    sparse_us: int = 0
    doubt_nj: int = 0

    @property
    def length_us(self) -> int:
        return self.end - self.start

    @property
    def known(self) -> str:
        """Which meters have a value: both, counter, samples, or none."""
        if self.counter_nj is None:
            return "samples" if self.covered_us else "none"
        whole = self.covered_us == self.length_us and self.energy_nj > 0
        return "both" if whole else "counter"


def edges_of(held: list[Allocation]) -> list[int]:
    """Return the edges of jobs on a device, each once, ascending."""
    edges = {t for a in held for t in (a.start_us, a.end_us) if t is not None}
    return sorted(edges)


def segments(
    node: str,
    hour: int,
    meters: tuple[Sensor, Sensor, EnergyCounter],
    held: list[Allocation],
    goes_on: bool,
) -> list[Segment]:
    """Return the segments of a device on a node in an hour.

    Args:
        node: its name.
        hour: its start.
        meters: the power of the device, how far each reading of it may be off, and its counter.
        held: who claims the device.
        goes_on: whether its node is read in a later hour too.
    """
    sensor, spread, counter = meters
    stamps = _within_reach(hour, sorted({*sensor.stamps, *counter.stamps}))
    held = _held_in(hour, held, stamps, goes_on)
    cuts = _cuts(hour, stamps, held)
    found = []
    for start, end in pairwise(cuts):
        if not _is_time_of_device(start, end, stamps, held):
            continue
        inside, at_end = sensor.inside(start, end), sensor.at(end)
        found.append(
            Segment(
                node,
                start,
                end,
                sensor.covered_us(start, end),
                sensor.energy_nj(start, end),
                counter.energy_nj(start, end),
                counter.off_us(end),
                None if at_end is None else int(at_end),
                min(inside, default=None),
                max(inside, default=None),
                sensor.sparse_us(start, end),
                spread.energy_nj(start, end),
            )
        )
    return found


def _within_reach(hour: int, stamps: list[int]) -> list[int]:
    """Return the readings that say when a device was observed in an hour.

    Those of the hour and up to 50 minutes around it; none if none is in the hour itself.
    """
    until = hour + HOUR_US
    if not any(hour <= t < until for t in stamps):
        return []
    return [t for t in stamps if hour - COUNTER_REACH_US <= t < until + COUNTER_REACH_US]


def _is_time_of_device(start: int, end: int, stamps: list[int], held: list[Allocation]) -> bool:
    """Say whether a device was observed or held between two neighbouring cuts."""
    if stamps and stamps[0] <= start and end <= stamps[-1]:
        return True
    return any(a.start_us <= start and end <= (a.end_us or start) for a in held)


def _held_in(
    hour: int, held: list[Allocation], stamps: list[int], goes_on: bool
) -> list[Allocation]:
    """Return the allocations that reach into an hour, each with an end."""
    until = hour + HOUR_US
    found = []
    for a in held:
        if a.start_us >= until or (a.end_us is not None and a.end_us <= hour):
            continue
        if a.end_us is not None:
            found.append(a)
        elif goes_on:  # the node is read later too: a job that runs held its devices all along
            found.append(replace(a, end_us=until))
        elif stamps:  # a job that runs holds the device until its last reading
            found.append(replace(a, end_us=max(a.start_us, stamps[-1])))
    return found


def _cuts(hour: int, stamps: list[int], held: list[Allocation]) -> list[int]:
    """Return the cuts: edges of windows while it is observed, and all edges of jobs."""
    until = hour + HOUR_US
    edges = [t for a in held for t in (a.start_us, a.end_us) if t is not None]
    windows: list[int] = []
    if stamps:
        edges += [stamps[0], stamps[-1]]
        first, last = max(stamps[0], hour), min(stamps[-1], until)
        windows = list(range(first // WINDOW_US * WINDOW_US, last, WINDOW_US))
        windows = [t for t in windows if first < t < last]
    return sorted({*windows, *(min(max(t, hour), until) for t in edges)})
