"""The flexible jobs of a lake with their energy courses, at one boundary.

In: the ledger and the hours of the index. Out: a course for each job, or why there is none. At the
facility each hour of a job is scaled, so that it adds up to the facility energy of that hour.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.flexibility.course import Course, Piece, course_of, joined
from tokenergy_sql.flexibility.flexible import Flexible
from tokenergy_sql.flexibility.room import Steps

if TYPE_CHECKING:
    import duckdb

Boundary = Literal["facility", "gpu"]

BOUNDARIES: tuple[Boundary, ...] = ("facility", "gpu")

_PIECES = read_sql("tokenergy_sql.flexibility", "job_piece")
_HOURS = read_sql("tokenergy_sql.flexibility", "job_hour")
_OTHERS = read_sql("tokenergy_sql.flexibility", "other_piece")
_RATIO = read_sql("tokenergy_sql.flexibility", "site_ratio")
_JOBS = """
SELECT job_id, start_us, end_us, coverage, emulated
FROM job_index WHERE job_id IN (SELECT unnest($jobs))"""

READS = " ".join((_PIECES, _HOURS, _OTHERS, _RATIO, _JOBS, "allocation"))
"""All SQL of this module: names the tables that it reads."""


@dataclass(frozen=True, slots=True)
class Movable:
    """A job that somebody calls flexible.

    Attributes:
        job_id: the job.
        hours: how much later it may start; None: its label is no number of hours.
        course: its energy; None: see `why`.
        bounded: whether both bounds of that energy are known.
        boards: boards that it held over time, in thousandths; None: see `why`.
        coverage: part of its claimed time with known power.
        emulated: whether a board is emulated.
        why: why it cannot be moved: a code; empty if it can.
    """

    job_id: str
    hours: float | None
    course: Course | None = None
    bounded: bool = True
    boards: Steps | None = None
    coverage: float | None = None
    emulated: bool = False
    why: str = ""


def movables(
    con: duckdb.DuckDBPyConnection,
    flexible: Flexible,
    boundary: Boundary,
    since_us: int | None = None,
    until_us: int | None = None,
) -> list[Movable]:
    """Return the flexible jobs that started in a span, by start; jobs without one come last.

    Args:
        con: the lake.
        flexible: hours by job.
        boundary: whose energy moves: of the GPUs, or of the facility.
        since_us: leave out jobs that started earlier.
        until_us: leave out jobs that started at this time or later.
    """
    names = {"jobs": sorted(flexible)}
    known = {row["job_id"]: row for row in named_rows(con, _JOBS, names)}
    pieces: defaultdict[str, list[NamedRow]] = defaultdict(list)
    for row in named_rows(con, _PIECES, names):
        pieces[row["job_id"]].append(row)
    hours: defaultdict[str, list[NamedRow]] = defaultdict(list)
    for row in named_rows(con, _HOURS, names):
        hours[row["job_id"]].append(row)
    found = []
    for job, most in flexible.items():
        fact = known.get(job)
        if fact is not None and not _within(fact["start_us"], since_us, until_us):
            continue
        found.append(_movable(job, most, fact, (pieces[job], hours[job]), boundary))
    return sorted(found, key=lambda one: (one.course is None, _start(one), one.job_id))


def _within(at_us: int, since_us: int | None, until_us: int | None) -> bool:
    return (since_us is None or at_us >= since_us) and (until_us is None or at_us < until_us)


def _start(one: Movable) -> int:
    return 0 if one.course is None else one.course.start_us


def _movable(
    job: str,
    most: float | None,
    fact: NamedRow | None,
    read: tuple[Sequence[NamedRow], Sequence[NamedRow]],
    boundary: Boundary,
) -> Movable:
    if fact is None:
        return Movable(job, most, why="not_in_the_lake")
    pieces, hours = read
    facts: NamedRow = {"coverage": fact["coverage"], "emulated": fact["emulated"]}
    if most is None:
        return Movable(job, most, **facts, why="bad_label")
    if fact["end_us"] is None:
        return Movable(job, most, **facts, why="still_running")
    if not any(row["e_gpu_nj"] is not None for row in hours):
        return Movable(job, most, **facts, why="no_energy")
    course, bounded = _course(pieces, {row["hour_us"]: row for row in hours}, boundary)
    if course is None:
        return Movable(job, most, **facts, why="no_facility_energy")
    return Movable(job, most, course, bounded, _boards(pieces), **facts)


def _course(
    pieces: Sequence[NamedRow], hours: Mapping[int, NamedRow], boundary: Boundary
) -> tuple[Course | None, bool]:
    """Return a job's course, and whether its bounds are known; None if its energy is not."""
    by_hour: defaultdict[int, list[Piece]] = defaultdict(list)
    for row in pieces:
        amounts = (int(row[name]) for name in ("nj", "low_nj", "high_nj"))
        by_hour[hour_of(row["start_us"])].append(Piece(row["start_us"], row["end_us"], *amounts))
    courses, bounded = [], True
    for hour_us in sorted(by_hour):
        course = course_of(by_hour[hour_us])
        if course is None:
            continue
        if boundary == "facility":
            known_hour = hours.get(hour_us)
            scaled = None if known_hour is None else _at_facility(course, known_hour)
            if scaled is None:
                return None, False
            course, known = scaled
            bounded = bounded and known
        courses.append(course)
    return (joined(courses), bounded) if courses else (None, False)


