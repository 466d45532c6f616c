"""Times of a signal's file in UTC: summer time in both directions, refused where it is not clear.

In: the texts of all rows of one signal, in the file's order. Out: microseconds since 1970, UTC.

A file is of one signal, so its order may decide the hour that comes twice in autumn: times that
come twice are the first and the second pass, or the rows go back once. A file from new to old is
read backwards. Where neither says which pass a row is of, the file is refused.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import NamedTuple, TypeVar

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.base.timestamps import checked_instant, zone
from tokenergy_collectors.importers.meters.mapping import MeterMap, Summer
from tokenergy_collectors.importers.meters.times import Stamps
from tokenergy_collectors.importers.signals.mapping import SignalMap

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1)
_US = timedelta(microseconds=1)
_FOLD = Summer(column="fold", yes=("0",), no=("1",))
_TWICE_US = 7_200_000_000
"""Rows of one autumn hour are nearer to each other than this; two autumns are a year apart."""


class Cell(NamedTuple):
    """The time of one row.

    Attributes:
        line: in the file.
        text: the time.
        offset, summer: of the columns that decide, if there are any.
    """

    line: int
    text: str
    offset: str | None = None
    summer: str | None = None


class LineError(BadValueError):
    """A time that cannot be used; `line` is where it is."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


def stamps_of(cells: Sequence[Cell], found: SignalMap, tz: str) -> list[int]:
    """Return the times of rows in microseconds UTC, in their order.

    Raises:
        LineError: one cannot be read, does not exist, or came twice and nothing says which it is.
        UserError: no zone has this name.
    """
    decides = found.summer or (_FOLD if found.fold is not None else None)
    meter_map = MeterMap(
        time=found.time, format=found.format, tz=tz, offset=found.offset, summer=decides,
        meter=found.time, value=found.value,
    )  # fmt: skip
    stamps = Stamps(meter_map)
    times = [_at(cell, partial(_time, stamps, cell)) for cell in cells]
    if found.offset is None and decides is None:
        _settle(cells, times, zone(tz), tz)
    return [
        _at(cell, partial(stamps.read, cell.text, cell.offset, cell.summer))
        if one.utc_us is None
        else one.utc_us
        for cell, one in zip(cells, times, strict=True)
    ]


def _at(cell: Cell, read: Callable[[], T]) -> T:
    """Return what `read` returns.

    Raises:
        LineError: it cannot read the time; the line is that of the cell.
    """
    try:
        return read()
    except BadValueError as error:
        raise LineError(cell.line, str(error)) from None


class _Time:
    """A time before it is clear: microseconds, and whether they are UTC already."""

    __slots__ = ("has_offset", "local_us", "utc_us")

    def __init__(self, local_us: int, has_offset: bool) -> None:
        self.local_us, self.has_offset = local_us, has_offset
        self.utc_us: int | None = None


def _time(stamps: Stamps, cell: Cell) -> _Time:
    return _Time(*stamps.parts(cell.text.strip()))


def _settle(cells: Sequence[Cell], times: Sequence[_Time], where: tzinfo, tz: str) -> None:
    """Give the times that came twice their instant, by the order of the rows."""
    twice: list[int] = []
    for place, one in enumerate(times):
        if not one.has_offset and _both(one.local_us, where, cells[place]) is not None:
            twice.append(place)
    groups: list[list[int]] = []
    for place in twice:
        near = groups and abs(times[place].local_us - times[groups[-1][-1]].local_us) < _TWICE_US
        groups[-1].append(place) if near else groups.append([place])
    backwards = _goes_back(times, {*twice})
    for group in groups:
        order = group[::-1] if backwards else group
        passes = (
            _passes([times[place].local_us for place in order]) if backwards is not None else None
        )
        if passes is None:
            cell = cells[group[0]]
            raise LineError(
                cell.line,
                f"time {cell.text!r} came twice in {tz}, when the clocks went back, and the order "
                "of the rows does not say which one this is: name a column that does, `offset` or "
                "`fold`, in --column-map",
            )
        for place, fold in zip(order, passes, strict=True):
            both = _both(times[place].local_us, where, cells[place])
            times[place].utc_us = both[fold] if both else None


def _both(local_us: int, where: tzinfo, cell: Cell) -> tuple[int, int] | None:
    """Return the two instants of a local time that came twice; None if it did not."""
    checked_instant(local_us, cell.text)
    local = _EPOCH + local_us * _US
    first, second = (
        (local.replace(tzinfo=where, fold=fold) - _EPOCH.replace(tzinfo=UTC)) // _US
        for fold in (0, 1)
    )
    return (first, second) if first < second else None


def _goes_back(times: Sequence[_Time], without: set[int]) -> bool | None:
    """Return whether a file goes from new to old; None if it does neither."""
    clear = [one.local_us for place, one in enumerate(times) if place not in without]
    steps = {later > earlier for earlier, later in itertools.pairwise(clear)}
    if len(steps) > 1:
        return None
    return steps == {False}


def _passes(local_us: Sequence[int]) -> list[int] | None:
    """Return for each time of one autumn hour which pass it is of; None if that is not clear."""
    counts = Counter(local_us)
    if set(counts.values()) == {2}:
        seen: Counter[int] = Counter()
        passes = []
        for one in local_us:
            passes.append(seen[one])
            seen[one] += 1
        return passes
    falls = [place for place in range(1, len(local_us)) if local_us[place] <= local_us[place - 1]]
    if len(falls) != 1:
        return None
    return [int(place >= falls[0]) for place in range(len(local_us))]
