"""Hours of one group laid end to end.

In: the cells of a group, hour by hour. Out: one row of cells with what is known of them. The cells
are kept in memory, or in a file where many groups are joined at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_transforms.batch import I64
from tokenergy_transforms.loadprofile import rows
from tokenergy_transforms.loadprofile.coursehours import Cells, CourseHour, Name
from tokenergy_transforms.loadprofile.figures import Bools
from tokenergy_transforms.loadprofile.groups import Group, Key
from tokenergy_transforms.loadprofile.loadcourse import Boundary, LoadCourse


class Parts(Protocol):
    """Keeps the cells of hours until they are joined."""

    def append(self, energy_nj: I64, known: Bools) -> None:
        """Keep the next cells."""

    def joined(self) -> tuple[I64, Bools]:
        """Return all cells."""


class InMemory:
    """Cells in memory."""

    def __init__(self) -> None:
        self._parts: list[tuple[I64, Bools]] = []

    def append(self, energy_nj: I64, known: Bools) -> None:
        """Keep the next cells."""
        self._parts.append((energy_nj, known))

    def joined(self) -> tuple[I64, Bools]:
        """Return all cells."""
        energy_nj = np.concatenate([energy for energy, _ in self._parts])
        return energy_nj, np.concatenate([known for _, known in self._parts])


class OnDisk:
    """Cells in two files: 9 bytes a cell, none of them in memory until they are joined.

    Args:
        path: where; two suffixes are added.
    """

    def __init__(self, path: Path) -> None:
        self._energy, self._known = path.with_suffix(".energy"), path.with_suffix(".known")

    def append(self, energy_nj: I64, known: Bools) -> None:
        """Keep the next cells."""
        for path, cells in ((self._energy, energy_nj), (self._known, known)):
            with path.open("ab") as file:
                file.write(np.ascontiguousarray(cells).data)

    def joined(self) -> tuple[I64, Bools]:
        """Return all cells."""
        return np.fromfile(self._energy, np.int64), np.fromfile(self._known, np.bool_)


@dataclass(frozen=True, slots=True)
class Edge:
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
        parts: keeps the cells.
        boundary: what the load is of.
    """

    def __init__(
        self,
        kind: str,
        group_id: str,
        from_us: int,
        until_us: int,
        edge: Edge | None = None,
        parts: Parts | None = None,
        boundary: Boundary = "boards",
    ) -> None:
        self.edge = edge
        self._name = (kind, group_id)
        self._span = (from_us, until_us)
        self._parts = parts or InMemory()
        self._boundary = boundary
        self._doubts: set[str] = set()
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
        if not self._step_us:
            self._step_us, self._start_us = step_us, hour.hour_us + first * step_us
        cells = hour.groups.get(self._name)
        if cells is None:
            self._parts.append(np.zeros(count, np.int64), np.zeros(count, np.bool_))
            self.edge = None
        else:
            energy_nj, known = cells.grid.energy_nj[first:last], cells.known[first:last]
            self._parts.append(energy_nj, known)
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
        self.edge = Edge(held, read)
        self._groups.append(group)
        self._doubts |= cells.reasons
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
        energy_nj, known = self._parts.joined()
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
            self._boundary,
            any(member.emulated for member in members),
            self._reasons(bool(metered), bool(known.any())),
            tuple(self._breaks),
            self._covered_us,
            sum(member.held_us for member in members),
            max((m.pace.last_us for m in members if m.pace), default=None),
            self._paces,
        )

    def _reasons(self, metered: bool, known: bool) -> tuple[str, ...]:
        found = {"devices_changed", *self._doubts} if self._breaks else {*self._doubts}
        for group in self._groups:
            found |= rows.doubts(group, 1)
        if metered and "not_metered" in found:
            found = found - {"not_metered"} | {"unmetered_devices"}
        if not metered:
            found.add("not_metered")
        elif not known:
            found.add("no_cells")
        return tuple(sorted(found))


def join(
    hours: Iterable[CourseHour], from_us: int, until_us: int, boundary: Boundary, folder: Path
) -> dict[Name, Joiner]:
    """Join the hours of all their groups; the cells lie in files of a folder.

    Args:
        hours: ascending.
        from_us: start of the span, microseconds UTC.
        until_us: its end.
        boundary: what the loads are of.
        folder: where the cells are kept; it must outlive what is returned.
    """
    joiners: dict[Name, Joiner] = {}
    earlier: list[CourseHour] = []
    for hour in hours:
        for name in hour.groups.keys() - joiners.keys():
            parts = OnDisk(folder / str(len(joiners)))
            joiners[name] = Joiner(*name, from_us, until_us, None, parts, boundary)
            for before in earlier:
                joiners[name].add(before)
        for one in joiners.values():
            one.add(hour)
        # A group that comes later was not in these hours: only their cells are counted.
        earlier.append(CourseHour(hour.hour_us, hour.step_us, {}))
    return joiners
