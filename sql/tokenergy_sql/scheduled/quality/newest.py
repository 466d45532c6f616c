"""The newest stamp of each node in a raw table, from the ends of few files.

In: a lake, a table, a time. Out: stamps by node. Rows are not read.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, TABLES
from tokenergy_collectors.lake.paths import node_of, parse_raw_name, partition
from tokenergy_collectors.lake.reading import BrokenFileError, RawFile


def newest_files(lake: Lake, table: str, since_us: int) -> dict[str, list[Path]]:
    """Return the files of each node in its latest hour, the one that begins last first.

    Args:
        lake: the lake.
        table: a raw table.
        since_us: nodes without files of a later hour are left out; microseconds UTC.
    """
    found: dict[str, list[Path]] = {}
    owners = set[str]()
    for hour_us in reversed(lake.hours(table)):
        if hour_us + HOUR_US <= since_us:
            break
        # Most hours have no node that later ones lack: to see that, their names are enough.
        there = _owners(lake.root / table / partition(hour_us))
        if there <= owners:
            continue
        owners |= there
        of_hour: dict[str, list[Path]] = {}
        for path in lake.files(table, [hour_us]):
            of_hour.setdefault(node_of(path), []).append(path)
        for node, paths in of_hour.items():
            found.setdefault(node, sorted(paths, key=_first_us, reverse=True))
    return found


def _owners(folder: Path) -> set[str]:
    """Return what the names of files in a folder begin with: their nodes, as they are written."""
    try:
        return {path.name.rsplit("-", 2)[0] for path in folder.iterdir()}
    except FileNotFoundError:
        return set()


def newest_stamps(lake: Lake, table: str, since_us: int, enough_us: int) -> dict[str, int]:
    """Return the newest stamp of each node, microseconds UTC.

    Args:
        lake: the lake.
        table: a raw table.
        since_us: nodes without files of a later hour are left out.
        enough_us: once a node has a stamp as late as this, its other files are not opened.
    """
    files = newest_files(lake, table, since_us)
    return {node: _newest(table, paths, enough_us) for node, paths in files.items()}


def _newest(table: str, paths: Iterable[Path], enough_us: int) -> int:
    newest = 0
    for path in paths:
        newest = max(newest, _last_us(table, path))
        if newest >= enough_us:
            break
    return newest


def _last_us(table: str, path: Path) -> int:
    """Return the last stamp of a file; its first one if its end cannot be read."""
    spec = TABLES[table]
    last = [_first_us(path)]
    try:
        with RawFile(path, spec) as file:
            last += [group.last[spec.time] or 0 for group in file.groups([spec.time])]
    except (BrokenFileError, FileNotFoundError):
        pass
    return max(last)


def _first_us(path: Path) -> int:
    name = parse_raw_name(path.name)
    return name.first_us if name else 0
