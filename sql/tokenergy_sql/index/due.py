"""What is due in each hour of a lake: stale, missed, torn, waiting or lost.

In: a lake, the site's constants, hours. Out: for each hour and state what it is about. Power
readings are not read: names of files, the notes in segments and Parquet footers are enough. Token
readings are read once, into the cache, as by the index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import there
from tokenergy_collectors.lake.contract import POWER
from tokenergy_collectors.lake.damage import damaged
from tokenergy_collectors.lake.paths import hour_of_path, table_of
from tokenergy_collectors.lake.published import BOOKS
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile
from tokenergy_sql.index.causes import GONE, NEW, missing_tables
from tokenergy_sql.index.healing import unmade
from tokenergy_sql.index.mending import DERIVED, lost_nodes
from tokenergy_sql.index.pipeline import stale
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import worklist
from tokenergy_transforms.inventory import Inventory, read_inventory
from tokenergy_transforms.provenance import Compared, compare

State = Literal["stale", "missed", "torn", "waiting", "lost"]

STATES: dict[State, str] = {
    "stale": "its inputs have changed",
    "missed": "it has readings that no segments or no books are made from",
    "torn": "derived files are missing or damaged, or segments are newer than the books",
    "waiting": "readings came after earlier ones were removed: they cannot be booked with those",
    "lost": "segments were damaged, and their readings are gone: the books stay as they are",
}
"""What each state means, in the order in which they are listed."""

HEALED: frozenset[State] = frozenset(("stale", "missed", "torn"))
"""The states that `healing.heal` ends."""

_TOGETHER_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Due:
    """What is due in an hour.

    Attributes:
        hour_us: start of the hour, microseconds UTC.
        state: see `STATES`.
        what: kinds of input, tables, or nodes with what is missing; sorted.
    """

    hour_us: int
    state: State
    what: tuple[str, ...]


def due(lake: Lake, site: Site, hours: Sequence[int]) -> list[Due]:
    """Return what is due in some hours, in their order.

    Args:
        lake: the lake.
        site: the site file.
        hours: starts of the hours, microseconds UTC; see `healing.hours_between`.
    """
    found: dict[tuple[int, State], set[str]] = {}
    broken = {path for path, _ in damaged(lake, DERIVED, hours, rows=False)}
    sources = (
        _of_files(lake, hours, broken),
        _of_segments(lake, hours, broken),
        _of_books(lake, site, hours, broken),
    )
    for hour_us, state, what in (one for source in sources for one in source):
        found.setdefault((hour_us, state), set()).add(what)
    order = list(STATES)
    return [
        Due(hour_us, state, tuple(sorted(what)))
        for (hour_us, state), what in sorted(
            found.items(), key=lambda item: (item[0][0], order.index(item[0][1]))
        )
    ]


_One = tuple[int, State, str]


def _of_files(lake: Lake, hours: Sequence[int], broken: Iterable[Path]) -> Iterator[_One]:
    """Yield derived files that are damaged, or were set aside and have not been made again."""
    for path in broken:
        yield hour_of_path(path), "torn", f"{_name(path)} is damaged"
    lost = {hour: lost_nodes(lake, hour) for hour in hours}
    for path in map(Path, unmade(lake, DERIVED)):
        hour_us = hour_of_path(path)
        if hour_us in lost and not (path.parts[0] == "segment" and lost[hour_us]):
            yield hour_us, "torn", f"{_name(path)} is missing"
    for hour_us, nodes in lost.items():
        for node in nodes:
            yield hour_us, "lost", f"segments of {node}"


def _name(path: Path) -> str:
    """Return the table of a derived file, and the node if it is of one."""
    table, stem = table_of(path), path.name.split(".parquet")[0]
    return table if table in (*BOOKS, stem) else f"{table} {stem}"


def _of_segments(lake: Lake, hours: Sequence[int], broken: Set[Path]) -> Iterator[_One]:
    """Yield nodes whose segments are missing, or older than their readings and job edges."""
    inventory = read_inventory(lake)
    for one in compare(lake, inventory, worklist(lake, [*hours], inventory)):
        path = lake.derived("segment", one.hour_us, one.node)
        if one.waiting:
            yield one.hour_us, "waiting", f"readings of {one.node}"
        elif one.before is not None and one.outdated:
            facts = "job edges" if one.before.facts != one.now.facts else "readings"
            yield one.hour_us, "stale", f"{facts} of {one.node}"
        elif one.before is None and there(path) and path not in broken:
            yield one.hour_us, "stale", f"segments of {one.node} are of an earlier version"
        elif one.before is None and not there(path) and not _is_moment(lake, inventory, one):
            yield one.hour_us, "missed", f"segments of {one.node}"


def _is_moment(lake: Lake, inventory: Inventory, one: Compared) -> bool:
    """Return whether a node has at most one reading of each device in an hour.

    Such readings have no time of their own, so no segments are made from them: those on the edge
    of an hour, where a collector stopped.
    """
    rows, stamps = 0, set[int]()
    for path in lake.files("power", [one.hour_us], one.node):
        try:
            with RawFile(path, POWER) as file:
                for group in file.groups(["ts_us"]):
                    rows += group.rows
                    stamps |= {group.first["ts_us"], group.last["ts_us"]}
        except (BrokenFileError, FileNotFoundError):
            return False
    few = rows <= max(len(inventory.devices_of(one.node)), 1)
    return few and max(stamps, default=0) - min(stamps, default=0) < _TOGETHER_US


def _of_books(
    lake: Lake, site: Site, hours: Sequence[int], broken: Iterable[Path]
) -> Iterator[_One]:
    """Yield what makes the books of hours stale, and derived tables that are missing."""
    unreadable = {hour_of_path(path) for path in broken if table_of(path) == "segment"}
    for hour_us, causes in stale(lake, site, hours).items():
        for cause in causes:
            if cause == NEW:
                yield hour_us, "missed", "books"
            elif cause == "segments" and hour_us not in unreadable:
                yield hour_us, "torn", "segments are newer than the books"
            elif cause not in (GONE, "segments"):
                yield hour_us, "stale", cause
    for hour_us, tables in missing_tables(lake, hours).items():
        for table in tables:
            yield hour_us, "torn", f"{table} is missing"
