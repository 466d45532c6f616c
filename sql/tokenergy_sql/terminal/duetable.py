"""What is due in the hours of a lake, as a table or as JSON.

In: what `index.due` found. Out: rows on standard output, and what to do about them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tokenergy_collectors.lake.paths import show_hour
from tokenergy_sql.index.due import HEALED, STATES, Due
from tokenergy_sql.terminal.grid import Grid, Heading
from tokenergy_sql.terminal.jsontext import write_json
from tokenergy_sql.terminal.output import Output, Part

_HEADINGS = (Heading("hour"), Heading("state"), Heading("what"))
_MOST_SHOWN = 5


def print_due(found: Sequence[Due], hours: int, *, as_json: bool) -> None:
    """Print what is due, one row for each hour and state.

    Args:
        found: what is due.
        hours: how many hours were looked at.
        as_json: print an array of objects instead: hour, state, what, heals.
    """
    if as_json:
        rows = [(show_hour(d.hour_us), d.state, d.what, d.state in HEALED) for d in found]
        write_json(("hour", "state", "what", "heals"), rows, sys.stdout)
        return
    Output().show_tables(due_parts(found, hours))


def due_parts(found: Sequence[Due], hours: int) -> list[Part]:
    """Return what is due as a table, and lines on what it means; the arguments are as above."""
    looked = f"{hours:,} {'hour' if hours == 1 else 'hours'}"
    if not found:
        return [f"{looked}: nothing is stale, missed or torn"]
    rows = [(show_hour(d.hour_us), d.state, _some(d)) for d in found]
    parts: list[Part] = [Grid(_HEADINGS, rows)]
    parts += [f"{one}: {STATES[one]}" for one in STATES if any(d.state == one for d in found)]
    healed = {d.hour_us for d in found if d.state in HEALED}
    if healed:
        count = f"{len(healed):,} of {looked}"
        parts.append(f"{count} can be brought up to date: run `tokenergy heal`")
    return parts


def _some(due: Due) -> str:
    more = len(due.what) - _MOST_SHOWN
    shown = ", ".join(due.what[:_MOST_SHOWN])
    return shown + (f" and {more} more" if more > 0 else "")
