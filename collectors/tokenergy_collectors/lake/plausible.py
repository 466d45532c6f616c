"""The most that a board can be believed to draw: what shows more is no reading.

In: the limits that a board reports, or that were recorded of it. Out: a power.
"""

from __future__ import annotations

UNKNOWN_MOST_MW = 4_000_000
"""Most that a board draws whose limit is not known: above any board on the market."""


def most_power_mw(*limits_mw: int | None) -> int:
    """Return the most (mW) that a board with these limits can be believed to draw.

    Half more than its highest limit allows for peaks between two actions of its controller. A limit
    that no board has counts as none.
    """
    known = [limit for limit in limits_mw if limit is not None and 0 < limit <= UNKNOWN_MOST_MW]
    return max(known) * 3 // 2 if known else UNKNOWN_MOST_MW
