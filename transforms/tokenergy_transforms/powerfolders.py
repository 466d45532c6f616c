"""The power files of a lake, by hour and node.

In: the hour folders of `power`. Out: their files, and the names that their readings came in, each
folder listed once for all its nodes: an hour of a large fleet has thousands of files.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import node_of, parse_raw_name

_TOGETHER_US = 10_000_000


class PowerFolders:
    """The power files of a lake, by hour and node. Each folder is listed once, for all its nodes.

    May be asked by several threads.

    Args:
        lake: the lake.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._hours: dict[int, dict[str, list[str]]] = {}
        self._files: dict[int, dict[str, list[Path]]] = {}
        self._lock = threading.Lock()

    def nodes(self, hour_us: int) -> list[str]:
        """Return the nodes with power files in an hour."""
        return sorted(self._of_hour(hour_us))

    def files(self, node: str, hour_us: int) -> list[Path]:
        """Return the files that hold the readings of a node in an hour, sorted by path.

        They are at least those whose names `around` returns, whoever asks first: of a file that
        comes meanwhile the readings are read, and it is not named, so it makes the hour outdated.
        """
        self._of_hour(hour_us)
        with self._lock:
            if hour_us not in self._files:
                self._files[hour_us] = _by_node(self._lake.files("power", [hour_us]))
            return self._files[hour_us].get(node, [])

    def forget_before(self, hour_us: int) -> None:
        """Forget the files of earlier hours, but not their names."""
        with self._lock:
            self._files = {hour: files for hour, files in self._files.items() if hour >= hour_us}

    def around(self, node: str, hour_us: int, until_us: int = 0) -> list[str]:
        """Return the names of a node's files in an hour, the one before, and the first ones after.

        Of a compacted file they are the names of the files that its readings came in.

        An hour's segments reach to the nearest reading of each device beyond each edge, not
        further. A name tells when a file begins, not when it ends: any file of the hour before may
        hold the last reading of some device. Files with the first readings of the next hour begin
        together, also if each is of one device. A device that was silent over the edge may have its
        first reading in a later one: those that begin by `until_us` count too.
        """
        before = self._of_hour(hour_us - HOUR_US).get(node, [])
        after = self._of_hour(hour_us + HOUR_US).get(node, [])
        begins_us = min((us for us in map(first_us, after) if us), default=0)
        until_us = max(until_us, begins_us + _TOGETHER_US)
        first = [name for name in after if first_us(name) <= until_us]
        return [*before, *self._of_hour(hour_us).get(node, []), *first]

    def all_around(self, node: str, hour_us: int) -> set[str]:
        """Return all files of a node in an hour and the two beside it."""
        hours = (hour_us - HOUR_US, hour_us, hour_us + HOUR_US)
        return {name for hour in hours for name in self._of_hour(hour).get(node, ())}

    def _of_hour(self, hour_us: int) -> dict[str, list[str]]:
        with self._lock:
            if hour_us not in self._hours:
                self._hours[hour_us] = {
                    node: sorted(
                        (path.name for path in paths), key=lambda name: (first_us(name), name)
                    )
                    for node, paths in _by_node(self._lake.sources("power", [hour_us])).items()
                }
            return self._hours[hour_us]


def _by_node(paths: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(node_of(path), []).append(path)
    return found


def first_us(name: str) -> int:
    """Return the first stamp of a raw file by its name; 0 if the name has none."""
    parsed = parse_raw_name(name)
    return parsed.first_us if parsed else 0
