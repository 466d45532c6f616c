"""The load of one group over any span: one row of cells, continuous across the edges of hours.

In: the lake, a group, a span. Out: its energy in every cell in whole nanojoules, and which cells
are known. The cells of an hour have the same bits as those of the hour's profile: power is linear
between readings, also between the last one of an hour and the first of the next, and a cell is the
difference of the running integral at its edges. So cells of neighbouring hours join, and their sum
over any span is exact.

A cell that is not known holds the energy of what was known of it; outside of a job's time that
is 0.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_transforms.inventory import Inventory
from tokenergy_transforms.loadprofile import coursehours, stream
from tokenergy_transforms.loadprofile.coursehours import CourseHour
from tokenergy_transforms.loadprofile.groups import KINDS
from tokenergy_transforms.loadprofile.joining import Edge, Joiner
from tokenergy_transforms.loadprofile.loadcourse import Boundary, LoadCourse

__all__ = ["Boundary", "LoadCourse", "course_chunks", "load_course"]


def load_course(
    lake: Lake,
    kind: str,
    group_id: str,
    from_us: int,
    until_us: int,
    step_us: int | None = None,
    *,
    inventory: Inventory | None = None,
    report: stream.Report = lambda _: None,
) -> LoadCourse:
    """Return the load of a group over a span: the cells that are wholly inside it.

    Args:
        lake: where to read.
        kind: job, node, rack or site.
        group_id: its name; a rack's is SITE/HALL/POD/RACK as far as they are known.
        from_us: start of the span, microseconds UTC.
        until_us: its end.
        step_us: size of a cell, which divides an hour; None (auto) takes at most half the effective
            period of the group in the first hour in which it was read.
        inventory: the lake's, if it has been read; read here if None.
        report: takes the name of each node before it is worked on.

    Raises:
        UserError: there is no such kind; the lake knows no such group in the span; the span is
            empty or shorter than a cell; the step does not divide an hour.
    """
    joined = Joiner(kind, group_id, from_us, until_us)
    for hour in _hours(lake, kind, group_id, from_us, until_us, step_us, inventory, report):
        joined.add(hour)
    return joined.course()


def course_chunks(
    lake: Lake,
    kind: str,
    group_id: str,
    from_us: int,
    until_us: int,
    step_us: int | None = None,
    *,
    inventory: Inventory | None = None,
    report: stream.Report = lambda _: None,
) -> Iterator[LoadCourse]:
    """Yield the same load hour by hour, in memory for one hour.

    Laid end to end the chunks have the cells of `load_course`. The other columns are those of their
    hour. In an hour without the group, all cells are unknown. A break at the start of a chunk is
    its cell 0. A group that the lake does not know at all has only such chunks.

    Raises:
        UserError: as `load_course`, but for the group.
    """
    edge: Edge | None = None
    for hour in _hours(lake, kind, group_id, from_us, until_us, step_us, inventory, report):
        one = Joiner(kind, group_id, from_us, until_us, edge)
        one.add(hour)
        edge = one.edge
        yield one.course(must_exist=False)


def _hours(
    lake: Lake,
    kind: str,
    group_id: str,
    from_us: int,
    until_us: int,
    step_us: int | None,
    inventory: Inventory | None,
    report: stream.Report,
) -> Iterator[CourseHour]:
    if kind not in KINDS:
        raise UserError(f"kind {kind!r}: expected {', '.join(KINDS)}")
    return coursehours.hours(
        lake,
        [kind],
        from_us,
        until_us,
        step_us,
        names=[(kind, group_id)],
        inventory=inventory,
        report=report,
    )
