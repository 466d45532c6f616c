"""Rows of `requests` of one endpoint: counters at each scrape, latencies once a minute.

In: pages. Out: rows. A histogram has twenty counts and more, and a server has three: once a minute,
and around the edges of hours and jobs, is enough to divide a job's requests by latency.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tokenergy_collectors.lake.contract import REQUESTS
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_collectors.sources.tokens.page import labels_text
from tokenergy_collectors.sources.tokens.requestpage import parse_requests

LATENCY_US = 60_000_000
"""Longest time between two readings of latencies while pages are read."""

OF_SOURCE = ("source_id", "node", "run")
"""Columns that all rows of an endpoint have in common."""


class RequestRows:
    """Makes rows of the pages of one endpoint.

    Args:
        every_s: seconds between two pages.
        same: what all its rows have in common: `OF_SOURCE`.
    """

    def __init__(self, every_s: float, same: Mapping[str, Any]) -> None:
        self._every_us = round(every_s * 1e6)
        self._same = same
        self._last_us: int | None = None

    def read_all(self) -> None:
        """Have the next page read whole."""
        self._last_us = None

    def of_page(
        self,
        text: str,
        ts_us: int,
        model: str | None,
        jobs: Sequence[tuple[str | None, str]],
        since: Callable[[int, int | None], int | None],
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a page.

        Args:
            text: the page.
            ts_us: when it was read (us UTC).
            model: name of the model where the page has none.
            jobs: cluster and id of the jobs that it is of.
            since: returns the stamp of a start that a page names, at the stamp of its reading.
        """
        latencies = self._due(ts_us)
        if latencies:
            self._last_us = ts_us
        for told in parse_requests(text, latencies=latencies):
            counts = json.dumps(told.counts, separators=(",", ":"), ensure_ascii=False)
            since_us = since(ts_us, told.since_us)
            for cluster, job_id in jobs:
                yield REQUESTS.make_row(
                    ts_us=ts_us, model=told.model or model, engine=told.engine,
                    kind=told.what.kind, counts=counts, metric=told.metric,
                    series=labels_text(told.labels), sum_s=told.sum_s, since_us=since_us,
                    job_id=job_id, cluster=cluster, **self._same,
                )  # fmt: skip

    def _due(self, now_us: int) -> bool:
        """Whether latencies are to be read: for a minute they were not, or an hour's edge is near.

        The last page before the edge and the first one after it leave little open there.
        """
        last_us = self._last_us
        return (
            last_us is None
            or now_us - last_us >= LATENCY_US
            or hour_of(last_us) != hour_of(now_us)
            or hour_of(now_us + self._every_us) != hour_of(now_us)
        )
