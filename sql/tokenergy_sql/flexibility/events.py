"""Events of demand response as they were told last.

In: `grid_event_now` of a lake. Out: one `Event` each, with its intervals in order.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.flexibility.windows import Window

if TYPE_CHECKING:
    import duckdb

READS = 'SELECT * FROM grid_event_now ORDER BY start_us, event_id, "interval"'


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of an event, and what it asks for: at most one of the three.

    Attributes:
        window: from when until when.
        reduce_kw: reduction, kW.
        reduce_share: reduction, as a share of the baseline.
        target_kw: power to keep to, kW.
    """

    window: Window
    reduce_kw: float | None
    reduce_share: float | None
    target_kw: float | None


@dataclass(frozen=True, slots=True)
class Event:
    """An event.

    Attributes:
        event_id: its id.
        name: what the reader calls it.
        program: program or contract.
        status: its last status.
        opt: what the collector answered.
        intervals: in order; none if an interval has no end.
    """

    event_id: str
    name: str | None
    program: str | None
    status: str | None
    opt: str | None
    intervals: tuple[Interval, ...]

    @property
    def window(self) -> Window | None:
        """From the first to the last interval; None if it has no end."""
        if not self.intervals:
            return None
        last = max(one.window.until_us for one in self.intervals)
        return Window(self.intervals[0].window.from_us, last)

    @property
    def cancelled(self) -> bool:
        """Whether it was withdrawn."""
        return self.status == "cancelled"


def events_of(con: duckdb.DuckDBPyConnection) -> list[Event]:
    """Return all events, by start."""
    by_key: defaultdict[tuple[str, str | None, str], list[NamedRow]] = defaultdict(list)
    for row in named_rows(con, READS):
        by_key[row["source"], row["vtn"], row["event_id"]].append(row)
    return [_event(rows) for rows in by_key.values()]


def _event(rows: list[NamedRow]) -> Event:
    first = rows[0]
    ended = all(row["end_us"] is not None for row in rows)
    return Event(
        first["event_id"],
        first["name"],
        first["program"],
        first["status"],
        first["opt"],
        tuple(map(_interval, rows)) if ended else (),
    )


def _interval(row: NamedRow) -> Interval:
    ppm = row["reduce_ppm"]
    return Interval(
        Window(row["start_us"], row["end_us"]),
        None if row["reduce_mw"] is None else row["reduce_mw"] / 1e6,
        None if ppm is None else ppm / 1e6,
        None if row["target_mw"] is None else row["target_mw"] / 1e6,
    )


def chosen(events: list[Event], event_id: str) -> Event:
    """Return the event of an id.

    Raises:
        UserError: there is none, or several servers have one of this id.
    """
    found = [one for one in events if one.event_id == event_id]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"event {event_id!r}: {len(found)} senders have one of this id")
    known = ", ".join(one.event_id for one in events[-5:]) or "none"
    raise UserError(f"event {event_id!r}: not in the lake; it has {len(events)}, such as {known}")
