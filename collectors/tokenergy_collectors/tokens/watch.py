"""Watches one token endpoint: scrapes it and turns its counters into rows of `tokens`.

In: a source of the configuration. Out: rows; a counter that falls, or a server that started anew,
begins a new epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tokenergy_collectors.config import TokenSource
from tokenergy_collectors.tokens.scrape import Scraped, ScrapeError, fetch, parse

_SAME_START_US = 1_000_000


@dataclass(slots=True)
class _Last:
    value: int
    since_us: int | None
    epoch: int


class TokenWatch:
    """Scrapes one source; keeps the epochs of its counters.

    Attributes:
        failing: why the last scrape failed; None if it did not.
    """

    def __init__(self, source: TokenSource, node: str, now_us: Callable[[], int]) -> None:
        self.source = source
        self.failing: str | None = None
        self._node = node
        self._now_us = now_us
        self._last: dict[tuple[str | None, str, str], _Last] = {}

    def scrape(self) -> list[tuple[Any, ...]]:
        """Read the endpoint once; return rows of `tokens`, none if it does not answer."""
        before_us = self._now_us()
        try:
            found = parse(fetch(self.source.url, self.source.timeout_s))
        except ScrapeError as error:
            self.failing = str(error)
            return []
        self.failing = None
        ts_us = (before_us + self._now_us()) // 2
        return [
            self._row(ts_us, engine, kind, value)
            for engine in found
            for kind, value in engine.kinds.items()
        ]

    def _row(self, ts_us: int, found: Scraped, kind: str, value: int) -> tuple[Any, ...]:
        key = (found.model, found.engine, kind)
        last = self._last.get(key)
        epoch = 0
        if last is not None:
            epoch = last.epoch + (value < last.value or _restarted(last.since_us, found.since_us))
        self._last[key] = _Last(value, found.since_us, epoch)
        source = self.source
        return (
            ts_us,
            source.source_id,
            self._node,
            source.job_id,
            found.model or source.model,
            found.engine,
            kind,
            value,
            epoch,
            found.since_us,
        )


def _restarted(before_us: int | None, now_us: int | None) -> bool:
    return before_us is not None and now_us is not None and abs(now_us - before_us) > _SAME_START_US
