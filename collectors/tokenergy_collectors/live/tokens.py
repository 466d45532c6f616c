"""Token counters in the last minute: one series per source, model, engine and kind.

In: rows of `tokens`, as they are scraped. Out: the latest totals and the points of the last minute.
The total of a counter that restarted continues from its value before. It is a first look: the index
knows also what came later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.jobkey import job_key
from tokenergy_collectors.live.board import WINDOW_US
from tokenergy_collectors.live.curve import Point
from tokenergy_collectors.sources.tokens.counters import FRONTENDS, replica_labels
from tokenergy_collectors.sources.tokens.page import labels_text


class SeriesKey(NamedTuple):
    """What identifies the tokens that are shown."""

    source_id: str
    model: str
    engine: str
    kind: str
    job_id: str


class _Counter:
    """One series of one process.

    Args:
        row: its first reading, a row of `tokens`.
        before_us: when the engine was read before that, if it was.

    Attributes:
        parallel: its labels without those of ranks that count the same tokens.
        total: tokens counted; a counter that restarted goes on from its value before.
    """

    def __init__(self, row: Mapping[str, Any], before_us: int | None) -> None:
        labels = json.loads(row["series"] or "{}")
        for name in replica_labels(row["metric"]):
            labels.pop(name, None)
        self.parallel = labels_text(labels)
        # A process that was there before its first reading made its tokens before, too.
        since_us = row["since_us"]
        began = before_us is None or (since_us is not None and since_us > before_us)
        self.total = row["value"] if began else 0
        self._value: int = row["value"]
        self._low: int | None = None

    def add(self, value: int) -> None:
        """Take a reading. A single low one is no restart."""
        if value >= self._value:
            self.total += value - self._value
            self._value, self._low = value, None
        elif self._low is None:
            self._low = value
        else:
            self.total += value
            self._value, self._low = value, None


class Series:
    """The tokens of one kind that one engine counted: all its series together.

    Attributes:
        job_id: the job it counts for.
        frontend: whether a frontend or client counts it, which counts what the workers count.
        limit_us: age above which its value is not shown.
        points: stamps (us UTC) and totals of a little more than a minute, oldest first.
    """

    def __init__(self, job_id: str, limit_us: int, frontend: bool) -> None:
        self.job_id = job_id
        self.frontend = frontend
        self.limit_us = limit_us
        self.points: tuple[Point, ...] = ()
        self._counters: dict[tuple[str, str, int | None], _Counter] = {}

    def add(self, ts_us: int, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take the readings of one scrape: rows of `tokens`, one a series."""
        before_us = self.points[-1][0] if self.points else None
        for row in rows:
            key = (row["metric"] or "", row["series"] or "", row["since_us"])
            counter = self._counters.get(key)
            if counter is None:
                counter = self._counters[key] = _Counter(row, before_us)
            counter.add(row["value"])
        oldest_us = ts_us - WINDOW_US - self.limit_us
        # A new tuple each time: other threads read `points` without a lock.
        kept = (point for point in self.points if oldest_us <= point[0] < ts_us)
        self.points = (*kept, (ts_us, self._sum()))

    def _sum(self) -> int:
        """Return the largest of ranks that count the same, added over all other labels."""
        by_metric: dict[str, dict[str, int]] = {}
        by_rank: dict[tuple[str, str, str], int] = {}
        for (metric, series, _), counter in self._counters.items():
            key = (metric, counter.parallel, series)
            by_rank[key] = by_rank.get(key, 0) + counter.total
        for (metric, parallel, _), total in by_rank.items():
            of_metric = by_metric.setdefault(metric, {})
            of_metric[parallel] = max(of_metric.get(parallel, 0), total)
        return max(sum(of_metric.values()) for of_metric in by_metric.values())

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
    scrapes: dict[tuple[SeriesKey, int], list[dict[str, Any]]] = {}
    for row in rows:
        # Several programs of one name, each in its own job, push or report under one source.
        job_id = job_key(row["cluster"], row["job_id"])
        key = SeriesKey(row["source_id"], row["model"] or "", row["engine"], row["kind"], job_id)
        scrapes.setdefault((key, row["ts_us"]), []).append(row)
    for (key, ts_us), of_scrape in scrapes.items():
        limit_us = limits_us.get(key.source_id, WINDOW_US)
        found = series.get(key)
        if found is None:
            _forget(series, ts_us)
            frontend = (of_scrape[0]["metric"] or "").startswith(FRONTENDS)
            found = series[key] = Series(key.job_id, limit_us, frontend)
        found.limit_us = limit_us
        found.add(ts_us, of_scrape)


def _forget(series: dict[SeriesKey, Series], ts_us: int) -> None:
    """Remove series of jobs that are over: they would add up in a daemon that runs for months."""
    for key in [key for key, one in series.items() if one.points[-1][0] < ts_us - HOUR_US]:
        del series[key]
