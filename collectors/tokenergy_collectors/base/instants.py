"""Which instants are accepted at every door: those of the years 2000 to 2099.

In: microseconds since 1970, UTC. Out: whether they are accepted. Programs write 0, the year 1 or
the year 9999 for "no date", and a host without a battery for its clock starts in 1970.
"""

from __future__ import annotations

FIRST_US = 946_684_800_000_000
"""2000-01-01T00:00:00Z, the first instant that is accepted."""

END_US = 4_102_444_800_000_000
"""2100-01-01T00:00:00Z, the first instant that is not accepted any more."""


def is_instant(ts_us: int) -> bool:
    """Return whether a time (microseconds UTC) is accepted: it is in the years 2000 to 2099."""
    return FIRST_US <= ts_us < END_US
