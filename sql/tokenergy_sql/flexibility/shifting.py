"""One job against one signal: what each later start would have cost, and the best of them.

In: the energy course of a job, a signal, how far the job may move. Out: starts and their costs.

The cost of a start is the integral of power times signal. Both are constant between their edges, so
the cost is linear in the start until an edge of the course meets an edge of the signal. The least
cost of all starts is therefore at such a meeting, or at the first or last start that is allowed: it
is enough to look there. Where the signal has a hole, no start is offered that would touch it.

Costs are summed in floating point first; the best starts are summed again in whole numbers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from tokenergy_sql.flexibility.course import Course
from tokenergy_sql.flexibility.signal import BILLION, NJ_PER_KWH, Signal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_NEAR = 1e-11
"""Costs that differ by less than this share of the largest one are compared in whole numbers."""
_MOST_NEAR = 64
_CHUNK = 1 << 20
"""How many integrals are taken at once: tens of megabytes."""


@dataclass(frozen=True, slots=True)
class Starts:
    """Starts that are worth looking at, by shift.

    Attributes:
        shift_us: how much later than it was, ascending; the first is 0.
        cost: energy times signal, in the signal's amount; NaN where the signal has a hole.
    """

    shift_us: npt.NDArray[np.int64]
    cost: npt.NDArray[np.float64]


def starts_of(course: Course, signal: Signal, most_us: int) -> Starts:
    """Return every start at which the cost can be least, and its cost.

    Args:
        course: the energy of the job as it ran.
        signal: what a kWh costs over time.
        most_us: how much later it may start, 0 or more.
    """
    import numpy as np

    grid = np.array(signal.edges_us, dtype=np.int64)
    grid = grid[(grid > course.start_us) & (grid < course.end_us + most_us)]
    load = np.array(course.edges_us, dtype=np.int64)
    shifts = np.array([0, most_us], dtype=np.int64)
    step = max(1, _CHUNK // max(len(grid), 1))
    for first in range(0, len(load), step):
        meetings = (grid[:, None] - load[None, first : first + step]).ravel()
        meetings = meetings[(meetings > 0) & (meetings < most_us)]
        shifts = np.union1d(shifts, meetings)
    return Starts(shifts, costs_of(course, signal, shifts))


def costs_of(
    course: Course, signal: Signal, shift_us: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the cost at each shift, in the signal's amount; NaN where the signal has a hole."""
    import numpy as np

    begin, end, value = signal.arrays()
    touched = (end > course.start_us) & (begin < course.end_us + int(shift_us.max()))
    begin, end, value = begin[touched], end[touched], value[touched]
    origin = course.start_us
    edges = np.array(course.edges_us, dtype=np.int64) - origin
    summed = np.concatenate([[0.0], np.cumsum(np.array(course.nj, dtype=np.float64))])
    cost = np.full(len(shift_us), np.nan)
    step = max(1, _CHUNK // max(len(value), 1))
    for first in range(0, len(shift_us), step):
        part = shift_us[first : first + step, None]
        upper = np.interp(end[None, :] - origin - part, edges, summed)
        lower = np.interp(begin[None, :] - origin - part, edges, summed)
        cost[first : first + step] = ((upper - lower) * value[None, :]).sum(axis=1) / NJ_PER_KWH
    cost[~_known(course, signal, shift_us)] = np.nan
    return cost


def _known(
    course: Course, signal: Signal, shift_us: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Return at which shifts the signal is known from the job's start to its end."""
    import numpy as np

    known = np.zeros(len(shift_us), dtype=bool)
    for from_us, until_us in signal.known:
        first, last = from_us - course.start_us, until_us - course.end_us
        known |= (shift_us >= first) & (shift_us <= last)
    return known


def best_of(course: Course, signal: Signal, starts: Starts) -> int | None:
    """Return the shift with the least cost, the shortest of equal ones; None if no cost is known.

    Args:
        course: the energy of the job as it ran.
        signal: what a kWh costs over time.
        starts: from `starts_of`.
    """
    import numpy as np

    known = np.flatnonzero(~np.isnan(starts.cost))
    if not len(known):
        return None
    costs = starts.cost[known]
    near = known[costs <= costs.min() + _NEAR * max(abs(costs.max()), abs(costs.min()))]
    shifts = [int(starts.shift_us[place]) for place in near[:_MOST_NEAR]]
    return min(shifts, key=lambda shift: (exact_cost(course, signal, shift), shift))


def exact_cost(course: Course, signal: Signal, shift_us: int) -> Fraction:
    """Return the cost of a start without rounding, in the signal's amount.

    Raises:
        ValueError: the signal is not known throughout.
    """
    if not signal.knows(course.start_us + shift_us, course.end_us + shift_us):
        raise ValueError(f"{signal.name}: is not known throughout")
    of_length: defaultdict[int, int] = defaultdict(int)
    for place, (start, end) in enumerate(pairwise(course.edges_us)):
        weighed = _weighed(signal, start + shift_us, end + shift_us)
        of_length[end - start] += course.nj[place] * weighed
    total = sum((Fraction(amount, length) for length, amount in of_length.items()), Fraction(0))
    return total / (BILLION * NJ_PER_KWH)


def saved_bounds(course: Course, signal: Signal, shift_us: int) -> tuple[float, float]:
    """Return the least and the most that a shift saves, in the signal's amount.

    Each cell may have used anything between its bounds. The signal is taken as it is.

    Raises:
        ValueError: the signal is not known throughout, before or after.
    """
    both = (course.start_us, course.start_us + shift_us)
    if not all(signal.knows(at, at + course.end_us - course.start_us) for at in both):
        raise ValueError(f"{signal.name}: is not known throughout")
    least = most = 0.0
    for place, (start, end) in enumerate(pairwise(course.edges_us)):
        change = _weighed(signal, start, end) - _weighed(signal, start + shift_us, end + shift_us)
        ends = [
            energy * change / (end - start)
            for energy in (course.low_nj[place], course.high_nj[place])
        ]
        least, most = least + min(ends), most + max(ends)
    return least / BILLION / NJ_PER_KWH, most / BILLION / NJ_PER_KWH


def _weighed(signal: Signal, from_us: int, until_us: int) -> int:
    """Return the integral of the signal over a span that is known: billionths times us."""
    place = bisect_right(signal.from_us, from_us) - 1
    total = 0
    while place < len(signal.from_us) and signal.from_us[place] < until_us:
        overlap = min(until_us, signal.until_us[place]) - max(from_us, signal.from_us[place])
        value = signal.value_n[place]
        if overlap > 0 and value is not None:
            total += value * overlap
        place += 1
    return total
