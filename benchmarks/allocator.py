"""Lets the C library keep memory that was freed for what is asked for next.

In: nothing. Out: a setting of this process. All results of a contest come to half a gigabyte, which
glibc hands back to the system, which then clears pages for the next round. DuckDB and Polars have
allocators that keep it; and in the pipeline results come by shards of a few megabytes, which glibc
keeps by itself.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Names of `mallopt(3)`."""

_KEPT = 1 << 30
_KEPT_AT_LEAST = 32 << 20
"""Older versions of glibc take no more than that."""


def keep_freed_memory() -> bool:
    """Keep freed memory in this process; tell whether that could be set. Only glibc has it."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    kept = mallopt(_M_MMAP_THRESHOLD, _KEPT) or mallopt(_M_MMAP_THRESHOLD, _KEPT_AT_LEAST)
    return bool(kept and mallopt(_M_TRIM_THRESHOLD, _KEPT))
