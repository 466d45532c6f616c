"""When an earlier run of a collector was last alive, as its rows tell.

In: a lake. Out: a stamp. What such a run left open, it knew to go on until then.
"""

from __future__ import annotations

from itertools import islice

from tokenergy_collectors.lake import Lake


def last_sign_us(lake: Lake, node: str, before_us: int) -> int | None:
    """Return when an earlier run on this node last wrote the clocks or an event (us UTC)."""
    found = []
    for table in ("clock", "event"):
        newest = (hour for hour in reversed(lake.hours(table)) if node in lake.nodes(table, hour))
        hours = list(islice(newest, 1))
        stamps = lake.read(table, hours, node=node, columns=["ts_us"])["ts_us"].to_pylist()
        found += [ts_us for ts_us in stamps if ts_us < before_us]
    return max(found, default=None)
