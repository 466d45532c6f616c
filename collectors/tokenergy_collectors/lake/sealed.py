"""The sealed files of one node.

In: the lake's folder and the node. Out: its raw files with size and age; never derived tables or
files of other nodes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tokenergy_collectors.lake.contract import HOUR_US, TABLES
from tokenergy_collectors.lake.paths import (
    ANY_PARTITIONS,
    escape_node,
    hour_of_folder,
    parse_raw_name,
)

RAW_TABLES = tuple(table.name for table in TABLES.values() if table.layer == "raw")
_DAY_US = 24 * HOUR_US


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One sealed file, described without reading it."""

    path: Path
    relative: str
    """The path relative to the lake."""
    table: str
    first_us: int
    """First stamp in it (us UTC), from its name."""
    size: int
    """Bytes."""
    mtime_ns: int
    """When it was sealed (ns UTC)."""


def hour_folders(root: Path) -> Iterator[Path]:
    """Yield the hour folders of all raw tables of a lake."""
    for table in RAW_TABLES:
        yield from sorted((root / table).glob(ANY_PARTITIONS))


def files_in(folder: Path, root: Path, node: str) -> list[SealedFile]:
    """Return a node's files in an hour folder; none if the folder has gone."""
    escaped = escape_node(node)
    found = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            name = parse_raw_name(entry.name)
            if name is None or name.node != escaped:
                continue
            with suppress(FileNotFoundError):
                stat = entry.stat(follow_symlinks=False)
                path = Path(entry.path)
                relative = path.relative_to(root).as_posix()
                table = folder.parent.parent.name
                found.append(
                    SealedFile(path, relative, table, name.first_us, stat.st_size, stat.st_mtime_ns)
                )
    return found


def sealed_files(root: Path, node: str) -> list[SealedFile]:
    """Return all sealed files of a node, oldest first."""
    found = [file for folder in hour_folders(root) for file in files_in(folder, root, node)]
    return sorted(found, key=age_key)


def age_key(file: SealedFile) -> tuple[int, str]:
    """Return a sort key: the first stamp in a file, then its name."""
    return file.first_us, file.relative


def remove(file: SealedFile, now_us: int) -> bool:
    """Remove a file, and its folders if they are empty and their hour ended a day ago.

    Returns:
        Whether the file existed.

    Raises:
        OSError: it cannot be removed.
    """
    try:
        file.path.unlink()
    except FileNotFoundError:
        return False
    hour = file.path.parent
    hour_us = hour_of_folder(hour)
    # By then nothing writes there: a folder removed under a writer's feet would fail its write.
    if hour_us is not None and now_us - (hour_us + HOUR_US) > _DAY_US:
        with suppress(OSError):
            hour.rmdir()
            hour.parent.rmdir()
    return True
