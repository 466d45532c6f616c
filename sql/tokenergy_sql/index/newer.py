"""Which inputs are newer than the books, and what an operator has to do about them.

In: a lake. Out: the hours that a run on chosen hours left as they were although their inputs have
changed, and lines for the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from tokenergy_collectors.lake import Lake
from tokenergy_transforms.aggregate import worklist
from tokenergy_transforms.inventory import read_inventory
from tokenergy_transforms.provenance import compare

_MOST_NAMED = 3


def other_hours(lake: Lake, stale: Iterable[int], hours: Iterable[int] | None) -> list[int]:
    """Return the hours, besides the chosen ones, whose segments or books are older than the lake.

    Args:
        lake: the lake.
        stale: hours whose books are.
        hours: the chosen hours, starts in microseconds UTC; none are left if it is None.
    """
    if hours is None:
        return []
    inventory = read_inventory(lake)
    pairs = [pair for pair in worklist(lake, None, inventory) if pair[0] not in {*hours}]
    outdated = {one.hour_us for one in compare(lake, inventory, pairs) if one.outdated}
    return sorted({*stale} | outdated)


def others_line(hours: Sequence[int]) -> str:
    """Return the line on hours that were not chosen and have newer inputs."""
    what = "1 other hour has" if len(hours) == 1 else f"{len(hours)} other hours have"
    return (
        f"{what} newer inputs ({_some(map(_hour, hours))}): jobs in them add up old and new "
        "figures until you run `tokenergy index` without --hour"
    )


def waiting_line(pairs: Sequence[tuple[int, str]]) -> str:
    """Return the line on (hour, node) pairs with newer readings whose earlier ones are gone."""
    what = "1 node-hour has" if len(pairs) == 1 else f"{len(pairs)} node-hours have"
    names = _some(f"{node} {_hour(hour_us)}" for hour_us, node in pairs)
    return (
        f"{what} newer readings, but earlier ones were removed or are in quarantine ({names}): "
        "the new ones are not booked. Bring the earlier power files back and run `tokenergy "
        "index`; or book the new ones alone: `tokenergy aggregate --hour HOUR --node NODE`"
    )


def _hour(hour_us: int) -> str:
    return datetime.fromtimestamp(hour_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:00Z")


def _some(names: Iterable[str]) -> str:
    found = list(names)
    more = len(found) - _MOST_NAMED
    return ", ".join(found[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
