"""What moving the flexible jobs would have saved: a plan that looks back at what was measured.

In: flexible jobs with their courses, signals, limits. Out: one row a job, and totals. Every figure
after a move is modelled: it takes for granted that the job would have drawn the same power later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.flexibility.flexible import Flexible
from tokenergy_sql.flexibility.movable import Boundary, Movable, movables, others, steps_of
from tokenergy_sql.flexibility.room import Room, Steps
from tokenergy_sql.flexibility.shifting import (
    Starts,
    best_of,
    exact_cost,
    saved_bounds,
    starts_of,
)
from tokenergy_sql.flexibility.signal import CARBON, NJ_PER_KWH, Signal
from tokenergy_sql.flexibility.together import Mover, arrange

if TYPE_CHECKING:
    import duckdb

EXACT = "exact"
HEURISTIC = "heuristic"
ENOUGH = 0.99
"""Below this coverage a job's energy is partial."""

_MW_PER_KW = 1_000_000
_THOUSANDTHS = 1_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan is asked for.

    Attributes:
        signals: one or two: carbon, price; the first is what is minimised.
        boundary: whose energy moves.
        limit_kw: the most that the site may draw at that boundary; None: no limit.
        boards: the most boards that jobs may hold at once; None: no limit.
        since_us: leave out jobs that started earlier.
        until_us: leave out jobs that started at this time or later.
    """

    signals: tuple[Signal, ...]
    boundary: Boundary = "facility"
    limit_kw: float | None = None
    boards: int | None = None
    since_us: int | None = None
    until_us: int | None = None


@dataclass(slots=True)
class _Job:
    """A job while it is planned; `starts` is None if its own cost is not known."""

    movable: Movable
    starts: Starts | None = None
    alone: int | None = None
    place: int = 0
    why: str = ""


def plan(
    con: duckdb.DuckDBPyConnection, flexible: Flexible, wanted: Wanted
) -> tuple[list[NamedRow], NamedRow]:
    """Return one row a flexible job, and the totals.

    Args:
        con: the lake.
        flexible: hours by job.
        wanted: what is asked for.

    Raises:
        UserError: a limit cannot be held against a load that is not known.
    """
    jobs = [
        _look(one, wanted.signals[0])
        for one in movables(con, flexible, wanted.boundary, wanted.since_us, wanted.until_us)
    ]
    free = [job for job in jobs if job.starts is not None]
    if wanted.limit_kw is None and wanted.boards is None:
        for job in free:
            _move_alone(job)
    elif free:
        _move_together(con, free, wanted)
    rows = [_row(job, wanted) for job in jobs]
    return rows, _totals(rows, wanted)


def _look(movable: Movable, signal: Signal) -> _Job:
    """Return a job with its starts, or with why it stays."""
    course = movable.course
    if course is None or movable.hours is None:
        return _Job(movable, why=movable.why)
    if not signal.knows(course.start_us, course.end_us):
        return _Job(movable, why="signal_unknown")
    starts = starts_of(course, signal, round(movable.hours * HOUR_US))
    best = best_of(course, signal, starts)
    return _Job(movable, starts, best)


def _place(starts: Starts, shift_us: int) -> int:
    import numpy as np

    return int(np.searchsorted(starts.shift_us, shift_us))


def _why_here(starts: Starts) -> str:
    """Return why a job stays although nothing limits it."""
    import numpy as np

    if len(starts.shift_us) > 1 and np.isnan(starts.cost[1:]).all():
        return "no_later_signal"
    return "no_saving"


def _move_alone(job: _Job) -> None:
    if job.starts is None or job.alone is None:
        raise AssertionError("a job without starts is moved")
    job.place = _place(job.starts, job.alone)
    if job.place == 0:
        job.why = _why_here(job.starts)


def _move_together(con: duckdb.DuckDBPyConnection, jobs: Sequence[_Job], wanted: Wanted) -> None:
    movers, span = [], [0, 0]
    for job in jobs:
        course, boards = job.movable.course, job.movable.boards
        if job.starts is None or course is None or boards is None:
            raise AssertionError("a job without a course is moved")
        latest = course.end_us + int(job.starts.shift_us[-1])
        span = [min(span[0] or course.start_us, course.start_us), max(span[1], latest)]
        loads: list[Steps] = []
        if wanted.limit_kw is not None:
            loads.append(steps_of(course))
        if wanted.boards is not None:
            loads.append(boards)
        movers.append(Mover(job.starts, tuple(loads)))
    rooms = _rooms(con, jobs, (span[0], span[1]), wanted, movers)
    for job, mover, place in zip(jobs, movers, arrange(movers, rooms), strict=True):
        job.place = place
        if place == 0:
            alone = job.alone is not None and job.alone > 0
            job.why = "limit" if alone else _why_here(mover.starts)


def _rooms(
    con: duckdb.DuckDBPyConnection,
    jobs: Sequence[_Job],
    span: tuple[int, int],
    wanted: Wanted,
    movers: Sequence[Mover],
) -> list[Room]:
    names = [job.movable.job_id for job in jobs]
    power, held = others(con, names, span, wanted.boundary)
    rooms = []
    if wanted.limit_kw is not None:
        if power is None:
            raise UserError(
                "--limit-kw: the facility energy of some hour is not known, so the site's load is "
                "not; declare host power and PUE, or use --boundary gpu"
            )
        rooms.append((round(wanted.limit_kw * _MW_PER_KW), power))
    if wanted.boards is not None:
        rooms.append((wanted.boards * _THOUSANDTHS, held))
    for place in range(len(rooms)):
        limit, load = rooms[place]
        for mover in movers:
            load = load.plus(mover.loads[place])
        rooms[place] = (limit, load)
    return [Room(limit, load) for limit, load in rooms]


def _row(job: _Job, wanted: Wanted) -> NamedRow:
    movable, course = job.movable, job.movable.course
    shift = 0 if job.starts is None else int(job.starts.shift_us[job.place])
    start = None if course is None else course.start_us
    partial = movable.coverage is None or movable.coverage < ENOUGH
    codes = [job.why, "partial_energy" if partial and course is not None else ""]
    row: NamedRow = {
        "job_id": movable.job_id,
        "flexible_hours": movable.hours,
        "from_us": start,
        "to_us": None if start is None or job.starts is None else start + shift,
        "moved_hours": None if job.starts is None else shift / HOUR_US,
        "kwh": None if course is None else course.total_nj / NJ_PER_KWH,
        "boundary": wanted.boundary,
        "coverage": movable.coverage,
    }
    for kind in ("carbon", "money"):
        signal = next((one for one in wanted.signals if _kind(one) == kind), None)
        row |= _amounts(kind, job, signal, shift)
    minimised = _kind(wanted.signals[0])
    row |= {
        f"{minimised}_most_saved": _alone(job, wanted.signals[0]),
        "why_not_moved": ",".join(code for code in codes if code),
        "method": "modelled",
        "emulated": movable.emulated,
    }
    return row


def _kind(signal: Signal) -> str:
    return "carbon" if signal.quantity in CARBON else "money"


def _amounts(kind: str, job: _Job, signal: Signal | None, shift: int) -> NamedRow:
    """Return before, after and saved of one signal; None where it is not known."""
    names = ("before", "after", "saved", "saved_low", "saved_high")
    found: NamedRow = {f"{kind}_{name}": None for name in names}
    course = job.movable.course
    found[f"{kind}_signal"] = None if signal is None else signal.quantity
    found[f"{kind}_unit"] = None if signal is None else signal.amount_unit
    if signal is None or course is None or job.starts is None:
        return found
    known = [signal.knows(course.start_us + at, course.end_us + at) for at in (0, shift)]
    before = exact_cost(course, signal, 0) if known[0] else None
    after = exact_cost(course, signal, shift) if known[1] else None
    found[f"{kind}_before"] = None if before is None else float(before)
    found[f"{kind}_after"] = None if after is None else float(after)
    if before is not None and after is not None:
        found[f"{kind}_saved"] = float(before - after)
        if job.movable.bounded:
            low, high = saved_bounds(course, signal, shift)
            found |= {f"{kind}_saved_low": low, f"{kind}_saved_high": high}
    return found


def _alone(job: _Job, signal: Signal) -> float | None:
    """Return what the job would save if it were the only one; None if that is not known."""
    course = job.movable.course
    if course is None or job.starts is None or job.alone is None:
        return None
    return float(exact_cost(course, signal, 0) - exact_cost(course, signal, job.alone))


def _totals(rows: Sequence[NamedRow], wanted: Wanted) -> NamedRow:
    """Return sums over the jobs of which the amount is known, and how far the plan may be off."""
    minimised = _kind(wanted.signals[0])
    limited = wanted.limit_kw is not None or wanted.boards is not None
    totals: NamedRow = {
        "jobs": len(rows),
        "moved": sum(bool(row["moved_hours"]) for row in rows),
        "unknown": sum(row[f"{minimised}_saved"] is None for row in rows),
        "kwh_moved": sum(row["kwh"] for row in rows if row["moved_hours"]),
        "minimised": wanted.signals[0].quantity,
        "plan": HEURISTIC if limited else EXACT,
    }
    for kind in ("carbon", "money"):
        for name in ("before", "saved", "saved_low", "saved_high", "most_saved"):
            values = [row.get(f"{kind}_{name}") for row in rows if row[f"{kind}_saved"] is not None]
            complete = bool(values) and None not in values
            totals[f"{kind}_{name}"] = sum(values) if complete else None
    return totals
