"""Removes the hooks' files once what they told is in the lake.

In: the names of files that were read, and the allocations in them. Out: fewer files. A file is
removed when sealed files of the lake hold its allocations as they are now: until then a crash, or a
disk that is lost with its log, costs nothing, since reading a file again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_collectors.sources.slurm.held import Held

_KEEP_US = 600_000_000
"""How long files are kept that told nothing to record: the events about them are safe by then."""

BAD_SUFFIX = ".bad"


@dataclass(slots=True)
class ReadFile:
    """A file that was read.

    Attributes:
        read_us: when (us UTC).
        held: the allocations that it changed.
        bad: whether it held lines that are no events.
    """

    read_us: int
    held: list[Held]
    bad: bool


def removable(files: dict[str, ReadFile], lake: Lake, node: str, now_us: int) -> list[str]:
    """Return the files that are not needed any more.

    Args:
        files: all files that were read, by name.
        lake: where their allocations have to be.
        node: this node.
        now_us: now (us UTC).

    Raises:
        UserError: the lake cannot be read.
    """
    waiting = [one for file in files.values() for one in file.held]
    sealed = _sealed(waiting, lake, node)
    return [
        name
        for name, file in files.items()
        if (all(_pairs(one) <= sealed for one in file.held) if file.held else False)
        or (not file.held and now_us - file.read_us >= _KEEP_US)
    ]


def remove(folder: Path, name: str, *, bad: bool) -> None:
    """Remove a file; one that holds other things than events is only renamed.

    Raises:
        OSError: the folder cannot be written.
    """
    path = folder / name
    with suppress(FileNotFoundError):
        if bad:
            path.rename(path.with_name(name + BAD_SUFFIX))
        else:
            path.unlink()


def _sealed(held: Iterable[Held], lake: Lake, node: str) -> set[tuple[str, int | None]]:
    hours = {hour_of(one.start_us) for one in held}
    if not hours:
        return set()
    columns = ["allocation_id", "end_us"]
    rows = lake.read("jobs", sorted(hours), node=node, columns=columns)
    return set(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def _pairs(one: Held) -> set[tuple[str, int | None]]:
    return {(row["allocation_id"], row["end_us"]) for row in one.to_rows()}
