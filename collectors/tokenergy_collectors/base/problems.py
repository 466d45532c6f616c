"""Decides whether to report a problem: once when it is new or has changed, once when it is over.

In: what was tried, and why it failed. Out: whether to report it. A full disk or a server that is
down fails at every try, but the log and the `event` table need only one line about it.
"""

from __future__ import annotations

import threading


class Problems:
    """The problems that were reported and are not over; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._why: dict[str, str] = {}

    def is_new(self, what: str, why: str) -> bool:
        """Note that `what` failed; return whether to report it: the reason is not the last one."""
        with self._lock:
            new = self._why.get(what) != why
            self._why[what] = why
            return new

    def is_over(self, what: str) -> bool:
        """Note that `what` works; return whether a problem with it was reported before."""
        with self._lock:
            return self._why.pop(what, None) is not None
