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
from contextlib import contextmanager
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
    try:
        base.mkdir(parents=True, exist_ok=True)
        for number in itertools.count():
            with (base / f"{number}.lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                _prepare(base / str(number), url)
                yield base / str(number)
                return
    except OSError as error:
        if error.filename is None or not Path(error.filename).is_relative_to(base):
            raise
        why = f"{error.filename}: cannot be written: {error.strerror or error}"
        raise UserError(f"{why}; {VARIABLE} says where working copies are") from error


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
