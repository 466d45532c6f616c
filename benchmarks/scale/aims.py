"""What was aimed at for a large fleet, what was measured before, and what is measured now.

In: figures of `benchmarks.scale`. Out: a table. "Before" is what was measured on two cores before
the aims were set, when a row of the ledger was a second of a device.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

MIB_MOST = 2_048


class Aim(NamedTuple):
    """One aim.

    Attributes:
        what: is measured.
        aim: what it should be.
        before: what it was.
        now: what it is; None if this run did not measure it.
        met: whether it is what it should be.
    """

    what: str
    aim: str
    before: str
    now: float | None
    met: bool


def aims(sizes: list[dict[str, Any]], whole: dict[str, Any]) -> Iterator[Aim]:
    """Yield the aims.

    Args:
        sizes: of each lake of segments: hours, seconds, peak_mib.
        whole: as `fromreadings.from_readings` returns it.
    """
    from benchmarks.scale.fromreadings import LARGE

    steps = whole["steps"]
    aggregate_s = steps["aggregate"]["seconds"]
    booked_s = steps["index"]["seconds"] + steps["check"]["seconds"]
    ratio = booked_s / aggregate_s
    yield Aim("index and all checks, of the time of aggregate", "<= 2", "8", ratio, ratio <= 2)
    rate = steps["read_table"]["seconds"] / aggregate_s
    yield Aim("aggregate, of the rate of read_table", ">= 0.9", "0.43 to 0.64", rate, rate >= 0.9)
    share = (aggregate_s + booked_s) * LARGE / whole["devices"] / 3_600
    yield Aim(
        f"an hour of {LARGE:,} GPUs at 10 Hz, of real time", "<= 0.167", "-", share, share <= 1 / 6
    )
    peak = max(one["peak_mib"] for one in [*sizes, *steps.values()])
    yield Aim("memory, MiB", f"<= {MIB_MOST}", "8,500 (10,000 GPUs)", peak, peak <= MIB_MOST)
    by_hours = {size["hours"]: size["seconds"] for size in sizes}
    growth = by_hours[48] / by_hours[24] if {24, 48} <= by_hours.keys() else None
    yield Aim("two days, of one", "<= 2.1", "-", growth, growth is not None and growth <= 2.1)


def lines(found: Iterator[Aim]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"\n{'':<50}{'aim':>10}{'before':>21}{'now':>10}"
    for one in found:
        now = "-" if one.now is None else f"{one.now:,.2f}" if one.now < 100 else f"{one.now:,.0f}"
        missed = "" if one.met or one.now is None else "  missed"
        yield f"{one.what:<50}{one.aim:>10}{one.before:>21}{now:>10}{missed}"
