"""The files in which the story of a node began before some hours, and went on after them.

In: a lake, hours, nodes. Out: files of `clock` and `event`. A node may be silent for days; its last
note before them is looked for hour by hour, and only the folders of days are listed ahead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.folders import hours_after, hours_before

_LATER_US = 4_102_444_800_000_000
"""2100-01-01: later than any hour of a lake."""

Files = list[tuple[Path, frozenset[str]]]
"""Files, each with the columns that it has, as `Lake.valid_files` returns them."""


def edges(lake: Lake, table: str) -> list[int]:
    """Return the first and the last hour in which a table has files, microseconds UTC."""
    found = [
        next((hour for hour in hours if lake.files(table, [hour])), None)
        for hours in (hours_after(lake.root, table, 0), hours_before(lake.root, table, _LATER_US))
    ]
    return [hour for hour in found if hour is not None]


def clock_files(lake: Lake, hours: Sequence[int]) -> Files:
    """Return the files of `clock` that tell what the clocks did in some hours.

    They are those of the nodes that noted their clocks there, and of each the nearest ones before
    and after.

    Args:
        lake: the lake.
        hours: starts of the hours, microseconds UTC.
    """
    nodes = {hour: lake.nodes("clock", hour) for hour in hours}
    wanted = {(hour, node) for hour, of_hour in nodes.items() for node in of_hour}
    for hour, of_hour in nodes.items():
        wanted |= _nearest(lake, of_hour, hours_before(lake.root, "clock", hour))
        wanted |= _nearest(lake, of_hour, hours_after(lake.root, "clock", hour))
    return _files(lake, "clock", wanted)


def _nearest(lake: Lake, nodes: Collection[str], hours: Iterable[int]) -> set[tuple[int, str]]:
    """Return for each node the first hour in which it has a file of `clock`."""
    missing, found = set(nodes), set[tuple[int, str]]()
    for hour in hours if missing else ():
        here = missing.intersection(lake.nodes("clock", hour))
        found |= {(hour, node) for node in here}
        missing -= here
        if not missing:
            break
    return found


def event_files(lake: Lake, hours: Sequence[int], nodes: Iterable[str]) -> Files:
    """Return the files of `event` that tell which processes were on nodes' boards in some hours.

    A collector's start ends what an earlier run of it saw: the search ends there. What came after
    the hours tells when they left.

    Args:
        lake: the lake.
        hours: starts of the hours, microseconds UTC.
        nodes: the nodes.
    """
    wanted = set[tuple[int, str]]()
    for hour, node in product(hours, nodes):
        wanted.add((hour, node))
        wanted |= set(_until_start(lake, node, hours_before(lake.root, "event", hour)))
        wanted |= set(_until_start(lake, node, hours_after(lake.root, "event", hour)))
    return _files(lake, "event", wanted)


def _until_start(lake: Lake, node: str, hours: Iterable[int]) -> Iterator[tuple[int, str]]:
    for hour in hours:
        kinds = lake.read("event", [hour], node=node, columns=["kind"])["kind"].to_pylist()
        if kinds:
            yield hour, node
        if "start" in kinds:
            return


def _files(lake: Lake, table: str, wanted: Iterable[tuple[int, str]]) -> Files:
    return [one for hour, node in sorted(wanted) for one in lake.valid_files(table, [hour], node)]
