"""Which records of allocations count: lists are corrected by importing them again.

In: rows of `jobs` whose device is resolved. Out: the rows that count, and what of a new list has to
be recorded.

- Rows with an `allocation_id` are one allocation in their cluster: the row recorded last counts,
  whatever it changes.
- Rows without one are the same allocation if job, device and start are the same: the last counts.
- A row without an id is replaced by a row of the same job and device that was recorded later and
  overlaps it: a corrected start, whether the job has ended or not. Rows of one list are recorded
  together, so they never replace one another.
- A row whose end is its start withdraws the allocation.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

NEW_US = 2**63
"""Later than any record: what is being recorded now."""

Row = Mapping[str, Any]
"""A row of `jobs` by column name; `device_id` is resolved."""


class Records:
    """The latest record of each allocation.

    Args:
        rows: all records.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._latest: dict[Hashable, Row] = {}
        self._holds: dict[Hashable, list[Row]] = {}
        self._spans: dict[Hashable, _Spans] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Take a further record."""
        key = allocation_key(row)
        if key not in self._latest or _rank(row) > _rank(self._latest[key]):
            self._latest[key] = row
        self._holds.setdefault(_hold(row), []).append(row)
        self._spans.pop(_hold(row), None)

    def current(self) -> list[Row]:
        """Return the records that count, without withdrawn ones, sorted by device and start."""
        found = [row for row in self._latest.values() if self._counts(row) and not _is_empty(row)]
        return sorted(found, key=lambda r: (r["device_id"], r["start_us"], r["job_id"]))

    def latest(self, row: Row) -> Row | None:
        """Return the latest record of the allocation that a row describes, if it counts."""
        found = self._latest.get(allocation_key(row))
        return found if found is not None and self._counts(found) else None

    def rest(self, listed: Iterable[Row]) -> list[Row]:
        """Return the records that count, of jobs of a list at the same time, which it has not.

        They may be what a corrected list means to replace, but names in another way: on another
        board, in another cluster, or running since another start.
        """
        listed = list(listed)
        keys = {allocation_key(row) for row in listed}
        by_job: dict[Hashable, list[Row]] = {}
        for row in listed:
            by_job.setdefault((row["job_id"], row["node"]), []).append(
                {**row, "recorded_us": NEW_US}
            )
        spans = {job: _Spans(rows) for job, rows in by_job.items()}
        return [
            row
            for row in self.current()
            if (found := spans.get((row["job_id"], row["node"]))) is not None
            and allocation_key(row) not in keys
            and found.has_later(row)
        ]

    def to_record(self, listed: Sequence[Row]) -> list[int]:
        """Return the places of the rows of a list that have to be recorded, ascending.

        They are those that differ from the latest record of their allocation; and those that would
        be replaced by one of them, since a list's own rows are all meant.
        """
        changed = {place for place, row in enumerate(listed) if not self._has(row)}
        by_hold: dict[Hashable, list[int]] = {}
        for place, row in enumerate(listed):
            by_hold.setdefault(_hold(row), []).append(place)
        for places in by_hold.values():
            fresh = [place for place in places if place in changed]
            while fresh and len(fresh) < len(places):
                more = [
                    place
                    for place in places
                    if place not in changed
                    and any(_overlap(listed[place], listed[other]) for other in fresh)
                ]
                changed.update(more)
                fresh = more
        return sorted(changed)

    def outranks_us(self, rows: Iterable[Row]) -> int:
        """Return the earliest stamp at which new records count more than what they correct.

        A record of a host whose clock was ahead would otherwise outrank every correction.
        """
        stamp_us = 0
        for row in rows:
            older = [*self._holds.get(_hold(row), ())]
            latest = self._latest.get(allocation_key(row))
            older += [latest] if latest is not None else []
            stamp_us = max([stamp_us, *(one["recorded_us"] + 1 for one in older)])
        return stamp_us

    def _has(self, row: Row) -> bool:
        latest = self.latest(row)
        return latest is not None and all(latest[name] == value for name, value in row.items())

    def _counts(self, row: Row) -> bool:
        """Whether no later record of the same job and device has replaced a row."""
        if row.get("allocation_id") is not None:
            return True
        hold = _hold(row)
        if len(self._holds[hold]) == 1 or _is_empty(row):
            return True
        if hold not in self._spans:
            self._spans[hold] = _Spans(self._holds[hold])
        return not self._spans[hold].has_later(row)


class _Spans:
    """The times of all records of one job and device, by start: most of them do not overlap."""

    def __init__(self, rows: Iterable[Row]) -> None:
        found = [(row["start_us"], _end(row), row["recorded_us"]) for row in rows]
        self._spans = sorted(span for span in found if span[0] < span[1])
        self._starts_us = [start_us for start_us, _, _ in self._spans]
        self._ends_us = list(accumulate((end_us for _, end_us, _ in self._spans), max))

    def has_later(self, row: Row) -> bool:
        """Whether a record that was recorded later overlaps a row."""
        place = bisect_left(self._starts_us, _end(row))
        while place > 0 and self._ends_us[place - 1] > row["start_us"]:
            place -= 1
            _, end_us, recorded_us = self._spans[place]
            if recorded_us > row["recorded_us"] and end_us > row["start_us"]:
                return True
        return False


def allocation_key(row: Row) -> Hashable:
    """Return what identifies an allocation."""
    if row.get("allocation_id") is not None:
        return ("id", row.get("cluster"), row["allocation_id"])
    return (*_hold(row), row["start_us"])


def _hold(row: Row) -> tuple[str | None, str, str]:
    return (row.get("cluster"), row["job_id"], row["device_id"])


def _end(row: Row) -> float:
    return math.inf if row["end_us"] is None else row["end_us"]


def _is_empty(row: Row) -> bool:
    return bool(_end(row) <= row["start_us"])


def _overlap(one: Row, other: Row) -> bool:
    """Whether two rows hold a device at the same time."""
    start_us = max(one["start_us"], other["start_us"])
    return bool(start_us < min(_end(one), _end(other)))


def _rank(row: Row) -> tuple[int, bool, int]:
    """Return a sort key that is largest for the record that counts."""
    return (row["recorded_us"], row["end_us"] is not None, row["end_us"] or 0)
