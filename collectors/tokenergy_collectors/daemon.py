"""The daemon: boards and token endpoints in, sealed files out, on one schedule.

    boards -> sampler -> thinner -> spool -> log -> lake,  endpoints -> watch -> spool -> ...

Schedules run on the monotonic clock. A stamp is monotonic time plus the offset to UTC found at
start, so that a jump of the wall clock neither bends nor repeats anything; the `clock` table keeps
what the clocks showed. Slow work (scrapes, sealing) runs beside the sampling on a real clock, and
in line with it on a virtual one, where waiting would let time pass.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from tokenergy_collectors.boards import Board
from tokenergy_collectors.clock import Clock, VirtualClock
from tokenergy_collectors.config import Config
from tokenergy_collectors.contract import HOUR_US, JOBS
from tokenergy_collectors.declared import DeclaredJobs, Row
from tokenergy_collectors.errors import UserError
from tokenergy_collectors.lake import Lake, hour_of
from tokenergy_collectors.logs import Log
from tokenergy_collectors.recorder import Recorder
from tokenergy_collectors.sampler import Sampler
from tokenergy_collectors.schedule import Pace, Schedule
from tokenergy_collectors.tokens.watch import TokenWatch
from tokenergy_collectors.workers import Worker

_CLOCK_EVERY_US = 60_000_000
_CLOCK_STEP_US = 1_000_000
_JOBS_EVERY_US = 10_000_000
_PACE_EVERY_US = 60_000_000
_STOP_US = 5_000_000


class Daemon:
    """Samples the boards of one node until told to stop.

    Args:
        config: what to sample.
        lake: where to write.
        clock: real or virtual.
        boards: the boards, opened.
        jobs: the allocations declared for this node, asked now and then for news.
        emulated: True if the boards are the emulator's.
        log: where events are told.
        missing: what is wrong with boards that could not be opened.

    Raises:
        UserError: the node's name or the lake's folder cannot be used, or another process collects
            this node.
    """

    def __init__(
        self,
        config: Config,
        lake: Lake,
        clock: Clock,
        boards: list[Board],
        jobs: DeclaredJobs,
        *,
        emulated: bool,
        log: Log,
        missing: Iterable[str] = (),
    ) -> None:
        self._config = config
        self._clock = clock
        self._boards = boards
        self._jobs = jobs
        self._emulated = emulated
        self._log = log
        self._missing = list(missing)
        self._offset_us = clock.realtime_us() - clock.monotonic_us()
        self._recorder = Recorder(config, lake, clock, log, self._warn, self._release)
        self._spool = self._recorder.spool
        self._sampler = Sampler(boards, clock, self._offset_us, self._spool, self._warn)
        self._schedule = Schedule(clock)
        self._pace = self._told = Pace()
        watches = [TokenWatch(source, config.node, self._now_us) for source in config.tokens]
        self._scrapers = [
            (watch.source, self._worker(f"scrape of {watch.source.source_id}", self._scrape(watch)))
            for watch in watches
        ]
        self._next_energy_us = 0
        self._next_processes_us = 0
        self._end_us: int | None = None
        self._edge_us: int | None = None
        self._stepped_us = 0
        self._jobs_problem = ""

    def run(self, stop: threading.Event, duration_us: int | None = None) -> dict[str, int]:
        """Sample until `stop` is set or the duration is over; then seal and return row counts.

        Args:
            stop: set by a signal.
            duration_us: how long to run; for ever if None.

        Raises:
            UserError: the last rows cannot be written, tried several times.
        """
        start_us = self._clock.monotonic_us()
        self._end_us = None if duration_us is None else start_us + duration_us
        try:
            self._begin()
            self._plan(start_us)
            try:
                self._schedule.run(self._end_us, stop)
            finally:
                counts = self._finish(start_us)
        finally:
            self._recorder.close()
        return counts

    def _now_us(self) -> int:
        return self._clock.monotonic_us() + self._offset_us

    def _worker(self, name: str, task: Callable[[], None]) -> Worker:
        def failed(error: Exception) -> None:
            self._warn("error", None, f"{name}: {error!r}")

        return Worker(task, failed, inline=isinstance(self._clock, VirtualClock))

    def _begin(self) -> None:
        """Write what is there at start."""
        now_us, node, place = self._now_us(), self._config.node, self._config.place
        period_us = round(1_000_000 / self._config.rate_hz)
        for board in self._boards:
            found = (now_us, board.device_id, node, board.index, board.name, board.pci, None)
            told = (board.limit_mw, board.driver, max(board.update_us or 0, period_us))
            learned = (board.sensor, board.update_us, board.counter_us)
            where = (place.site, place.hall, place.pod, place.rack)
            self._spool.add("device", [(*found, *told, *learned, *where, self._emulated)])
        boards, sources = len(self._boards), len(self._scrapers)
        self._event("start", None, f"{boards} boards, {sources} sources")
        self._log.info("start", node=node, boards=boards, sources=sources)
        for why in self._missing:
            self._warn("lost", None, why)

    def _plan(self, start_us: int) -> None:
        """Put everything that will be due on the schedule."""
        config, schedule = self._config, self._schedule
        self._pace = schedule.every(round(1_000_000 / config.rate_hz), self._tick, start_us)
        schedule.every(round(config.state_every_s * 1_000_000), self._read_state, start_us)
        schedule.every(_CLOCK_EVERY_US, self._read_clock, start_us)
        for source, scraper in self._scrapers:
            schedule.every(round(source.every_s * 1_000_000), scraper.ask, start_us)
        self._recorder.plan(schedule, start_us)
        schedule.every(_JOBS_EVERY_US, self._read_jobs, start_us)
        schedule.every(_PACE_EVERY_US, self._tell_pace, start_us + _PACE_EVERY_US)
        self._plan_hour_edge()
        if self._end_us is not None:
            schedule.once(self._end_us, self._edge)

    def _plan_hour_edge(self) -> None:
        at_us = hour_of(self._now_us()) + HOUR_US - self._offset_us
        if self._end_us is None or at_us < self._end_us:
            self._schedule.once(at_us, self._hour_edge)

    def _hour_edge(self) -> None:
        self._edge()
        self._plan_hour_edge()

    def _read_jobs(self) -> None:
        """Take over declared allocations, and plan a reading at each of their edges to come."""
        now_us = self._clock.monotonic_us()
        try:
            news = self._jobs.news(now_us + self._offset_us)
        except UserError as error:
            if str(error) != self._jobs_problem:
                self._jobs_problem = str(error)
                self._warn("error", None, f"jobs: {error}")
            return
        self._jobs_problem = ""
        self._spool.add("jobs", [_job_row(job) for job in news.rows])
        for edge_us in sorted(edge_us - self._offset_us for edge_us in news.edges_us):
            if now_us < edge_us and (self._end_us is None or edge_us < self._end_us):
                self._schedule.once(edge_us, self._edge)

    def _edge(self) -> None:
        """At the edge of a job or an hour everything is read at once, counters too."""
        self._edge_us = self._clock.monotonic_us()
        self._sample(energy=True)
        for _, scraper in self._scrapers:
            scraper.ask(even_if_busy=True)

    def _tick(self) -> None:
        self._sample(energy=self._clock.monotonic_us() >= self._next_energy_us)

    def _sample(self, *, energy: bool) -> None:
        if energy:
            period_us = round(self._config.counter_every_s * 1_000_000)
            self._next_energy_us = self._clock.monotonic_us() + period_us
        self._sampler.sample(energy=energy)

    def _read_state(self) -> None:
        now_us = self._clock.monotonic_us()
        processes = now_us >= self._next_processes_us
        if processes:
            self._next_processes_us = now_us + round(self._config.processes_every_s * 1_000_000)
        self._sampler.read_state(processes=processes)

    def _read_clock(self) -> None:
        clock = self._clock
        monotonic_us, boottime_us = clock.monotonic_us(), clock.boottime_us()
        realtime_us, ts_us = clock.realtime_us(), monotonic_us + self._offset_us
        row = (ts_us, self._config.node, monotonic_us, boottime_us, realtime_us)
        self._spool.add("clock", [row])
        off_us = realtime_us - ts_us
        if abs(off_us - self._stepped_us) > _CLOCK_STEP_US:
            self._stepped_us = off_us
            self._warn("clock_step", None, f"UTC is {off_us / 1e6:+.3f} s from the stamps")

    def _scrape(self, watch: TokenWatch) -> Callable[[], None]:
        def scrape() -> None:
            before = watch.failing
            self._spool.add("tokens", watch.scrape())
            if watch.failing is not None and before is None:
                self._log.warning("scrape_failed", source=watch.source.source_id, why=watch.failing)
            elif watch.failing is None and before is not None:
                self._log.info("scrape_works", source=watch.source.source_id)

        return scrape

    def _finish(self, start_us: int) -> dict[str, int]:
        """Read the edge, write what is held back, seal."""
        if self._end_us is None or self._edge_us is None or self._edge_us < self._end_us:
            self._edge()
        self._sampler.flush()
        wait_until_us = self._clock.monotonic_us() + _STOP_US
        for source, scraper in self._scrapers:
            left_us = max(0, wait_until_us - self._clock.monotonic_us())
            if not scraper.finish(left_us / 1_000_000):
                self._warn("error", None, f"scrape of {source.source_id}: still runs at the stop")
        self._recorder.finish()
        self._tell_pace()
        ran_s = (self._clock.monotonic_us() - start_us) / 1_000_000
        self._event("stop", None, f"after {ran_s:.3f} s")
        counts = self._recorder.seal_at_last()
        pace = self._pace
        told = {"ticks": pace.runs, "late": pace.late, "left_out": pace.left_out}
        self._log.info("stop", ran_s=ran_s, **told, worst_ms=pace.worst_us / 1_000, rows=counts)
        return counts

    def _tell_pace(self) -> None:
        """Note how many ticks came late or not at all since this was told the last time."""
        detail = self._pace.lateness(self._told)
        if detail is not None:
            self._told = replace(self._pace)
            self._event("late", None, detail)

    def _release(self) -> None:
        self._sampler.flush()

    def _warn(self, kind: str, device_id: str | None, detail: str) -> None:
        """Note an event, and tell it."""
        self._event(kind, device_id, detail)
        self._log.warning(kind, **({"device": device_id} if device_id else {}), why=detail)

    def _event(self, kind: str, device_id: str | None, detail: str) -> None:
        self._spool.add("event", [(self._now_us(), self._config.node, device_id, kind, detail)])


def _job_row(job: Row) -> tuple[Any, ...]:
    return tuple(job.get(name) for name in JOBS.column_names)
