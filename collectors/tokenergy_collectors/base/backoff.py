"""How long to wait before the next try: twice as long after each failure, up to a limit.

In: failures and successes. Out: waits, in the unit of the first one.
"""

from __future__ import annotations


class Backoff:
    """Waits that double.

    Args:
        first: the wait after the first failure, in any unit.
        limit: the longest wait, in the same unit.

    Attributes:
        failures: how many tries have failed in a row.
    """

    def __init__(self, first: float, limit: float) -> None:
        self._first = first
        self._limit = limit
        self.failures = 0

    def failed(self) -> float:
        """Count a failure; return how long to wait before the next try."""
        # The limit is reached long before this exponent could overflow.
        wait = min(self._first * 2.0 ** min(self.failures, 64), self._limit)
        self.failures += 1
        return wait

    def worked(self) -> None:
        """Start again with the first wait, after a try that worked."""
        self.failures = 0
