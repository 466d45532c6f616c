"""What a site gave in an event of demand response: baseline less metered power, and the rebound.

In: an event, a lake. Out: one row a slice of the event, and one for the event. What depends on a
baseline is NULL where days for it are missing. Nothing here says why the site drew less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.flexibility.baseline import (
    Baseline,
    Form,
    baseline_of,
    before,
    on_day,
    similar_days,
)
from tokenergy_sql.flexibility.events import Event, Interval
from tokenergy_sql.flexibility.windows import Drawn, Source, Window, drawn

if TYPE_CHECKING:
    import duckdb

MOST_REBOUND_US = 4 * HOUR_US
_SAME_BOARDS = 0.01
"""How far the number of boards may differ between the event and its baseline without a remark."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How responses are reckoned.

    Attributes:
        form: of the baseline.
        zone: in which days begin.
        source: what meters; None: the site's meters where they serve, else the boards.
    """

    form: Form = field(default_factory=Form)
    zone: tzinfo = UTC
    source: Source | None = None


def slices_of(event: Event) -> list[tuple[Interval, Window]]:
    """Return the parts of an event between full hours and edges of its intervals."""
    found = []
    for one in event.intervals:
        at = one.window.from_us
        while at < one.window.until_us:
            until = min(hour_of(at) + HOUR_US, one.window.until_us)
            found.append((one, Window(at, until)))
            at = until
    return found


def response(
    con: duckdb.DuckDBPyConnection, event: Event, events: Sequence[Event], asked: Asked
) -> tuple[NamedRow, list[NamedRow]]:
    """Return the row of an event, and the rows of its slices.

    Args:
        con: the lake.
        event: which.
        events: all events: their days are in no baseline.
        asked: how it is reckoned.
    """
    window = event.window
    if window is None or event.cancelled:
        return _row(event, [], None, "open_ended" if window is None else "cancelled"), []
    busy = [one.window for one in events if one.window is not None and not one.cancelled]
    days = similar_days(window, busy, asked.zone)
    slices = [part for _, part in slices_of(event)]
    after = Window(window.until_us, window.until_us + min(window.length_us, MOST_REBOUND_US))
    earlier = before(window, asked.form)
    needed = [*slices, after, *([] if earlier is None else [earlier])]
    for most in (2 * asked.form.of, len(days)):  # few are enough where all were recorded
        looked = days[:most]
        windows = [*needed, *(on_day(w, window, day, asked.zone) for day in looked for w in needed)]
        source, energies = _measured(con, windows, slices, asked.source)
        baseline = baseline_of(window, slices, looked, energies, asked.form, asked.zone)
        if baseline.why != "few_days":
            break
    rows = [
        _slice(event, interval, part, energies.get(part), baseline)
        for interval, part in slices_of(event)
    ]
    total = _row(event, rows, window, baseline.why)
    total |= _bounded(total, baseline, [energies[one] for one in slices if one in energies])
    total |= {
        "rebound_kwh": _rebound(after, energies.get(after), baseline),
        "boundary": "site meters" if source == "site" else "sum of boards",
        "baseline": asked.form.words,
        "days": ",".join(baseline.days) or None,
    }
    used = [energies[one].boards for one in slices if one in energies]
    total["why"] = ",".join(
        code for code in (total["why"], _boards_differ(used, baseline.boards)) if code
    )
    return total, rows


def _measured(
    con: duckdb.DuckDBPyConnection,
    windows: Sequence[Window],
    slices: Sequence[Window],
    wanted: Source | None,
) -> tuple[Source, dict[Window, Drawn]]:
    """Return what metered, and the power of the windows.

    The site's meters serve where they know the event: by whole hours.
    """
    whole = all(edge % HOUR_US == 0 for one in windows for edge in one)
    if wanted != "boards" and whole:
        found = drawn(con, windows, "site")
        if wanted == "site" or all(one in found for one in slices):
            return "site", found
    if wanted == "site":
        return "site", {}
    return "boards", drawn(con, windows, "boards")


def _slice(
    event: Event, interval: Interval, part: Window, metered: Drawn | None, baseline: Baseline
) -> NamedRow:
    hours = part.length_us / HOUR_US
    base = baseline.kw(part)
    actual = None if metered is None else metered.kw
    given = None if base is None or actual is None else base - actual
    asked_kw = _requested(interval, base)
    return {
        "event_id": event.event_id,
        "from_us": part.from_us,
        "to_us": part.until_us,
        "hours": hours,
        "requested_kw": asked_kw,
        "baseline_kw": base,
        "actual_kw": actual,
        "given_kw": given,
        "given_kwh": None if given is None else given * hours,
    }


def _requested(interval: Interval, base: float | None) -> float | None:
    """Return the reduction that an interval asks for, kW; None if that is not known."""
    if interval.reduce_kw is not None:
        return interval.reduce_kw
    if base is None:
        return None
    if interval.reduce_share is not None:
        return base * interval.reduce_share
    return None if interval.target_kw is None else max(0.0, base - interval.target_kw)


def _row(event: Event, slices: Sequence[NamedRow], window: Window | None, why: str) -> NamedRow:
    hours = sum(row["hours"] for row in slices)

    def mean(name: str) -> float | None:
        values = [(row[name], row["hours"]) for row in slices]
        if not values or any(value is None for value, _ in values):
            return None
        return float(sum(value * length for value, length in values) / hours)

    given = mean("given_kw")
    if not why and slices and mean("actual_kw") is None:
        why = "no_power"
    return {
        "event_id": event.event_id,
        "name": event.name,
        "program": event.program,
        "from_us": None if window is None else window.from_us,
        "to_us": None if window is None else window.until_us,
        "status": event.status,
        "opt": event.opt,
        "requested_kw": mean("requested_kw"),
        "baseline_kw": mean("baseline_kw"),
        "actual_kw": mean("actual_kw"),
        "given_kw": given,
        "given_low_kw": None,
        "given_high_kw": None,
        "spread_kw": None,
        "given_kwh": None if given is None else given * hours,
        "verdict": None,
        "rebound_kwh": None,
        "boundary": None,
        "baseline": None,
        "days": None,
        "why": why,
    }


def _bounded(total: NamedRow, baseline: Baseline, metered: Sequence[Drawn]) -> NamedRow:
    """Return the bounds of what was given, and whether it was what was asked for.

    The same meters saw all days, so their error is one factor; the days' own spread comes to it.
    """
    given, spread = total["given_kw"], baseline.spread_kw
    found: NamedRow = {"spread_kw": spread}
    lows = [baseline.low, *(one.low for one in metered)]
    highs = [baseline.high, *(one.high for one in metered)]
    if given is None or spread is None or None in lows or None in highs:
        return found
    factors = (min(one for one in lows if one is not None), max(o for o in highs if o is not None))
    ends = [given * factor for factor in factors]
    low, high = min(ends) - spread, max(ends) + spread
    found |= {"given_low_kw": low, "given_high_kw": high}
    asked = total["requested_kw"]
    if asked is not None:
        verdict = (
            "given" if low >= asked else "not given" if high < asked else "not distinguishable"
        )
        found["verdict"] = verdict
    return found


def _rebound(after: Window, metered: Drawn | None, baseline: Baseline) -> float | None:
    """Return what was drawn above the baseline after the event, kWh: in as long a time."""
    base = baseline.kw(after)
    if metered is None or base is None:
        return None
    return float((metered.kw - base) * after.length_us / HOUR_US)


def _boards_differ(during: Sequence[float | None], usual: float | None) -> str:
    known = [one for one in during if one is not None]
    if not known or not usual:
        return ""
    mean = sum(known) / len(known)
    return "boards_differ" if abs(mean - usual) > _SAME_BOARDS * usual else ""
