"""What a collector process recorded and lost so far, kept across reloads for the metrics.

In: counts, from the recorder. Out: the same numbers, at any time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class RecordCounts:
    """What a process recorded and lost so far. One thread at a time writes each number.

    Attributes:
        dropped_rows: rows that were discarded, by table.
        recovered_rows: rows found in the logs of earlier processes.
        sealed_us: stamp of the latest roll that was sealed completely (us UTC); None before it.
    """

    dropped_rows: Counter[str] = field(default_factory=Counter)
    recovered_rows: int = 0
    sealed_us: int | None = None
