"""The known runs of a load: what a store is studied on.

In: a load course. Out: its cells, coarsened until a sensor shows their changes, and the runs in
which every cell is known. A gap is never bridged: what the load did in it is not known. A place
where other devices began to be read divides a run, since the step there is none of the load.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_transforms.batch import I64
from tokenergy_transforms.loadprofile.course import LoadCourse
from tokenergy_transforms.loadprofile.rows import TOLERANCE
from tokenergy_transforms.storage.program import F64

LEAST_CELLS = 2
"""A shorter run has no change in it."""


@dataclass(frozen=True, slots=True)
class Run:
    """Cells one after the other whose load is known.

    Attributes:
        start_us: start of the first cell, microseconds UTC.
        load_nj: int64[N] energy of each cell.
        load_w: float64[N] its mean power.
    """

    start_us: int
    load_nj: I64
    load_w: F64


def coarsened(course: LoadCourse) -> LoadCourse:
    """Return a course whose cells are at least as long as the effective period of its sensors.

    Cells are added up, so energies stay exact; cells at the ends that fill no longer cell are left
    out. A course whose cells are long enough is returned as it is.
    """
    if course.period_us is None:
        return course
    least = course.period_us * (1 - TOLERANCE)
    whole = range(1, HOUR_US // course.step_us + 1)
    factors = (n for n in whole if HOUR_US // course.step_us % n == 0)
    factor = next((n for n in factors if n * course.step_us >= least), 1)
    if factor == 1:
        return course
    step_us = factor * course.step_us
    first = -(course.start_us // course.step_us) % factor
    count = (len(course.energy_nj) - first) // factor
    if count < 1:
        return course
    end = first + count * factor
    return replace(
        course,
        start_us=course.start_us + first * course.step_us,
        step_us=step_us,
        energy_nj=course.energy_nj[first:end].reshape(count, factor).sum(axis=1),
        known=np.asarray(course.known[first:end].reshape(count, factor).all(axis=1)),
        limit_hz=course.limit_hz and min(course.limit_hz, 0.5e6 / step_us),
        breaks=tuple(
            b for b in ((one - first) // factor for one in course.breaks) if 0 < b < count
        ),
    )


def known_runs(course: LoadCourse) -> list[Run]:
    """Return the runs of a course, in order; those too short to show a change are left out."""
    known = np.concatenate(([False], course.known, [False]))
    edges = np.flatnonzero(known[1:] != known[:-1])
    found = []
    for begin, end in edges.reshape(-1, 2).tolist():
        cuts = [begin, *(b for b in course.breaks if begin < b < end), end]
        for first, last in pairwise(cuts):
            if last - first >= LEAST_CELLS:
                energy = course.energy_nj[first:last]
                power = energy / (course.step_us * 1e3)
                found.append(Run(course.start_us + first * course.step_us, energy, power))
    return found
