"""Reports a problem once: when it is new or has changed, and once more when it is over.

In: what was tried, and why it failed. Out: whether somebody should hear of it. A disk that is full
or a server that is down fails at every try; the log and the `event` table need one line of it.
"""

from __future__ import annotations

import threading


class Problems:
    """The problems that were reported and are not over; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._why: dict[str, str] = {}

    def is_new(self, what: str, why: str) -> bool:
        """Note that something failed; return whether this reason has not been reported yet."""
        with self._lock:
            new = self._why.get(what) != why
            self._why[what] = why
            return new

    def is_over(self, what: str) -> bool:
        """Note that something works; return whether a problem with it had been reported."""
        with self._lock:
            return self._why.pop(what, None) is not None
