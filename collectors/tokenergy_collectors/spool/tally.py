"""What a process recorded and lost so far: kept across reloads, for whoever shows it.

In: counts, from the recorder. Out: the same numbers, at any time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What a process recorded and lost so far. Each number has one writer at a time.

    Attributes:
        dropped_rows: rows that had to be given up, by table.
        recovered_rows: rows found in the logs of earlier processes.
        sealed_us: stamp of the latest roll that was sealed whole (us UTC); None before the first.
    """

    dropped_rows: Counter[str] = field(default_factory=Counter)
    recovered_rows: int = 0
    sealed_us: int | None = None
