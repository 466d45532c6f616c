"""Token counters in the last minute: one series per source, model, engine and kind.

In: rows of `tokens`, as they are scraped. Out: the latest totals and the points of the last minute.
The total of a counter that restarted continues from its value before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tokenergy_collectors.live.board import WINDOW_US
from tokenergy_collectors.live.curve import Point


class SeriesKey(NamedTuple):
    """What identifies a counter."""

    source_id: str
    model: str
    engine: str
    kind: str


class Series:
    """One counter.

    Attributes:
        job_id: the job it counts for.
        limit_us: age above which its value is not shown.
        points: stamps (us UTC) and totals of a little more than a minute, oldest first.
    """

    def __init__(self, job_id: str, limit_us: int) -> None:
        self.job_id = job_id
        self.limit_us = limit_us
        self.points: tuple[Point, ...] = ()
        self._value = 0
        self._epoch = 0

    def add(self, ts_us: int, value: int, epoch: int) -> None:
        """Take a reading: tokens since the counter started, and the number of that start."""
        total = value
        if self.points:
            restarted = epoch != self._epoch or value < self._value
            total = self.points[-1][1] + (value if restarted else value - self._value)
        self._value, self._epoch = value, epoch
        oldest_us = ts_us - WINDOW_US - self.limit_us
        # A new tuple each time: other threads read `points` without a lock.
        kept = (point for point in self.points if oldest_us <= point[0] < ts_us)
        self.points = (*kept, (ts_us, total))

    def total(self, now_us: int) -> int | None:
        """Return the latest total; None if it is older than its limit."""
        if not self.points or now_us - self.points[-1][0] > self.limit_us:
            return None
        return self.points[-1][1]

    def minute(
        self, now_us: int, span: tuple[int, int] | None = None
    ) -> tuple[Point, Point] | None:
        """Return the first and the last point of the last minute; None if it has fewer than two.

        Args:
            now_us: now (us UTC); if the latest point is older than its limit, there are none.
            span: use only points between these instants (us UTC).
        """
        if self.total(now_us) is None:
            return None
        from_us, to_us = span or (0, now_us)
        inside = [point for point in self.points if from_us <= point[0] <= to_us]
        # The minute ends at the latest point, not now: between scrapes nothing is known.
        inside = [point for point in inside if inside[-1][0] - point[0] <= WINDOW_US]
        return (inside[0], inside[-1]) if len(inside) > 1 else None


def follow(
    series: dict[SeriesKey, Series], rows: Iterable[dict[str, Any]], limits_us: Mapping[str, int]
) -> None:
    """Add rows of `tokens` to their series.

    Args:
        series: gets the points.
        rows: by column name.
        limits_us: by source, the age above which its values are not shown.
    """
    for row in rows:
        limit_us = limits_us.get(row["source_id"], WINDOW_US)
        key = SeriesKey(row["source_id"], row["model"] or "", row["engine"], row["kind"])
        found = series.setdefault(key, Series(row["job_id"], limit_us))
        found.job_id, found.limit_us = row["job_id"], limit_us
        found.add(row["ts_us"], row["value"], row["epoch"])
