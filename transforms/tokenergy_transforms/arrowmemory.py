"""Lets Arrow take memory from the C library.

In: the environment. Out: one variable more in it. Arrow's own allocators keep memory for every
thread that once freed some, and several threads decode shard after shard. `make bench-large` shows
the peak; with ARROW_DEFAULT_MEMORY_POOL=mimalloc before it, the other one.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

_POOL = "ARROW_DEFAULT_MEMORY_POOL"


def take_from_system(environ: MutableMapping[str, str] = os.environ) -> None:
    """Ask for it in an environment, unless the user chose an allocator there.

    Arrow looks once, when it is first imported: call it before.
    """
    environ.setdefault(_POOL, "system")
