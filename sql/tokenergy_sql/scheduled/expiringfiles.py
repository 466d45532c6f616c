"""The files of old hours: which there are, and which of them are known to be booked.

In: a lake. Out: files by hour. `expired-files.json` names files that are still there, though their
hours have expired: those that the first hour after them depends on, and those that a run did not
get to. Other files of such hours came later. If you remove the list, all of them count as such.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from tokenergy_collectors.lake import Lake, compacted
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import PARTITIONS, hour_of_folder
from tokenergy_collectors.lake.unfinished import replacing

NAME = "expired-files.json"

Files = dict[int, list[Path]]
"""The files of a table by hour, microseconds UTC."""

Left = Mapping[str, frozenset[str]]
"""Names of files, relative to the lake, by table."""


def files_before(lake: Lake, table: str, before_us: int) -> Files:
    """Return all files of a table's hours before one, also those that no reader sees."""
    raw = TABLES[table].layer == "raw"
    found: Files = {}
    for folder in sorted((lake.root / table).glob(PARTITIONS)):
        hour_us = hour_of_folder(folder)
        if hour_us is None or hour_us >= before_us or not compacted.names_in(folder):
            continue
        found[hour_us] = [folder / name for name in compacted.names_in(folder)]
        if raw:
            beside = compacted.pending_folder(lake.root, folder)
            names = (*compacted.pending_names(lake.root, folder), compacted.LIST)
            found[hour_us] += [path for name in names if (path := beside / name).exists()]
    return found


def left_of(root: Path, files: Iterable[Path], known: frozenset[str]) -> list[Path]:
    """Return those of some files that are known, or were made of known ones only."""
    return [path for path in files if _is_known(root, path, known)]


def _is_known(root: Path, path: Path, known: frozenset[str]) -> bool:
    if path.relative_to(root).as_posix() in known or path.name == compacted.LIST:
        return True
    if not compacted.is_compacted(path.name):
        return False
    sources = compacted.sources_of(path)
    folder = "/".join(path.parts[-4:-1])
    return sources is not None and known.issuperset(f"{folder}/{name}" for name in sources.digests)


def read_left(root: Path) -> Left:
    """Return the files that are known; none if the list is missing or damaged."""
    try:
        content = json.loads((root / NAME).read_text("utf-8"))
        return {str(name): frozenset(map(str, files)) for name, files in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_left(root: Path, known: Left, left: Mapping[str, Files]) -> None:
    """Write the files that are known now.

    Args:
        root: the lake.
        known: what was known of other tables.
        left: the files of the tables that were looked at.

    Raises:
        OSError: it cannot be written.
    """
    names = {
        table: {path.relative_to(root).as_posix() for paths in files.values() for path in paths}
        for table, files in left.items()
    }
    # With the names of files that are part of a compacted one, which may come to be merged again.
    for table, files in left.items():
        for path in (path for paths in files.values() for path in paths):
            if compacted.is_compacted(path.name) and (sources := compacted.sources_of(path)):
                folder = "/".join(path.parts[-4:-1])
                names[table] |= {f"{folder}/{name}" for name in sources.digests}
    content = {table: sorted(found) for table, found in sorted({**known, **names}.items())}
    path = root / NAME
    with replacing(path) as aside:
        with aside.open("w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
