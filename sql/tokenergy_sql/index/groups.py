"""Cuts the segments of an hour into groups of nodes that can be booked apart.

In: the hour's files of segments. Out: groups of files that no device and no node shares.

Booking looks at one device at a time, so a group needs nothing of another. A device that was on
two nodes in the hour joins both. The groups follow from the files alone, in the order of their
names and cut by rows, whoever books them and however many do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import SEGMENT
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile, rows_of

GROUP_ROWS = 1 << 22
"""Segments of a group, at most, unless nodes that share a device have more: 1,160 boards of 1 s
segments, which take less than 2 GiB to book. An hour that is one group needs no parts: to write
and merge them takes 40 % longer."""

_NAMES = ("device_id", "node")
_THREADS = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Group:
    """Files of segments that are booked together.

    Attributes:
        files: their paths, sorted.
        devices: all devices in them, sorted.
    """

    files: tuple[Path, ...]
    devices: tuple[str, ...]


def groups_of(lake: Lake, hour_us: int) -> list[Group]:
    """Return the groups of an hour; none if its segments are few enough to be booked at once.

    Raises:
        DamagedError: a file of segments is damaged.
    """
    paths = lake.files("segment", [hour_us])
    with ThreadPoolExecutor(_THREADS) as pool:
        rows = list(pool.map(lambda path: _rows(lake, path), paths))
        if sum(rows) <= GROUP_ROWS:
            return []
        names = list(pool.map(lambda path: _names(lake, path), paths))
    return [
        Group(
            tuple(paths[place] for place in places),
            tuple(sorted({name for place in places for kind, name in names[place] if not kind})),
        )
        for places in _cut(_joined(names), rows)
    ]


def _rows(lake: Lake, path: Path) -> int:
    try:
        return rows_of(path)
    except BrokenFileError as error:
        lake.quarantine(path, SEGMENT, str(error))
        return 0


def _names(lake: Lake, path: Path) -> set[tuple[int, str]]:
    """Return the devices and nodes in a file, each with its place in `_NAMES`."""
    found: set[tuple[int, str]] = set()
    try:
        with RawFile(path, SEGMENT, _NAMES) as file:
            for group in file.groups(()):
                rows = file.read(group.number, _NAMES)
                for kind, name in enumerate(_NAMES):
                    texts = rows[name].combine_chunks().dictionary.to_pylist()
                    found.update((kind, text) for text in texts)
    except BrokenFileError as error:
        lake.quarantine(path, SEGMENT, str(error))
    return found


def _joined(names: Sequence[set[tuple[int, str]]]) -> list[list[int]]:
    """Return the places of files in sets that share no name; in order, of sets and in each."""
    above = list(range(len(names)))

    def top(place: int) -> int:
        while above[place] != place:
            above[place] = above[above[place]]
            place = above[place]
        return place

    first: dict[tuple[int, str], int] = {}
    for place, of_file in enumerate(names):
        for name in of_file:
            one, other = sorted((top(place), top(first.setdefault(name, place))))
            above[other] = one
    found: dict[int, list[int]] = {}
    for place in range(len(names)):
        found.setdefault(top(place), []).append(place)
    return list(found.values())


def _cut(sets: Sequence[list[int]], rows: Sequence[int]) -> Iterator[list[int]]:
    """Yield neighbouring sets together, as many as `GROUP_ROWS` allows."""
    group: list[int] = []
    count = 0
    for places in sets:
        more = sum(rows[place] for place in places)
        if group and count + more > GROUP_ROWS:
            yield sorted(group)
            group, count = [], 0
        group += places
        count += more
    if group:
        yield sorted(group)
