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

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_transforms.batch import I64
from tokenergy_transforms.inventory import Inventory
from tokenergy_transforms.loadprofile import coursehours, rows, stream
from tokenergy_transforms.loadprofile.coursehours import Cells, CourseHour
from tokenergy_transforms.loadprofile.figures import Bools
from tokenergy_transforms.loadprofile.groups import KINDS, Group, Key

Boundary = Literal["boards", "it", "connection"]
"""What the load is of: the boards; boards and their hosts; the grid connection."""


@dataclass(frozen=True, slots=True)
class LoadCourse:
    """The load of one group over a span, or over one chunk of it.

    Attributes:
        kind: job, node, rack or site.
        group_id: its name.
        start_us: start of the first cell, microseconds UTC; a multiple of the step.
        step_us: size of a cell.
        energy_nj: int64[n] energy of each cell; the load in it is energy / step, in mW.
        known: bool[n] false where the power of some member is not known throughout, where the group
            was not held, and where nothing was read.
        period_us: effective period of the readings, that of the slowest device; None if nothing
            was read.
        limit_hz: the highest frequency that they resolve; None if nothing was read.
        devices: devices that the group had.
        metered: those of them with readings.
        boundary: what the load is of.
        emulated: whether a device is emulated.
        reasons: what is doubtful, sorted: `not_metered`, `unmetered_devices`, `shared_estimate`,
            `no_cells`, `devices_changed`, and those of the boundary.
        breaks: cells at which other devices began to be read: the load before and after is not
            that of the same devices, so a step there is none of the load.
        covered_us: device time with defined power, in the hours that the span touches.
        held_us: device time that was held in them.
        as_of_us: latest reading; None if there is none.
        paces: devices by (hold, spacing) of their readings in microseconds, over all hours.
    """

    kind: str
    group_id: str
    start_us: int
    step_us: int
    energy_nj: I64
    known: Bools
    period_us: int | None
    limit_hz: float | None
    devices: int
    metered: int
    boundary: Boundary
    emulated: bool
    reasons: tuple[str, ...]
    breaks: tuple[int, ...] = ()
    covered_us: int = 0
    held_us: int = 0
    as_of_us: int | None = None
    paces: Counter[tuple[int, int]] = field(default_factory=Counter)

    @property
    def end_us(self) -> int:
        """End of the last cell."""
        return self.start_us + len(self.energy_nj) * self.step_us

    @property
    def power_mw(self) -> npt.NDArray[np.float64]:
        """float64[n] the load of each cell; NaN where it is not known."""
        return np.where(self.known, self.energy_nj / self.step_us, np.nan)


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
    edge: _Edge | None = None
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


@dataclass(frozen=True, slots=True)
class _Edge:
    """Who was a member at the end of an hour, and who of them was read in it."""

    held: frozenset[Key]
    read: frozenset[Key]


class Joiner:
    """Joins the hours of one group.

    Args:
        kind: of the group.
        group_id: its name.
        from_us: start of the span.
        until_us: its end.
        edge: members at the end of the hour before, if it is known.
    """

    def __init__(
        self, kind: str, group_id: str, from_us: int, until_us: int, edge: _Edge | None = None
    ) -> None:
        self.edge = edge
        self._name = (kind, group_id)
        self._span = (from_us, until_us)
        self._parts: list[tuple[I64, Bools]] = []
        self._groups: list[Group] = []
        self._paces: Counter[tuple[int, int]] = Counter()
        self._breaks: list[int] = []
        self._step_us = self._start_us = self._count = self._covered_us = 0

    def add(self, hour: CourseHour) -> None:
        """Add the next hour."""
        step_us = hour.step_us
        first = max(-(-(self._span[0] - hour.hour_us) // step_us), 0)
        last = min((self._span[1] - hour.hour_us) // step_us, HOUR_US // step_us)
        count = max(last - first, 0)
        if not self._parts:
            self._step_us, self._start_us = step_us, hour.hour_us + first * step_us
        cells = hour.groups.get(self._name)
        if cells is None:
            self._parts.append((np.zeros(count, np.int64), np.zeros(count, np.bool_)))
            self.edge = None
        else:
            energy_nj, known = cells.grid.energy_nj[first:last], cells.known[first:last]
            self._parts.append((energy_nj, known))
            self._note(hour.hour_us, cells)
        self._count += count

    def _note(self, hour_us: int, cells: Cells) -> None:
        """Keep what the hour says of the group; a break if others are read than before."""
        group, end_us = cells.group, hour_us + HOUR_US
        read = frozenset(member.key for member in group.metered)
        if self.edge is not None:
            begun = frozenset(m.key for m in group.members if m.start_us == hour_us)
            # A job's devices are its allocations; a place has those that were read.
            both = self.edge.held & begun if group.kind == "job" else self.edge.held | begun
            if (self.edge.read ^ read) & both:
                self._breaks.append(self._count)
        held = frozenset(member.key for member in group.members if member.end_us == end_us)
        self.edge = _Edge(held, read)
        self._groups.append(group)
        self._covered_us += cells.grid.covered_us
        self._paces.update((m.pace.hold_us, m.pace.spacing_us) for m in group.metered if m.pace)

    def course(self, must_exist: bool = True) -> LoadCourse:
        """Return what was joined.

        Raises:
            UserError: no cell is inside the span; or no hour had the group, and it must exist.
        """
        kind, group_id = self._name
        if must_exist and not self._groups:
            raise UserError(f"{kind} {group_id!r}: the lake knows nothing of it in this span")
        if must_exist and not self._count:
            raise UserError(f"{kind} {group_id!r}: the span is shorter than a cell")
        energy_nj = np.concatenate([energy for energy, _ in self._parts])
        known = np.concatenate([part for _, part in self._parts])
        members = [member for group in self._groups for member in group.members]
        metered = [group for group in self._groups if group.metered]
        return LoadCourse(
            kind,
            group_id,
            self._start_us,
            self._step_us,
            energy_nj,
            known,
            max((rows.period_us(group) for group in metered), default=None),
            min((rows.limit_hz(group, self._step_us) for group in metered), default=None),
            len({member.key for member in members}),
            len({member.key for group in metered for member in group.metered}),
            "boards",
            any(member.emulated for member in members),
            self._reasons(bool(metered), bool(known.any())),
            tuple(self._breaks),
            self._covered_us,
            sum(member.held_us for member in members),
            max((m.pace.last_us for m in members if m.pace), default=None),
            self._paces,
        )

    def _reasons(self, metered: bool, known: bool) -> tuple[str, ...]:
        found = {"devices_changed"} if self._breaks else set()
        for group in self._groups:
            found |= rows.doubts(group, 1)
        if metered and "not_metered" in found:
            found = found - {"not_metered"} | {"unmetered_devices"}
        if not metered:
            found.add("not_metered")
        elif not known:
            found.add("no_cells")
        return tuple(sorted(found))