def _at_facility(course: Course, row: NamedRow) -> tuple[Course, bool] | None:
    """Return the course of an hour, scaled to the facility energy of the hour."""
    whole = course.total_nj
    facility = row["e_facility_nj"]
    if facility is None or (whole == 0 and facility > 0):
        return None
    central = course.scaled(Fraction(int(facility), whole or 1))
    low, high = (row[f"e_facility_{side}_nj"] for side in ("low", "high"))
    if low is None or high is None:
        return Course(central.edges_us, central.nj, central.nj, central.nj), False
    lows = course.scaled(Fraction(int(low), sum(course.low_nj) or 1)).low_nj
    highs = course.scaled(Fraction(int(high), sum(course.high_nj) or 1)).high_nj
    return Course(central.edges_us, central.nj, lows, highs), True


def _boards(pieces: Sequence[NamedRow]) -> Steps:
    """Return the boards that a job held over time, in thousandths."""
    return summed([(row["start_us"], row["end_us"], row["boards"]) for row in pieces])


def summed(spans: Sequence[tuple[int, int, int]]) -> Steps:
    """Return the sum of levels, each from a start to an end."""
    changes: defaultdict[int, int] = defaultdict(int)
    for start_us, end_us, level in spans:
        changes[start_us] += level
        changes[end_us] -= level
    edges = sorted(changes)
    levels, level = [], 0
    for edge in edges[:-1]:
        level += changes[edge]
        levels.append(level)
    return Steps.of(edges or [0], levels)


def steps_of(course: Course) -> Steps:
    """Return the power of a course over time, mW, rounded up."""
    return Steps.of(course.edges_us, course.power_mw())


def others(
    con: duckdb.DuckDBPyConnection,
    jobs: Sequence[str],
    span: tuple[int, int],
    boundary: Boundary,
) -> tuple[Steps | None, Steps]:
    """Return what all but some jobs draw (mW, rounded up) and hold (thousandths of boards).

    Args:
        con: the lake.
        jobs: the jobs that do not count.
        span: from when until when, us UTC.
        boundary: of the power.

    Returns:
        None for the power if the facility energy of some hour is not known.
    """
    since_us, until_us = span
    bound = {"jobs": [*jobs], "since": since_us, "until": until_us}
    rows = named_rows(con, _OTHERS, bound)
    held = summed([(row["start_us"], row["end_us"], row["boards"]) for row in rows])
    ratio: dict[int, Fraction] = {}
    if boundary == "facility":
        hours = {"since": hour_of(since_us), "until": hour_of(until_us) + HOUR_US}
        for row in named_rows(con, _RATIO, hours):
            if row["gpu_nj"] and row["facility_nj"] is None:
                return None, held
            if row["gpu_nj"]:
                ratio[row["hour_us"]] = Fraction(int(row["facility_nj"]), int(row["gpu_nj"]))
    spans = []
    for row in rows:
        times = ratio.get(hour_of(row["start_us"]), Fraction(1))
        power = -(-(Fraction(int(row["nj"])) * times) // (row["end_us"] - row["start_us"]))
        spans.append((row["start_us"], row["end_us"], int(power)))
    return summed(spans), held
