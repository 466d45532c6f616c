"""The collector's own health: events by kind, and the CPU time and memory of its process.

In: events, and what the kernel reports about this process. Out: numbers.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from pathlib import Path

_STATM = Path("/proc/self/statm")


class EventCounts:
    """Counts events by kind; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, kind: str) -> None:
        """Count an event."""
        with self._lock:
            self._counts[kind] += 1

    def counts(self) -> dict[str, int]:
        """Return the counts so far, by kind."""
        with self._lock:
            return dict(self._counts)


def cpu_s() -> float:
    """Return the CPU time of this process, user and system (s)."""
    return time.process_time()


def resident_bytes() -> int | None:
    """Return the resident memory of this process (bytes); None if /proc does not have it."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
