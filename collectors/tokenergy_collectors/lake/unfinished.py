"""Files that are being written, and those that a killed writer left.

In: the hidden name of a file that is not finished. Out: a lock on it, as long as its writer works.
A file that nobody has locked is of a writer that was killed: whoever next writes in its folder
removes it. Such files are in no reader's way, but they take room.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tokenergy_collectors.lake.modes import FILE_MODE

_NAME = re.compile(r"\..+\.parquet\.\d+\.tmp", re.ASCII)


def hidden_name(path: Path) -> Path:
    """Return where this process writes a file before it has its name."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def replacing(path: Path, mode: int = FILE_MODE) -> Iterator[Path]:
    """Yield the hidden name of an empty file that is to replace another; remove what others left.

    Whoever calls it renames the file inside the block; without that it is removed.

    Args:
        path: the file to be replaced.
        mode: of the new one.

    Raises:
        OSError: it cannot be made.
    """
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        _remove_unlocked(left)
    aside = hidden_name(path)
    number = make_locked(aside, mode)
    try:
        yield aside
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        unlock(number)


def make_locked(path: Path, mode: int = FILE_MODE) -> int:
    """Make an empty file that stays until its writer ends; return a descriptor that locks it.

    On a file system without locks it is not locked, and `remove_left` leaves it alone.

    Raises:
        OSError: it cannot be made.
    """
    while True:
        number = os.open(path, os.O_RDWR | os.O_CREAT, mode)
        with suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_EX)
        # Somebody may have removed it before it was locked.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(number), path.stat()):
                return number
        os.close(number)


def unlock(number: int) -> None:
    """Give up a lock, also for processes that inherited it."""
    with suppress(OSError):
        fcntl.flock(number, fcntl.LOCK_UN)
    os.close(number)


def remove_left(folder: Path) -> None:
    """Remove the unfinished files in a folder whose writers were killed."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name):
                _remove_unlocked(Path(entry.path))


def _remove_unlocked(path: Path) -> None:
    try:
        number = os.open(path, os.O_RDWR)
    except OSError:  # finished meanwhile, or of another user
        return
    with suppress(OSError):  # somebody is writing it
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    os.close(number)
