"""Gives freed memory back to the system, between two pieces of long work.

What is freed mostly stays with the process, in holes between what is still in use. Work of the same
size does not fit into all of the holes, so a run over many hours would grow from hour to hour.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any


def give_back_memory() -> None:
    """Give the system what Arrow and the C library hold and nobody uses.

    Takes some milliseconds, and nothing where the C library has no `malloc_trim`, as on macOS.
    """
    if arrow := sys.modules.get("pyarrow"):
        arrow.default_memory_pool().release_unused()
    if trim := _malloc_trim():
        trim(0)


@cache
def _malloc_trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
