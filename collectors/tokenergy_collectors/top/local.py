"""A live view without a daemon: boards sampled in this process, nothing written.

In: a configuration, and the boards of this host or of an emulated node. Out: the view, fed until
told to stop. It is the daemon's own sampler, with a spool that keeps nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.clock import Clock, SystemClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.schedule import Pace, Schedule
from tokenergy_collectors.base.workers import Worker
from tokenergy_collectors.live.view import LiveView
from tokenergy_collectors.sampler.sampler import Sampler
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.jobs.declared import DeclaredJobs
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.rate import rate_hz
from tokenergy_collectors.sources.tokens.watch import TokenWatch

_JOBS_EVERY_US = 10_000_000
_STOP_S = 3.0


class HeadStart(SystemClock):
    """The clocks of this host, ahead: time flies until a head start is over, then it walks.

    Args:
        ahead_us: how far to fly.
    """

    def __init__(self, ahead_us: int) -> None:
        self._ahead_us = 0
        self._flies_until_us = super().monotonic_us() + ahead_us

    def monotonic_us(self) -> int:
        """Return CLOCK_MONOTONIC, ahead."""
        return super().monotonic_us() + self._ahead_us

    def boottime_us(self) -> int:
        """Return CLOCK_BOOTTIME, ahead."""
        return super().boottime_us() + self._ahead_us

    def realtime_us(self) -> int:
        """Return CLOCK_REALTIME, ahead."""
        return super().realtime_us() + self._ahead_us

    def flies(self) -> bool:
        """Tell whether the head start is not over."""
        return self.monotonic_us() < self._flies_until_us

    def sleep_until(self, monotonic_us: int, stop: threading.Event) -> None:
        """Move on at once in the head start, wait after it."""
        if monotonic_us > self._flies_until_us:
            super().sleep_until(monotonic_us, stop)
        elif not stop.is_set():
            self._ahead_us += max(0, monotonic_us - self.monotonic_us())


class LocalWatch:
    """Samples boards into a view.

    Args:
        config: what to sample how often; its lake is not touched.
        clock: real, or with a head start on an emulated node.
        boards: the boards, opened.
        jobs: the allocations declared for this node.
        inline: scrape in the sampling's own thread, as on an emulated node, whose time may fly.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        boards: Sequence[Board],
        jobs: DeclaredJobs,
        *,
        inline: bool,
    ) -> None:
        self._config = config
        self._clock = clock
        self._boards = list(boards)
        self._jobs = jobs
        self._schedule = Schedule(clock)
        self._pace = Pace()
        self._next_energy_us = 0
        self._next_processes_us = 0
        offset_us = clock.realtime_us() - clock.monotonic_us()
        self.view = LiveView(clock)
        self.view.begin(config, boards, offset_us, lambda: self._pace.missed)
        self._sampler = Sampler(self._boards, clock, offset_us, _Nowhere(), self._event, self.view)
        watches = [TokenWatch(source, config.node, self.view.now_us) for source in config.tokens]
        self._scrapers = [
            (round(watch.source.every_s * 1_000_000), self._scraper(watch, inline))
            for watch in watches
        ]

    def run(self, stop: threading.Event, duration_us: int | None = None) -> None:
        """Sample until `stop` is set or the duration is over (us)."""
        schedule, start_us = self._schedule, self._clock.monotonic_us()
        schedule.every(_JOBS_EVERY_US, self._read_jobs, start_us)
        period_us = round(1_000_000 / rate_hz(self._config, self._boards))
        self._pace = schedule.every(period_us, self._tick, start_us)
        schedule.every(round(self._config.state_every_s * 1_000_000), self._state, start_us)
        for every_us, scraper in self._scrapers:
            schedule.every(every_us, scraper.ask, start_us)
        try:
            schedule.run(None if duration_us is None else start_us + duration_us, stop)
        finally:
            for _, scraper in self._scrapers:
                scraper.finish(_STOP_S)

    def _tick(self) -> None:
        now_us = self._clock.monotonic_us()
        energy = now_us >= self._next_energy_us
        if energy:
            self._next_energy_us = now_us + round(self._config.counter_every_s * 1_000_000)
        self._sampler.sample(energy=energy)

    def _state(self) -> None:
        now_us = self._clock.monotonic_us()
        processes = now_us >= self._next_processes_us
        if processes:
            self._next_processes_us = now_us + round(self._config.processes_every_s * 1_000_000)
        self._sampler.read_state(processes=processes)

    def _read_jobs(self) -> None:
        try:
            self._jobs.news(self.view.now_us())
        except UserError as error:
            self._event("error", None, str(error))
        self.view.set_jobs(self._jobs.here(), self._jobs.spread)

    def _scraper(self, watch: TokenWatch, inline: bool) -> Worker:
        def failed(error: Exception) -> None:
            self._event("error", None, repr(error))

        def scrape() -> None:
            self.view.add_tokens(watch.source, watch.scrape())

        return Worker(scrape, failed, inline=inline)

    def _event(self, kind: str, _device_id: str | None, _detail: str) -> None:
        self.view.events.add(kind)


class _Nowhere:
    """A spool that keeps nothing."""

    def add(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Forget the rows."""


def declared(
    config: Config,
    boards: list[Board],
    rows: Iterable[Mapping[str, Any]] = (),
    spread: Collection[str] = (),
) -> DeclaredJobs:
    """Return the jobs of a configuration's job file, or of rows of `jobs`.

    Raises:
        UserError: the job file cannot be read.
    """
    path = None if config.jobs_file is None else Path(config.jobs_file)
    jobs = DeclaredJobs(config.node, boards, path, rows)
    jobs.spread.update(spread)
    return jobs
