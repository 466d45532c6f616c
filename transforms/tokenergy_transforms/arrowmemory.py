"""Lets Arrow take memory from the C library.

In: the environment. Out: one more variable in it. Arrow's own allocators keep freed memory for each
thread, and several threads decode one work unit after the other. `make bench-large` shows the peak;
run it with ARROW_DEFAULT_MEMORY_POOL=mimalloc to see the difference.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

_POOL = "ARROW_DEFAULT_MEMORY_POOL"


def take_from_system(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set the variable in an environment, unless the user chose an allocator there.

    Arrow reads it once, when it is first imported: call this before.
    """
    environ.setdefault(_POOL, "system")
