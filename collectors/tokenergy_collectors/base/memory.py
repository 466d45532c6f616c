"""Gives freed memory back to the system between two pieces of long work; spares old objects.

What is freed mostly stays with the process, in holes between what is still in use. Work of the same
size does not fit into all of the holes, so a run over many hours would grow from hour to hour.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of `malloc.h`."""


def give_back_memory() -> None:
    """Give the system what Arrow and the C library hold and nobody uses.

    Takes some milliseconds, and nothing where the C library has no `malloc_trim`, as on macOS.
    """
    if arrow := sys.modules.get("pyarrow"):
        arrow.default_memory_pool().release_unused()
    if trim := _function("malloc_trim"):
        trim(0)


@cache
def keep_freed_memory() -> None:
    """Let this process keep what it frees for its next array of the same size.

    The C library asks the system for each large array, and the system clears every page of it. A
    load profile makes and frees arrays of the same sizes for each board.
    `give_back_memory` still gives all of it back. Nothing happens without the C library of GNU.
    """
    if mallopt := _function("mallopt"):
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the most that every version of it takes
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


@contextmanager
def old_objects_spared() -> Iterator[None]:
    """Let Python look for garbage in a block among objects that are made in it, and no others.

    It looks through all objects of a process each time their number has grown by a quarter. To read
    a list of a year does that, and finds nothing in the modules that were imported before: 0.1 s.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@cache
def _function(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
