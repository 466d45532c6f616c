"""Scrapes one token endpoint and turns its counters into rows of `tokens`, series by series.

In: an endpoint of the configuration. Out: rows: one for each series, as it was served; the index
finds restarts and adds series up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from tokenergy_collectors.lake.contract import TOKENS
from tokenergy_collectors.sources.tokens.counters import Counter, Role
from tokenergy_collectors.sources.tokens.epochs import Epochs
from tokenergy_collectors.sources.tokens.kinds import preferred, values_of
from tokenergy_collectors.sources.tokens.ownjob import Job, OwnJob
from tokenergy_collectors.sources.tokens.page import Series, parse, prints_all_digits
from tokenergy_collectors.sources.tokens.scrape import ScrapeError, fetch
from tokenergy_collectors.sources.tokens.settings import Tls, TokenSource
from tokenergy_collectors.sources.tokens.strangers import advice

_SAME_START_US = 1_000_000


@dataclass(slots=True)
class _Engine:
    """What one engine has reported until now: roles, and counters."""

    roles: set[Role] = field(default_factory=set)
    counters: set[Counter] = field(default_factory=set)


@dataclass(slots=True)
class _Start:
    """The start of a process as its page says it, and by how much the wall clock was off."""

    since_us: int
    off_us: int


class TokenEndpoint:
    """Scrapes one endpoint; one scrape at a time.

    Args:
        source: the endpoint's table in the configuration.
        node: name of this host.
        now_us: returns the stamp of now (us UTC).
        stamp_us: returns the stamp of a wall-clock time; takes that time and the stamp of now.
        run: number of the collector's run.
        cluster: the collector's cluster, if the endpoint names no other.
        own: finds the job where the endpoint names none.

    Attributes:
        failing: why the latest scrape failed; None if it did not.
        last_us: when its page was last read (us UTC); None if it never was.
        jobs: cluster and id of the job, at the last reading; none if it is not known.
    """

    def __init__(
        self,
        source: TokenSource,
        node: str,
        now_us: Callable[[], int],
        stamp_us: Callable[[int, int], int] = lambda wall_us, _: wall_us,
        run: int | None = None,
        cluster: str | None = None,
        own: OwnJob | None = None,
    ) -> None:
        self.source = source
        self.failing: str | None = None
        self._now_us = now_us
        self._stamp_us = stamp_us
        self._same = {
            "source_id": source.source_id, "node": node, "run": run, "role": source.role,
        }  # fmt: skip
        self._own = own
        self.jobs: list[Job] = (
            [] if source.job_id is None else [(source.cluster or cluster, source.job_id)]
        )
        self.last_us: int | None = None
        self._counters = source.mapping.counters
        self._exact = False
        self._starts: list[_Start] = []
        self._engines: dict[tuple[str, str], _Engine] = {}
        self._epochs = Epochs()

    def scrape(self) -> list[tuple[Any, ...]]:
        """Read the endpoint once; return rows of `tokens`, none if it does not answer."""
        before_us = self._now_us()
        # On a virtual clock an edge and a period may ask at one instant: one answer is enough.
        if self.last_us is not None and before_us <= self.last_us:
            return []
        try:
            text = fetch_page(self.source)
            self._exact = self._exact or prints_all_digits(text)
            found = parse(text, exact=self._exact, counters=self._counters)
        except ScrapeError as error:
            self.failing = str(error)
            return []
        if not found:
            self.failing = advice(text)
            return []
        if self._own is not None:
            self.jobs = self._own.jobs(before_us)
        self.failing = None if self._own is None else self._own.why
        # The counters were read somewhere in the call: its middle errs least.
        self.last_us = (before_us + self._now_us()) // 2
        return list(self._rows(self.last_us, found))

    def _rows(self, ts_us: int, found: list[Series]) -> Iterator[tuple[Any, ...]]:
        found.sort(key=_engine_of)
        for (model, engine), group in groupby(found, _engine_of):
            told = self._engines.setdefault((model, engine), _Engine())
            series = list(group)
            told.counters |= {one.counter for one in series}
            series = preferred(series, told.counters)
            told.roles |= {one.counter.role for one in series}
            for value in values_of(series, told.roles):
                since_us = self._since(ts_us, value.since_us)
                epoch, count = self._epochs.follow(value)
                for cluster, job_id in self.jobs:
                    yield TOKENS.make_row(
                        ts_us=ts_us, model=model or self.source.model, engine=engine,
                        kind=value.kind, value=count, epoch=epoch, since_us=since_us,
                        metric=value.metric, series=value.series, quantum=value.quantum,
                        job_id=job_id, cluster=cluster, **self._same,
                    )  # fmt: skip

    def _since(self, ts_us: int, since_us: int | None) -> int | None:
        """Return the stamp of a process' start: the same each time, whatever the clock does."""
        if since_us is None:
            return None
        for start in self._starts:
            if abs(start.since_us - since_us) <= _SAME_START_US:
                return since_us - start.off_us
        off_us = since_us - self._stamp_us(since_us, ts_us)
        self._starts.append(_Start(since_us, off_us))
        return since_us - off_us


def fetch_page(source: TokenSource) -> str:
    """Return the page of an endpoint.

    Raises:
        ScrapeError: there is none: see `fetch`.
    """
    tls = source.tls if source.url.startswith("https://") and source.tls != Tls() else None
    return fetch(source.url, source.timeout_s, source.bearer_file, source.headers, tls)


def _engine_of(one: Series) -> tuple[str, str]:
    return one.model or "", one.engine
