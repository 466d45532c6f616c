"""Lets the C library keep memory that was freed for what is asked for next.

In: nothing. Out: a setting of this process. Shards are worked on one after the other with arrays
of the same few megabytes each. By default glibc hands such arrays back to the system, which then
clears pages for the next ones, over and over.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Names of `mallopt(3)`."""

_KEPT = 1 << 30
_KEPT_AT_LEAST = 32 << 20
"""Older versions of glibc take no more than that."""


def keep_freed_memory() -> bool:
    """Keep freed memory in this process; tell whether that could be set. Only glibc has it.

    The peak rises by about a tenth, as what one thread freed is not there for another. Memory is
    handed back when the process ends.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    kept = mallopt(_M_MMAP_THRESHOLD, _KEPT) or mallopt(_M_MMAP_THRESHOLD, _KEPT_AT_LEAST)
    return bool(kept and mallopt(_M_TRIM_THRESHOLD, _KEPT))
