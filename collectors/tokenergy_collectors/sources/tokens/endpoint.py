"""Scrapes one token endpoint and turns its counters into rows of `tokens`.

In: an endpoint of the configuration. Out: rows. A counter that falls, or a server that restarted,
begins a new epoch of all counters of its engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tokenergy_collectors.sources.tokens.counters import Role, kinds_of
from tokenergy_collectors.sources.tokens.scrape import Scraped, ScrapeError, fetch, parse
from tokenergy_collectors.sources.tokens.settings import TokenSource

_SAME_START_US = 1_000_000


@dataclass(slots=True)
class _Engine:
    """The counters of one engine and their kinds, as far as reported in this epoch."""

    epoch: int
    since_us: int | None
    since_off_us: int
    roles: dict[Role, int]
    kinds: dict[str, int]


class TokenEndpoint:
    """Scrapes one endpoint and numbers the epochs of its counters; one scrape at a time.

    Args:
        source: the endpoint's table in the configuration.
        node: name of this host.
        now_us: returns the stamp of now (us UTC).
        stamp_us: returns the stamp of a wall-clock time; takes that time and the stamp of now.

    Attributes:
        failing: why the latest scrape failed; None if it did not.
    """

    def __init__(
        self,
        source: TokenSource,
        node: str,
        now_us: Callable[[], int],
        stamp_us: Callable[[int, int], int] = lambda wall_us, _: wall_us,
    ) -> None:
        self.source = source
        self.failing: str | None = None
        self._node = node
        self._now_us = now_us
        self._stamp_us = stamp_us
        self._last_us: int | None = None
        self._engines: dict[tuple[str | None, str], _Engine] = {}

    def scrape(self) -> list[tuple[Any, ...]]:
        """Read the endpoint once; return rows of `tokens`, none if it does not answer."""
        before_us = self._now_us()
        # On a virtual clock an edge and a period may ask at one instant: one answer is enough.
        if self._last_us is not None and before_us <= self._last_us:
            return []
        try:
            found = parse(fetch(self.source.url, self.source.timeout_s))
        except ScrapeError as error:
            self.failing = str(error)
            return []
        if not found:
            self.failing = "serves no known token counter"
            return []
        self.failing = None
        # The counters were read somewhere in the call: its middle errs least.
        self._last_us = (before_us + self._now_us()) // 2
        return [row for engine in found for row in self._rows(self._last_us, engine)]

    def _rows(self, ts_us: int, found: Scraped) -> list[tuple[Any, ...]]:
        engine, kinds = self._follow(ts_us, found)
        source = self.source
        since_us = None if found.since_us is None else found.since_us - engine.since_off_us
        head = (ts_us, source.source_id, self._node, source.job_id, found.model or source.model)
        return [
            (*head, found.engine, kind, value, engine.epoch, since_us)
            for kind, value in kinds.items()
        ]

    def _follow(self, ts_us: int, found: Scraped) -> tuple[_Engine, dict[str, int]]:
        """Update an engine; return it and the kinds that it reports now."""
        engine = self._engines.setdefault((found.model, found.engine), _Engine(0, None, 0, {}, {}))
        known = engine.roles.keys() | found.roles.keys()
        if _restarted(engine, found):
            engine.epoch += 1
            engine.kinds = {}
            engine.roles = dict.fromkeys(known, 0)
        engine.roles |= found.roles
        if found.since_us is not None:
            if not _same_start(engine, found.since_us):
                engine.since_off_us = found.since_us - self._stamp_us(found.since_us, ts_us)
            engine.since_us = found.since_us
        # Computed prompts are a difference of counters that a server does not update together, so
        # the difference alone may fall a little. A counter may not.
        kinds = {
            kind: max(value, engine.kinds.get(kind, 0))
            for kind, value in kinds_of(found.roles, known).items()
        }
        engine.kinds |= kinds
        return engine, kinds


def _restarted(engine: _Engine, found: Scraped) -> bool:
    if any(value < engine.roles.get(role, 0) for role, value in found.roles.items()):
        return True
    if engine.since_us is None or found.since_us is None:
        return False
    return not _same_start(engine, found.since_us)


def _same_start(engine: _Engine, since_us: int) -> bool:
    return engine.since_us is not None and abs(since_us - engine.since_us) <= _SAME_START_US
