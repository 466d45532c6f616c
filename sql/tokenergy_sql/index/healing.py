"""Heals a span of hours: what came late, was missed, changed or was damaged is derived again.

In: a lake, the site's constants, a span of hours. Out: their segments and books as they would be
had nothing been late, and what was done. A second call does nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.expired import read_expired
from tokenergy_collectors.lake.paths import hour_of_path, show_hour
from tokenergy_collectors.lake.quarantine import quarantined
from tokenergy_sql.catalog.file import catch_up
from tokenergy_sql.index import newer
from tokenergy_sql.index.mending import DERIVED, INDEXED, lost_line, lost_nodes, set_aside_damaged
from tokenergy_sql.index.pipeline import Indexed, index, stale
from tokenergy_sql.index.segments import DEFAULT_WINDOW_US, aggregate_outdated
from tokenergy_sql.index.site import Site

if TYPE_CHECKING:
    from tokenergy_transforms.choice import Device

_PROFILES = ("load_profile", "load_spectrum", "load_swing")
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Healed:
    """What was healed.

    Attributes:
        hours: how many hours were looked at.
        aggregated: (hour, node) pairs whose segments were made again.
        causes: for each derived hour, the kinds of input that had changed, as `pipeline.Indexed`.
        profiled: hours whose load profiles were made again.
        set_aside: damaged derived files that are in quarantine now; names relative to the lake.
        waiting: (hour, node) pairs with readings that came after earlier ones were removed. They
            are not booked.
        lost: hours with the nodes whose damaged segments cannot be made again: the readings are
            gone.
        revision: the number of the books' revision, if they changed.
        remarks: lines on constants of the site that do not hold for all hours.
    """

    hours: int
    aggregated: tuple[tuple[int, str], ...]
    causes: dict[int, list[str]]
    profiled: tuple[int, ...]
    set_aside: tuple[str, ...]
    waiting: tuple[tuple[int, str], ...]
    lost: dict[int, list[str]]
    revision: int | None
    remarks: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.aggregated or self.causes or self.profiled or self.set_aside)

    def lines(self) -> list[str]:
        """Return what was done as text, at least one line."""
        lines = [f"set aside, damaged: {_some(self.set_aside)}"] if self.set_aside else []
        if self.aggregated:
            pairs = (f"{node} {show_hour(hour_us)}" for hour_us, node in self.aggregated)
            lines.append(f"aggregated: {_some(pairs)}")
        if self.causes:
            counts = Counter(cause for causes in self.causes.values() for cause in causes)
            why = ", ".join(f"{cause} {count}" for cause, count in sorted(counts.items()))
            books = f"revision {self.revision}" if self.revision else "the books are as before"
            lines.append(f"derived: {_some(map(show_hour, self.causes))} ({why}); {books}")
        if self.profiled:
            lines.append(f"load profiles: {_some(map(show_hour, self.profiled))}")
        if not lines:
            lines.append(f"{self.hours} {'hour' if self.hours == 1 else 'hours'}: nothing to do")
        lines += [lost_line(hour_us, nodes) for hour_us, nodes in self.lost.items()]
        if self.waiting:
            lines.append(newer.waiting_line(self.waiting))
        return [*lines, *self.remarks]


def heal(
    lake: Lake,
    site: Site,
    since_us: int,
    until_us: int,
    window_us: int = DEFAULT_WINDOW_US,
    device: Device = "cpu",
    progress: Callable[[str], None] = lambda _: None,
    *,
    rows: bool = False,
    before: Callable[[Sequence[int]], object] = lambda _: None,
) -> Healed:
    """Aggregate and derive again what is missing, outdated or damaged in a span of hours.

    Args:
        lake: the lake.
        site: the site file.
        since_us, until_us: the hours that start in [since_us, until_us), microseconds UTC.
        window_us: window of nodes and hours without segments; others keep theirs.
        device: what integrates, see `choice.Integrator`.
        progress: called with the name of each step.
        rows: look for damage in all rows of the derived files too, not only in their footers.
        before: called with the hours whose books are to be derived, before they are. What it does
            is done again if the run is killed before the books are published.

    Raises:
        UserError: CUDA was asked for and cannot be used, or a file cannot be reached or written.
    """
    hours = hours_between(lake, since_us, until_us)
    return heal_hours(lake, site, hours, window_us, device, progress, rows=rows, before=before)


def heal_hours(
    lake: Lake,
    site: Site,
    hours: Sequence[int],
    window_us: int = DEFAULT_WINDOW_US,
    device: Device = "cpu",
    progress: Callable[[str], None] = lambda _: None,
    *,
    rows: bool = False,
    before: Callable[[Sequence[int]], object] = lambda _: None,
) -> Healed:
    """Heal as `heal` does, but chosen hours (starts, microseconds UTC)."""
    moved = set_aside_damaged(lake, hours, DERIVED, rows=rows)
    found = aggregate_outdated(lake, [*hours], window_us, device, progress)
    done = _index(lake, site, hours, progress, before)
    names = {path.relative_to(lake.root).as_posix() for path in moved} | {*done.set_aside}
    profiled = _profile(lake, hours, device, progress)
    return Healed(
        hours=len(hours),
        aggregated=tuple((one.hour_us, one.node) for one in found.done if one.segments),
        causes=done.causes,
        profiled=profiled,
        set_aside=tuple(sorted(names)),
        waiting=tuple(found.waiting),
        lost={hour: lost for hour in hours if (lost := lost_nodes(lake, hour))},
        revision=done.revision,
        remarks=tuple(done.remarks),
    )


def hours_between(lake: Lake, since_us: int, until_us: int) -> list[int]:
    """Return the hours of a span of which a lake has anything that books are made of, or books.

    Hours that have expired are left out: they cannot be derived again.
    """
    tables = ("power", "tokens", *INDEXED)
    found = {hour for table in tables for hour in lake.hours(table) if since_us <= hour < until_us}
    aside = (Path(path) for path in unmade(lake, DERIVED))
    found |= {hour for hour in map(hour_of_path, aside) if since_us <= hour < until_us}
    expired = read_expired(lake.root)
    return sorted(hour for hour in found if not expired.is_frozen(hour))


def unmade(lake: Lake, tables: Iterable[str]) -> list[str]:
    """Return the derived files of some tables that were set aside and are not there again."""
    wanted = {*tables}
    return [row["file"] for row in quarantined(lake.root) if row["table"] in wanted]


def _index(
    lake: Lake,
    site: Site,
    hours: Sequence[int],
    progress: Callable[[str], None],
    before: Callable[[Sequence[int]], object],
) -> Indexed:
    """Index the stale hours among some; do nothing if there are none."""
    due = {*stale(lake, site, hours)} if hours else set[int]()
    due |= {hour for path in unmade(lake, ("job_index",)) if (hour := hour_of_path(Path(path)))}
    due &= {*hours}
    if not due:
        catch_up(lake)
        return Indexed(0, 0, {}, None, [])
    before(sorted(due))
    return index(lake, site, due, progress)


def _profile(
    lake: Lake, hours: Sequence[int], device: Device, progress: Callable[[str], None]
) -> tuple[int, ...]:
    """Make the load profiles again that were set aside; return their hours.

    Of hours whose readings are gone they cannot be made.
    """
    from tokenergy_transforms.loadprofile.groups import KINDS
    from tokenergy_transforms.loadprofile.profile import profile_hour

    aside = {hour_of_path(Path(path)) for path in unmade(lake, _PROFILES)}
    due = [hour for hour in hours if hour in aside and lake.files("power", [hour])]
    for hour in due:
        progress(f"load profile {show_hour(hour)}")
        profile_hour(lake, hour, KINDS, device=device)
    return tuple(due)


def _some(names: Iterable[str]) -> str:
    found = list(names)
    more = len(found) - _MOST_NAMED
    return ", ".join(found[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
