"""Keeps a working copy from filling its disk: gives up bytes that the store has too.

In: a working copy after a task. Out: the same names, those that were fetched or written longest ago
as links again, once all together have more than `$TOKENERGY_WORK_GB` (50 by default). Each look
goes through all names, so a copy is looked at once a day.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.absent import FOLDER, is_absent, link
from tokenergy_sql.workcopy.tree import Folder, listed_folders

VARIABLE = "TOKENERGY_WORK_GB"

_DEFAULT_GB = 50.0
_EVERY_S = 86_400


def is_due(root: Path, now_s: float | None = None) -> bool:
    """Return whether the last look at a copy was a day ago; the next one then is.

    Args:
        root: of the copy.
        now_s: Unix time; the clock's if None.
    """
    looked, now_s = root / FOLDER / "looked", time.time() if now_s is None else now_s
    if looked.exists() and now_s - looked.stat().st_mtime < _EVERY_S:
        return False
    looked.touch()
    return True


def make_room(root: Path, tables: Iterable[str]) -> int:
    """Give up the oldest bytes above the limit; return how many.

    Args:
        root: of a working copy whose task has ended: the store has all that is in it.
        tables: those whose folders are listed.

    Raises:
        UserError: the limit is no number above 0.
    """
    limit = limit_bytes()
    names = (name for table in tables for name in listed_folders(root, table))
    folders = [Folder(root, name) for name in names]
    # When a file came into its folder: its own time is that of the object.
    held = [
        ((stat := path.stat()).st_ctime_ns, stat.st_size, path, known.size, known.mtime_ns)
        for folder in folders
        for name, known in folder.known.items()
        if not is_absent(path := root / name) and path.exists()
    ]
    over = sum(size for _, size, *_ in held) - limit
    freed = 0
    for _, size, path, listed, mtime_ns in sorted(held):
        if freed >= over:
            break
        link(root, path, listed, mtime_ns)
        freed += size
    return freed


def limit_bytes() -> int:
    """Return how many bytes of the store a working copy may keep.

    Raises:
        UserError: the environment variable is no number above 0.
    """
    text = os.environ.get(VARIABLE, f"{_DEFAULT_GB}")
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e9:
        raise UserError(f"{VARIABLE}={text!r}: expected a number of gigabytes above 0, e.g. 50")
    return int(found * 1e9)
