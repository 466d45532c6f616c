"""Which limits a load keeps: pass, fail or unobservable, the worst moments, the jobs behind them.

In: limits, a lake, a span. Out: one result for each limit, place and horizon.

A fail stays a fail however little is known. A pass needs that the readings resolve what is limited
and that enough of the span is known (`min_coverage`); else it is unobservable. At a boundary that
is in part modelled nothing passes: hosts and cooling may swing where no reading shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tokenergy_collectors.lake import Lake
from tokenergy_sql.gridload.connection import metered_course
from tokenergy_sql.gridload.limits import Limit
from tokenergy_sql.gridload.measure import Measured, averaged_cells, band_rms_mw, measure
from tokenergy_sql.gridload.parts import Place, places
from tokenergy_transforms.batch import I64
from tokenergy_transforms.loadprofile.load import Load
from tokenergy_transforms.loadprofile.loadcourse import Boundary, LoadCourse

Verdict = Literal["pass", "fail", "unobservable"]

MODELLED = ("modelled_pue", "host_by_hour")
MOST_JOBS = 3


@dataclass(frozen=True, slots=True)
class Behind:
    """A job behind a moment: its part of the value, and the value without it, in mW."""

    job: str
    part_mw: float
    without_mw: float


@dataclass(slots=True)
class Moment:
    """One of the worst moments: when it begins, how large, the jobs behind it, most first."""

    at_us: int
    value_mw: float
    jobs: list[Behind] = field(default_factory=list)


@dataclass(slots=True)
class Result:
    """Whether one place kept one limit.

    Attributes:
        limit: which.
        place: (kind, group_id).
        boundary_by: how the load at the boundary is known: `read`, `metered` or `modelled`.
        value_mw: the largest that was observed; None if it is not observable.
        limit_mw: what is allowed; None for a share of an unknown mean.
        verdict: pass, fail or unobservable.
        reason: why it is unobservable; for a fail, what of it is modelled; may be empty.
        coverage: share of the span's cells that are known.
        moments: the worst first.
        emulated: whether a device is emulated.
    """

    limit: Limit
    place: tuple[str, str]
    boundary_by: str
    value_mw: float | None
    limit_mw: float | None
    verdict: Verdict
    reason: str
    coverage: float
    moments: list[Moment]
    emulated: bool


def comply(
    lake: Lake,
    limits: Sequence[Limit],
    kind: str,
    from_us: int,
    until_us: int,
    step_us: int | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> list[Result]:
    """Return the results of all limits, in their order, for each place of a kind.

    Args:
        lake: where to read.
        limits: of one profile.
        kind: rack or site.
        from_us: start of the span, microseconds UTC.
        until_us: its end.
        step_us: size of a cell; None: auto.
        report: takes what is worked on.

    Raises:
        UserError: see `parts.places`.
    """
    found: dict[tuple[int, tuple[str, str]], Result] = {}
    for boundary in sorted({limit.boundary for limit in limits}):
        own = [(k, limit) for k, limit in enumerate(limits) if limit.boundary == boundary]
        for place, number, result in _at(
            lake, own, boundary, kind, from_us, until_us, step_us, report
        ):
            found[number, place] = result
    return [found[key] for key in sorted(found)]


def _at(
    lake: Lake,
    limits: Sequence[tuple[int, Limit]],
    boundary: Boundary,
    kind: str,
    from_us: int,
    until_us: int,
    step_us: int | None,
    report: Callable[[str], None],
) -> Iterator[tuple[tuple[str, str], int, Result]]:
    metered = None
    if boundary == "connection" and kind == "site":
        metered = metered_course(lake, "site", from_us, until_us, step_us)
    where: Boundary = "boards" if metered else boundary
    step_us = metered.step_us if metered else step_us
    with places(lake, kind, from_us, until_us, step_us, where, report) as found:
        for place in found:
            # The site file is of one site: with several its meters are not theirs.
            course = metered if metered and len(found) == 1 else place.course()
            results = [_result(place, course, limit) for _, limit in limits]
            _name_jobs(place, course, results, report)
            for (number, _), result in zip(limits, results, strict=True):
                yield place.name, number, result


def _result(place: Place, course: LoadCourse, limit: Limit) -> Result:
    load = course.load
    coverage = float(load.known.mean()) if len(load.known) else 0.0
    measured = measure(load, limit)
    limit_mw: float | None = limit.value
    if limit.relative:
        power = load.energy_nj[load.known] / load.step_us
        limit_mw = limit.value * float(power.mean()) if len(power) else None
    modelled = [reason for reason in MODELLED if reason in course.reasons]
    verdict, reason = _verdict(measured, limit_mw, coverage, limit.min_coverage, modelled)
    return Result(
        limit,
        place.name,
        _known_by(course),
        measured.value_mw,
        limit_mw,
        verdict,
        reason,
        coverage,
        _moments(course, measured, limit),
        course.emulated,
    )


def _known_by(course: LoadCourse) -> str:
    if course.boundary == "boards":
        return "read"
    return "metered" if "metered_connection" in course.reasons else "modelled"


def _verdict(
    measured: Measured,
    limit_mw: float | None,
    coverage: float,
    min_coverage: float,
    modelled: Sequence[str],
) -> tuple[Verdict, str]:
    """Return the verdict and the reason why it is not a pass."""
    if measured.value_mw is None or limit_mw is None:
        return "unobservable", measured.hidden or "no_cells"
    if measured.value_mw > limit_mw:
        return "fail", modelled[0] if modelled else ""
    if measured.least:
        return "unobservable", "average_below_period"
    if modelled:
        return "unobservable", modelled[0]
    if coverage < min_coverage:
        return "unobservable", "low_coverage"
    return "pass", ""


def _moments(course: LoadCourse, measured: Measured, limit: Limit) -> list[Moment]:
    if limit.kind == "dynamic_range" and measured.value_mw is not None:
        high, low = measured.moments
        return [Moment(course.start_us + cell * course.step_us, power) for cell, power in
                zip((high, low), measured.values_mw, strict=True)]  # fmt: skip
    return [
        Moment(course.start_us + cell * course.step_us, value)
        for cell, value in zip(measured.moments, measured.values_mw, strict=True)
    ]


def _name_jobs(
    place: Place,
    course: LoadCourse,
    results: Sequence[Result],
    report: Callable[[str], None],
) -> None:
    """Add to each moment the jobs whose absence changes it most."""
    load = course.load
    for job in place.jobs:
        report(f"{place.name[1]}: {job}")
        part = place.part(job)
        if len(part.energy_nj) != len(load.energy_nj):
            continue
        for result in results:
            for moment in result.moments:
                cell = (moment.at_us - course.start_us) // course.step_us
                behind = _behind(job, load, part.energy_nj, cell, moment, result.limit)
                if behind is not None:
                    moment.jobs.append(behind)
    for result in results:
        for moment in result.moments:
            moment.jobs.sort(key=lambda one: (abs(one.without_mw), one.job))
            del moment.jobs[MOST_JOBS:]


def _behind(
    job: str, load: Load, part_nj: I64, cell: int, moment: Moment, limit: Limit
) -> Behind | None:
    """Return a job's part of a moment; None if it has none."""
    rest = Load(
        load.energy_nj - part_nj, load.known, load.step_us, load.period_us, load.limit_hz,
        load.paces, load.breaks,
    )  # fmt: skip
    if limit.kind == "ramp":
        lag = (limit.horizon_us or 0) // load.step_us
        own = float(part_nj[cell + lag] - part_nj[cell]) / load.step_us
        whole = float(load.energy_nj[cell + lag] - load.energy_nj[cell]) / load.step_us
        # A part that goes the same way as the load is behind it; its sign is the load's.
        return Behind(job, own, whole - own) if own * whole > 0 else None
    if limit.kind == "band_rms":
        cells = round(limit.window_us / load.step_us)
        without = band_rms_mw(rest, cell, cells, limit)
        return (
            Behind(job, moment.value_mw - without, without) if without < moment.value_mw else None
        )
    cells = averaged_cells(load, limit)
    own = float(part_nj[cell : cell + cells].mean()) / load.step_us
    return Behind(job, own, moment.value_mw - own) if own > 0 else None


def at_fault(results: Sequence[Result], allow_unobservable: bool) -> bool:
    """Return whether some limit is not kept, or cannot be shown to be and must be."""
    bad = {"fail"} if allow_unobservable else {"fail", "unobservable"}
    return any(result.verdict in bad for result in results)
