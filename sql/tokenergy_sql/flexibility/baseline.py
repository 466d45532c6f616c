"""What a site would have drawn without an event: High X of Y, adjusted to the day.

In: an event's window, the power of earlier days. Out: a baseline for each slice of the event.

The form is the one that PJM uses for its customer baseline load (High 4 of 5, with a symmetric
additive adjustment). Of the Y latest days of the same kind without an event, those X count on which
the site drew most at the time of the event:

    baseline(slice) = mean over X days of P(day, slice)
                      + P(event day, before) - mean over X days of P(day, before)

`before` are the three hours that end one hour before the event. Kinds of day are Monday to Friday,
Saturday, Sunday; days and clock times are local. A baseline is never less than 0.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.flexibility.windows import Energies, Window

MOST_DAYS = 45
"""How many days back similar ones are looked for."""
GAP_US = HOUR_US
_SATURDAY = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a baseline.

    Attributes:
        high: X, how many days count.
        of: Y, of how many.
        adjust_us: how long the time before the event is to which it is adjusted; 0: it is not.
    """

    high: int = 4
    of: int = 5
    adjust_us: int = 3 * HOUR_US

    @property
    def words(self) -> str:
        """The form in words."""
        hours = self.adjust_us / HOUR_US
        same_day = f", adjusted to {hours:g} h of the day" if self.adjust_us else ", not adjusted"
        return f"high {self.high} of {self.of}{same_day}"


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline.

    Attributes:
        kw: by slice; None: not known.
        days: the days that count, ISO 8601.
        spread_kw: standard deviation over the Y days of what the form leaves unexplained.
        low: lower bound of the meters, as a share; None: not known.
        high: upper bound of the meters, as a share.
        boards: mean number of boards on those days; None: metered.
        why: why it is not known: a code; empty if it is.
    """

    kw: Callable[[Window], float | None]
    days: tuple[str, ...] = ()
    spread_kw: float | None = None
    low: float | None = None
    high: float | None = None
    boards: float | None = None
    why: str = ""


def kind_of(day: date) -> int:
    """Return the kind of a day: 0 Monday to Friday, 5 Saturday, 6 Sunday."""
    weekday = day.weekday()
    return weekday if weekday >= _SATURDAY else 0


def local_day(at_us: int, zone: tzinfo) -> date:
    """Return the local day of an instant."""
    return (_EPOCH + at_us * _US).astimezone(zone).date()


def similar_days(window: Window, busy: Iterable[Window], zone: tzinfo) -> list[date]:
    """Return earlier days of the same kind without an event, the latest first.

    Args:
        window: the event.
        busy: all events that were not withdrawn.
        zone: in which days begin.
    """
    day = local_day(window.from_us, zone)
    taken = set()
    for one in busy:
        at, last = local_day(one.from_us, zone), local_day(one.until_us - 1, zone)
        while at <= last:
            taken.add(at)
            at += timedelta(days=1)
    back = (day - timedelta(days=number) for number in range(1, MOST_DAYS + 1))
    return [one for one in back if kind_of(one) == kind_of(day) and one not in taken]


def on_day(window: Window, event: Window, day: date, zone: tzinfo) -> Window:
    """Return a window at the same local time relative to the event's day, of the same length."""
    start = (_EPOCH + window.from_us * _US).astimezone(zone)
    apart = day - local_day(event.from_us, zone)
    moved = (start.replace(tzinfo=None) + apart).replace(tzinfo=zone)
    from_us = (moved.astimezone(UTC) - _EPOCH) // _US
    return Window(from_us, from_us + window.length_us)


def before(event: Window, form: Form) -> Window | None:
    """Return the time to which a baseline is adjusted; None if it is not adjusted."""
    if not form.adjust_us:
        return None
    until_us = event.from_us - GAP_US
    return Window(until_us - form.adjust_us, until_us)


def baseline_of(
    event: Window,
    slices: Sequence[Window],
    days: Sequence[date],
    energies: Energies,
    form: Form,
    zone: tzinfo,
) -> Baseline:
    """Return the baseline of an event.

    Args:
        event: its window.
        slices: parts of it, which follow one another.
        days: similar days, the latest first.
        energies: power by window, of the event's day and of these days.
        form: which form of baseline.
        zone: in which days begin.
    """
    earlier = before(event, form)
    needed = [*slices, *([] if earlier is None else [earlier])]
    known = [
        day for day in days if all(on_day(one, event, day, zone) in energies for one in needed)
    ][: form.of]
    if len(known) < form.of:
        return Baseline(lambda _: None, why="few_days")
    if earlier is not None and earlier not in energies:
        return Baseline(lambda _: None, why="no_adjustment")

    def mean_kw(day: date, windows: Sequence[Window]) -> float:
        drawn = [energies[on_day(one, event, day, zone)].kw * one.length_us for one in windows]
        return sum(drawn) / sum(one.length_us for one in windows)

    ranked = sorted(known, key=lambda day: (-mean_kw(day, slices), day))[: form.high]
    shift = 0.0
    if earlier is not None:
        usual = statistics.fmean(mean_kw(day, [earlier]) for day in ranked)
        shift = energies[earlier].kw - usual

    def of_slice(window: Window) -> float | None:
        windows = [on_day(window, event, day, zone) for day in ranked]
        if any(one not in energies for one in windows):
            return None
        return max(0.0, statistics.fmean(energies[one].kw for one in windows) + shift)

    left = [
        mean_kw(day, slices) - (0.0 if earlier is None else mean_kw(day, [earlier]))
        for day in known
    ]
    used = [energies[on_day(one, event, day, zone)] for day in ranked for one in needed]
    lows, highs = [one.low for one in used], [one.high for one in used]
    boards = [one.boards for one in used if one.boards is not None]
    return Baseline(
        of_slice,
        tuple(sorted(day.isoformat() for day in ranked)),
        statistics.stdev(left) if len(left) > 1 else None,
        None if None in lows else min(one for one in lows if one is not None),
        None if None in highs else max(one for one in highs if one is not None),
        statistics.fmean(boards) if boards else None,
    )
