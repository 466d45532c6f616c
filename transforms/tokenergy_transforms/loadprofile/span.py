"""Load profiles of a span: one row for all of it, not one for each hour.

In: hours of cells, ascending. Out: for each group the rows of `load_span`, `load_span_spectrum` and
`load_span_swing`: extremes, ramps, storage and spectra also across the edges of hours. The hours
are read once; their cells wait in files for the last hour, and groups are worked out one by one: so
memory holds an hour of all groups, and the whole span of one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenergy_collectors.base.memory import keep_freed_memory
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_transforms.inventory import Inventory, read_inventory
from tokenergy_transforms.loadprofile import coursehours, rows, spectrum, stream
from tokenergy_transforms.loadprofile.alias import suspect
from tokenergy_transforms.loadprofile.coursehours import CourseHour, Name
from tokenergy_transforms.loadprofile.figures import Bools
from tokenergy_transforms.loadprofile.joining import join
from tokenergy_transforms.loadprofile.loadcourse import Boundary, LoadCourse

Around = Callable[[Iterator[CourseHour]], Iterator[CourseHour]]
"""Turns hours of boards into hours at another boundary."""


@dataclass(frozen=True, slots=True)
class Spanned:
    """A group over a span: its rows, and what was added up.

    Attributes:
        name: (kind, group_id).
        cells: cells of the span.
        rows: of the three tables.
    """

    name: Name
    cells: int
    rows: rows.GroupRows


def span_rows(
    lake: Lake,
    kinds: Sequence[str],
    from_us: int,
    until_us: int,
    step_us: int | None = None,
    *,
    psd: spectrum.Psd = spectrum.psd_numpy,
    boundary: Boundary = "boards",
    around: Around = lambda hours: hours,
    inventory: Inventory | None = None,
    report: stream.Report = lambda _: None,
) -> list[Spanned]:
    """Return the rows of each group of some kinds over a span.

    Args:
        lake: where to read.
        kinds: kinds of group.
        from_us: start of the span, microseconds UTC.
        until_us: its end.
        step_us: size of a cell; None: see `coursehours.hours`.
        psd: computes densities.
        boundary: what the load is of.
        around: turns hours of boards into hours at that boundary.
        inventory: the lake's, if it has been read.
        report: takes what is worked on.

    Raises:
        UserError: see `coursehours.hours`.
    """
    keep_freed_memory()
    inventory = inventory or read_inventory(lake)
    hours = coursehours.hours(
        lake, kinds, from_us, until_us, step_us, inventory=inventory, report=report
    )
    found: list[Spanned] = []
    suspects: dict[int, list[_Line]] = {}
    for course in _courses(around(hours), from_us, until_us, boundary):
        report(f"{course.kind} {course.group_id}")
        one = Spanned(
            (course.kind, course.group_id),
            len(course.known),
            course_rows(course, from_us, until_us, psd),
        )
        found.append(one)
        for hz, places in one.rows.lines():
            hour_us = _best_hour(course)
            line = _Line(one, hz, places, _of_hour(course, hour_us), course.step_us)
            suspects.setdefault(hour_us, []).append(line)
    for hour_us, lines in suspects.items():
        _check(lake, inventory, kinds, hour_us, lines, report)
    return found


def _courses(
    hours: Iterator[CourseHour], from_us: int, until_us: int, boundary: Boundary
) -> Iterator[LoadCourse]:
    """Yield the course of each group, one after the other, by kind and name."""
    with tempfile.TemporaryDirectory(prefix="tokenergy-") as folder:
        joiners = join(hours, from_us, until_us, boundary, Path(folder))
        for name in sorted(joiners):
            yield joiners[name].course(must_exist=False)


def course_rows(
    course: LoadCourse, from_us: int, until_us: int, psd: spectrum.Psd = spectrum.psd_numpy
) -> rows.GroupRows:
    """Return the rows of one course; its lines are not checked for images yet."""
    head = {
        "from_us": from_us,
        "until_us": until_us,
        "boundary": course.boundary,
        "kind": course.kind,
        "group_id": course.group_id,
    }
    extent = {
        "devices": course.devices,
        "metered": course.metered,
        "coverage": course.covered_us / max(course.held_us, 1),
        "emulated": course.emulated,
        "as_of_us": course.as_of_us,
    }
    return rows.load_rows(course.load, head, extent, set(course.reasons), psd)


@dataclass(slots=True)
class _Line:
    """A line of a span that is to be checked in one of its hours."""

    spanned: Spanned
    hz: float
    places: list[int | None]
    known: Bools
    step_us: int


def _best_hour(course: LoadCourse) -> int:
    """Return the hour with most known cells, the first of several: lines are checked there."""
    starts = course.start_us + np.arange(len(course.known)) * course.step_us
    hours, counts = np.unique(starts[course.known] // HOUR_US, return_counts=True)
    return int(hours[counts.argmax()]) * HOUR_US


def _of_hour(course: LoadCourse, hour_us: int) -> Bools:
    """Return the known cells of an hour that is partly in the course: bool[cells an hour]."""
    known = np.zeros(HOUR_US // course.step_us, np.bool_)
    first = (hour_us - course.start_us) // course.step_us
    low, high = max(first, 0), min(first + len(known), len(course.known))
    known[low - first : high - first] = course.known[low:high]
    return known


def _check(
    lake: Lake,
    inventory: Inventory,
    kinds: Sequence[str],
    hour_us: int,
    lines: Sequence[_Line],
    report: stream.Report,
) -> None:
    """Check lines against the readings of one hour."""
    names = [line.spanned.name for line in lines]
    read = coursehours.read_hour(lake, inventory, hour_us, kinds, names, list, report)
    groups = {(group.kind, group.group_id): group for group in read.chosen}
    filled = []
    for line in lines:
        group = groups[line.spanned.name]
        one = suspect(line.hz, stream.spacings_of(group), line.known, hour_us, line.step_us)
        of_node = stream.by_node(group)
        found = line.spanned.rows
        filled.append(stream.Filled(group, line.step_us, of_node, found, [(one, line.places)]))
    stream.check_lines(read.readings, filled, read.nodes, report)
