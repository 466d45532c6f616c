"""How raw files give way to the compacted file that has their rows: see `compaction`.

In: hour folders in which something was compacted. Out: the same rows in fewer files.

Readers of the lake see each row once all the time: they never read a file that a compacted one
names. DuckDB with a pattern of names knows no such rule. It sees the sources until they are
removed; meanwhile it gets an error, and then it sees the compacted file.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tokenergy_collectors.lake import compacted
from tokenergy_collectors.lake.mergedfile import sync_folder
from tokenergy_collectors.lake.modes import make_file

_LISTED_S = 0.2
"""Longer than it takes to list a folder: a list that was begun before has ended then."""


@dataclass(slots=True)
class Turn:
    """What is next in an hour folder.

    Attributes:
        folder: the folder.
        beside: where its compacted files are first.
        second: names of compacted files that get their second place.
        leave: names of files in the folder that are removed.
        drop: names of compacted files that lose their first place.
        waiting: how many files are removed once the grace time is over.
        removed, removed_bytes: what was removed.
    """

    folder: Path
    beside: Path
    second: list[str] = field(default_factory=list)
    leave: list[str] = field(default_factory=list)
    drop: list[str] = field(default_factory=list)
    waiting: int = 0
    removed: int = 0
    removed_bytes: int = 0

    @property
    def exchanges(self) -> bool:
        """Whether readers by a pattern have to wait meanwhile."""
        return bool(self.second or self.leave) or (self.folder / compacted.UNDER_WAY).exists()

    def finish(self) -> None:
        """Remove what is there twice, and what a killed call left."""
        for name in self.drop:
            (self.beside / name).unlink(missing_ok=True)
        for left in (*self.beside.glob(".*.tmp"), *self.folder.glob(".*-merged*.tmp")):
            left.unlink(missing_ok=True)


def next_turn(root: Path, folder: Path, grace_us: int) -> Turn:
    """Return what is next in an hour folder.

    Args:
        root: the lake.
        folder: the folder.
        grace_us: how long files stay that somebody may just be reading.
    """
    here, now_ns = compacted.listing(root, folder), time.time_ns()
    turn = Turn(folder, compacted.pending_folder(root, folder))
    pending = compacted.pending_names(root, folder)

    def is_over(path: Path) -> bool:
        # The last change of a file's names tells when it got its place; nobody can set it.
        with suppress(FileNotFoundError):
            return grace_us == 0 or path.stat().st_ctime_ns + grace_us * 1000 <= now_ns
        return False

    there = {name for name in here.compacted if (folder / name).exists()}
    turn.second = [
        name
        for name in pending
        if name in here.compacted and name not in there and is_over(turn.beside / name)
    ]
    # Sources of a file that has its second place came again: an upload was repeated, for example.
    kept = {
        name
        for one, sources in here.compacted.items()
        if one not in there and one not in turn.second
        for name in sources.names
    }
    turn.leave = sorted(here.superseded - kept)
    turn.waiting = len(here.superseded & kept)
    for name in pending:
        if name in here.compacted:
            over = grace_us == 0 if name in turn.second else is_over(folder / name)
            if over and (name in there or name in turn.second):
                turn.drop.append(name)
        elif name not in kept:  # a later one replaced it
            turn.drop.append(name)
    return turn


def exchange(turns: Sequence[Turn]) -> None:
    """Give compacted files their second place, and remove their sources.

    Raises:
        OSError: a file cannot be written or removed.
    """
    due = [turn for turn in turns if turn.exchanges]
    for turn in due:
        make_file(turn.folder / compacted.UNDER_WAY)
    if due:
        time.sleep(_LISTED_S)
    for turn in due:
        for name in turn.second:
            _place(turn.beside / name, turn.folder / name)
        if turn.second:
            sync_folder(turn.folder)
        for name in turn.leave:
            with suppress(FileNotFoundError):
                path = turn.folder / name
                size = path.stat().st_size
                path.unlink()
                turn.removed, turn.removed_bytes = turn.removed + 1, turn.removed_bytes + size
        (turn.folder / compacted.UNDER_WAY).unlink(missing_ok=True)


def _place(first: Path, second: Path) -> None:
    """Give a file a second place; on a file system without links it is copied."""
    try:
        os.link(first, second)
    except FileExistsError:
        return
    except OSError:
        aside = second.with_name(f".{second.name}.{os.getpid()}.tmp")
        shutil.copyfile(first, aside)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(second)
