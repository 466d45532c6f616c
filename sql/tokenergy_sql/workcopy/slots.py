"""Working copies on this machine: each is used by one process at a time, and kept for the next.

In: the URL of a lake. Out: the folder of a copy that nobody else uses, `BASE/DIGEST/N`. BASE is
`$TOKENERGY_WORK`, or `~/.cache/tokenergy`. There are as many copies of a lake as processes have
worked on it at once. All of them may be removed while nobody uses them.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.absent import mark, url_of

VARIABLE = "TOKENERGY_WORK"

_PLACE = ".store/place"


@contextmanager
def slot(url: str) -> Iterator[Path]:
    """Keep others out of a working copy of a lake, and give its absolute path.

    Raises:
        UserError: the folder cannot be written.
    """
    base = _base() / hashlib.sha256(url.encode()).hexdigest()[:12]
    with ExitStack() as stack:
        try:
            root = _free(base, stack)
            _prepare(root, url)
        except OSError as error:
            why = f"{error.filename or base}: cannot be written: {error.strerror or error}"
            raise UserError(f"{why}; {VARIABLE} says where working copies are") from error
        yield root


def _free(base: Path, stack: ExitStack) -> Path:
    """Return the first folder that no process uses, locked until the stack is closed."""
    base.mkdir(parents=True, exist_ok=True)
    numbers = itertools.count()
    while True:
        number = next(numbers)
        lock = (base / f"{number}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        stack.enter_context(lock)
        return base / str(number)


def _base() -> Path:
    given = os.environ.get(VARIABLE)
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(given or f"{cache}/tokenergy").expanduser().absolute()


def _prepare(root: Path, url: str) -> None:
    """Make an empty copy, unless there is one that was made here."""
    place = root / _PLACE
    # Links of absent files have the path in them: a copy that was moved is of no use.
    if url_of(root) == url and place.is_file() and place.read_text("utf-8") == str(root):
        return
    if root.exists():
        shutil.rmtree(root)
    mark(root, url)
    place.write_text(str(root), "utf-8")
