"""Runs a task on a lake, wherever it is: in a folder, or in an object store.

In: a path or a URL, a task. Out: what the task returns. A task on a store works on a working copy,
and what it wrote is put back when it has ended; if others have published meanwhile, it runs again
on what they published.
"""

from __future__ import annotations

import errno
import random
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.absent import MovedOnError, bucket_of
from tokenergy_collectors.objects.bucket import ChangedError
from tokenergy_sql.workcopy.copy import WorkingCopy
from tokenergy_sql.workcopy.slots import slot

T = TypeVar("T")

_ATTEMPTS = 12
_WAIT_S = 0.5
_URL = re.compile(r"([a-z][a-z0-9+.-]*):/+(.+)")


def url_in(place: str | Path) -> str | None:
    """Return the URL that a text or path names; None if it is a path.

    A path has lost one of the two slashes of a URL, and one at the end.
    """
    found = _URL.fullmatch(str(place))
    return f"{found[1]}://{found[2].rstrip('/')}" if found and found[1] != "file" else None


def on_lake(place: str | Path, task: Callable[[Path], T], hours: Iterable[int] | None = None) -> T:
    """Return what a task returns that is given the folder of a lake.

    Args:
        place: path of the lake, or its URL.
        task: may run several times, if `place` is a URL; what it prints is printed each time.
        hours: starts of the hours (us UTC) that the task is about; all if None. Of a lake in a
            store only they, and the days before them, are listed again.

    Raises:
        UserError: the lake cannot be used; or others publish all the time.
    """
    url = url_in(place)
    if url is None:
        return task(Path(place))
    chosen = None if hours is None else list(hours)
    for attempt in range(_ATTEMPTS):
        with slot(url) as root:
            copy = WorkingCopy(bucket_of(root), root)
            try:
                copy.update(chosen)
                result = task(root)
                copy.put()
            except (ChangedError, MovedOnError) as error:
                last = error
            except UserError as error:
                # The copy's folder means nothing to whoever gave a URL.
                error.args = (str(error).replace(str(root), url), *error.args[1:])
                raise
            else:
                return result
        # The others are in the same place: not all should come back at once.
        time.sleep(random.uniform(0, _WAIT_S * (attempt + 1)))  # noqa: S311 - no secret
    busy = BlockingIOError(errno.EAGAIN, str(last))  # a scheduler tries again after that
    raise UserError(f"lake {url}: others published each of {_ATTEMPTS} times; try again") from busy
