"""The load of a rack or site, and the part of each job in it, cell by cell.

In: a lake, a span, a kind of place. Out: for each place its course and those of the parts: the
boards of each job there, over the same cells. All parts are differences of the same running
integrals, so the place without a job is the exact difference in every cell. The courses lie in
files and are read one by one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.gridload.boundary import around
from tokenergy_transforms.loadprofile import coursehours, stream
from tokenergy_transforms.loadprofile.coursehours import Name
from tokenergy_transforms.loadprofile.groups import Group, Member
from tokenergy_transforms.loadprofile.joining import Joiner, join
from tokenergy_transforms.loadprofile.loadcourse import Boundary, LoadCourse

PLACES = ("rack", "site")
_PART = "part"
_BETWEEN = "\x1f"


@dataclass(frozen=True, slots=True)
class Place:
    """A rack or site with the jobs that held boards there.

    Args:
        name: (kind, group_id).
        jobs: their names, sorted.
    """

    name: Name
    jobs: tuple[str, ...]
    _joiners: dict[Name, Joiner]

    def course(self) -> LoadCourse:
        """Return the load of the place."""
        return self._joiners[self.name].course(must_exist=False)

    def part(self, job: str) -> LoadCourse:
        """Return the load of the boards that a job held there; 0 where it held none."""
        return self._joiners[_PART, _joined(self.name[1], job)].course(must_exist=False)


@contextmanager
def places(
    lake: Lake,
    kind: str,
    from_us: int,
    until_us: int,
    step_us: int | None = None,
    boundary: Boundary = "boards",
    report: stream.Report = lambda _: None,
) -> Iterator[list[Place]]:
    """Read a span once; yield its places of one kind, by name.

    Args:
        lake: where to read.
        kind: rack or site.
        from_us: start of the span, microseconds UTC.
        until_us: its end.
        step_us: size of a cell; None: see `coursehours.hours`.
        boundary: boards or it; the connection is modelled here.
        report: takes what is worked on.

    Raises:
        UserError: there is no such kind; see also `coursehours.hours`.
    """
    if kind not in PLACES:
        raise UserError(f"--by {kind!r}: expected {' or '.join(PLACES)}")
    hours = coursehours.hours(
        lake, ["job", kind], from_us, until_us, step_us, choose=_with_parts, report=report
    )
    with tempfile.TemporaryDirectory(prefix="tokenergy-") as folder:
        turned = around(lake, boundary)(hours)
        joiners = join(turned, from_us, until_us, boundary, Path(folder))
        yield [
            Place(name, tuple(_jobs_of(name[1], joiners)), joiners)
            for name in sorted(joiners)
            if name[0] == kind
        ]


def _with_parts(found: list[Group]) -> list[Group]:
    """Return the places, and for each the parts of jobs in it."""
    made = [group for group in found if group.kind in PLACES]
    where = {member.key: place.group_id for place in made for member in place.members}
    for job in (group for group in found if group.kind == "job"):
        by_place: dict[str, list[Member]] = {}
        for member in job.metered:
            if member.key in where:
                by_place.setdefault(where[member.key], []).append(member)
        made += [
            Group(_PART, _joined(place, job.group_id), members)
            for place, members in by_place.items()
        ]
    return made


def _joined(place: str, job: str) -> str:
    return f"{place}{_BETWEEN}{job}"


def _jobs_of(place: str, joiners: dict[Name, Joiner]) -> list[str]:
    start = f"{place}{_BETWEEN}"
    return sorted(
        name.removeprefix(start)
        for kind, name in joiners
        if kind == _PART and name.startswith(start)
    )
