"""Restates hours of long ago: those with late or corrected inputs are derived again, and no others.

In: a lake, a span of hours. Out: what is due in it; then those hours as they would be had nothing
been late, and the checks that failed on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.expired import read_expired
from tokenergy_collectors.lake.paths import show_hour
from tokenergy_sql.index.due import HEALED, due
from tokenergy_sql.index.healing import heal_hours, hours_between
from tokenergy_sql.index.site import Site
from tokenergy_sql.scheduled.faults import BusyError
from tokenergy_sql.scheduled.healing import profile
from tokenergy_sql.scheduled.settings import complete_until, root_of, us_of
from tokenergy_sql.terminal.arguments import parse_hours
from tokenergy_transforms.choice import Device
from tokenergy_transforms.cuts import parse_window

_MOST_NAMED = 5


def settle_span(
    params: Mapping[str, Any], place: str | None, now: datetime, delay: timedelta, by_hand: bool
) -> dict[str, Any]:
    """Return the settings of a run, checked, as values that JSON can hold.

    Args:
        params: parameters of the run: lake, from, to, days, reason, window, device, site.
        place: path of the lake.
        now: the time.
        delay: how long after its end an hour is complete.
        by_hand: whether a person started the run, who must say why.

    Raises:
        UserError: a value cannot be used, or there is no such lake.
    """
    complete = us_of(complete_until(now, delay))
    to_us = _hour(params["to"]) if params["to"] else complete
    if to_us > complete:
        raise UserError(
            f"to {params['to']}: the hours from {show_hour(complete)} on may be incomplete yet; "
            "leave it empty for all complete hours"
        )
    days = timedelta(days=params["days"])
    from_us = _hour(params["from"]) if params["from"] else to_us - _us_length(days)
    if from_us >= to_us:
        raise UserError(f"from {show_hour(from_us)}: is not before the end, {show_hour(to_us)}")
    root = root_of(place, params["site"])
    if params["from"]:  # on a schedule, the span may reach back to hours that have expired
        read_expired(Path(root)).refuse(range(from_us, to_us, HOUR_US))
    reason = " ".join((params["reason"] or "").split())
    if by_hand and not reason:
        raise UserError("no reason: say in the parameter reason why hours are to be restated")
    return {
        "lake": root,
        "from": show_hour(from_us),
        "to": show_hour(to_us),
        "from_us": from_us,
        "to_us": to_us,
        "window_us": parse_window(params["window"]),
        "device": params["device"],
        "site": params["site"],
        "reason": reason or "on schedule",
    }


def _us_length(length: timedelta) -> int:
    """Return a length of time in microseconds."""
    return length // timedelta(microseconds=1)


def _hour(text: str) -> int:
    (hour_us,) = parse_hours([text]) or [0]
    return hour_us


def due_hours(
    lake: Lake, site: Site, from_us: int, to_us: int, say: Callable[[str], None] = print
) -> list[int]:
    """Return the hours of a span that are to be derived again, and say why each is.

    Args:
        lake: the lake.
        site: the site file.
        from_us, to_us: the hours that start in [from_us, to_us), microseconds UTC.
        say: takes lines for the log: also on hours that cannot be derived again.
    """
    hours = hours_between(lake, from_us, to_us)
    found = due(lake, site, hours)
    for one in found:
        more = len(one.what) - _MOST_NAMED
        what = ", ".join(one.what[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        say(f"{show_hour(one.hour_us)} {one.state}: {what}")
    wanted = sorted({one.hour_us for one in found if one.state in HEALED})
    say(f"{len(wanted)} of {len(hours)} hours are to be derived again")
    return wanted


def restate(
    lake: Lake,
    site: Site,
    from_us: int,
    to_us: int,
    found: Sequence[int],
    window_us: int,
    device: Device,
    say: Callable[[str], None] = print,
) -> list[int]:
    """Derive the hours of a span that are due, and write their load profiles.

    One run changes the books at a time: if an hourly run does, this waits, and derives its hours
    from what the other left. Segments have no such lock. If another run wrote some meanwhile from
    what it had read before, they are older than their readings, and that is seen here.

    Args:
        lake: the lake.
        site: the site file.
        from_us, to_us: the hours that start in [from_us, to_us), microseconds UTC.
        found: what `due_hours` returned. A try before this one may have derived them.
        window_us: window of nodes and hours without segments.
        device: what integrates.
        say: takes lines for the log.

    Returns:
        Starts of the hours to check and to tell of: those that were found, and their neighbours if
        they depend on them.

    Raises:
        UserError: a file cannot be reached or written.
        BusyError: hours are still due: another run wrote their segments meanwhile.
    """
    done = heal_hours(lake, site, hours_between(lake, from_us, to_us), window_us, device, say)
    for line in done.lines():
        say(line)
    touched = sorted({*found, *done.causes, *(hour_us for hour_us, _ in done.aggregated)})
    profile(lake, touched, device, say)
    left = [one for one in due(lake, site, touched) if one.state in HEALED]
    if left:
        names = ", ".join(show_hour(one.hour_us) for one in left[:_MOST_NAMED])
        raise BusyError(f"{names}: still due, as if another run had written there meanwhile")
    return touched
