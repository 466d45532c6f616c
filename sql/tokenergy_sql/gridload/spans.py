"""Load profiles of a span, at a boundary, written to the lake.

In: a lake, a span, kinds of group. Out: rows of `load_span`, `load_span_spectrum` and
`load_span_swing`: one file each, named by span and boundary, in the folder of the hour in which the
span begins. A second run on the same span and boundary replaces them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, TABLES
from tokenergy_collectors.lake.expired import read_expired
from tokenergy_collectors.lake.paths import show_hour
from tokenergy_sql.gridload.boundary import around
from tokenergy_sql.gridload.connection import metered_course
from tokenergy_transforms import choice
from tokenergy_transforms.inventory import read_inventory
from tokenergy_transforms.loadprofile import profile, rows, span
from tokenergy_transforms.loadprofile.loadcourse import Boundary


@dataclass(frozen=True, slots=True)
class Span:
    """What was written: groups, cells of their courses, what computed the spectra."""

    from_us: int
    until_us: int
    boundary: Boundary
    groups: int
    cells: int
    backend: str


def hours_of(from_us: int, until_us: int) -> list[int]:
    """Return the hours that a span touches."""
    return [*range(from_us // HOUR_US * HOUR_US, until_us, HOUR_US)]


def require_readings(lake: Lake, from_us: int, until_us: int) -> None:
    """Return if a span can be studied.

    Raises:
        UserError: the span is empty, its readings have expired, or the lake has none in it.
    """
    if from_us >= until_us:
        raise UserError("--from: is not before --until")
    hours = hours_of(from_us, until_us)
    read_expired(lake.root).refuse(hours, ("power",))
    there = lake.hours("power")
    if not any(from_us < hour + HOUR_US and hour < until_us for hour in there):
        known = f"{show_hour(there[0])} to {show_hour(there[-1])}" if there else "no hour"
        raise UserError(f"lake {lake.root}: has no readings in this span; it has {known}")


def profile_span(
    lake: Lake,
    kinds: Sequence[str],
    from_us: int,
    until_us: int,
    step_us: int | None,
    boundary: Boundary,
    device: choice.Device,
    report: Callable[[str], None] = lambda _: None,
) -> Span:
    """Work out a span and write it.

    Args:
        lake: where to read and write.
        kinds: kinds of group.
        from_us: start of the span, microseconds UTC.
        until_us: its end.
        step_us: size of a cell; None: auto.
        boundary: what the load is of.
        device: what computes the spectra.
        report: takes what is worked on.

    Raises:
        UserError: see `require_readings`; or CUDA was asked for and cannot be used.
    """
    require_readings(lake, from_us, until_us)
    inventory = read_inventory(lake)
    boards = {str(name) for name in inventory.devices["device_id"].to_pylist()}
    cells = (until_us - from_us) // (step_us or profile.STEPS_US[2])
    backend, psd = profile.spectra(device, cells, boards)
    found = span.span_rows(
        lake,
        kinds,
        from_us,
        until_us,
        step_us,
        psd=psd,
        boundary=boundary,
        around=around(lake, boundary),
        inventory=inventory,
        report=report,
    )
    if boundary == "connection" and sum(one.name[0] == "site" for one in found) == 1:
        # The site file is of one site: with several its meters are not theirs.
        found = [_metered(lake, one, from_us, until_us, step_us) for one in found]
    _write(lake, [one.rows for one in found], from_us, until_us, boundary)
    cells = sum(one.cells for one in found)
    return Span(from_us, until_us, boundary, len(found), cells, backend)


def _metered(
    lake: Lake, one: span.Spanned, from_us: int, until_us: int, step_us: int | None
) -> span.Spanned:
    """Return a site as its own meters have it, if it has some; else as it was modelled."""
    kind, name = one.name
    course = metered_course(lake, name, from_us, until_us, step_us) if kind == "site" else None
    if course is None:
        return one
    return span.Spanned(one.name, len(course.known), span.course_rows(course, from_us, until_us))


def _write(
    lake: Lake, found: Sequence[rows.GroupRows], from_us: int, until_us: int, boundary: Boundary
) -> None:
    import pyarrow as pa

    of_table = {
        "load_span": [one.profile for one in found],
        "load_span_spectrum": [band for one in found for band in one.bands],
        "load_span_swing": [swing for one in found for swing in one.swings],
    }
    hour_us = from_us // HOUR_US * HOUR_US
    for table, written in of_table.items():
        name = f"{table}-{from_us}-{until_us}-{boundary}"
        if written:
            rows_of = pa.Table.from_pylist(written, schema=TABLES[table].schema())
            lake.replace(table, rows_of, hour_us, name)
        else:
            lake.remove(table, hour_us, name)
