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

from tokenergy_collectors.base.clock import Clock, VirtualClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.schedule import Pace, Schedule
from tokenergy_collectors.base.workers import Worker
from tokenergy_collectors.daemon.housekeeping import Housekeeping
from tokenergy_collectors.daemon.recorder import Recorder
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, JOBS
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_collectors.live.view import LiveView, upload_metrics
from tokenergy_collectors.sampler.edges import Edges
from tokenergy_collectors.sampler.sampler import Sampler
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.clock.wallsteps import WallSteps
from tokenergy_collectors.sources.jobs.declared import DeclaredJobs, Row
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.devices import DeviceWatch
from tokenergy_collectors.sources.nvml.rate import rate_hz
from tokenergy_collectors.sources.nvml.scopes import ScopeReader
from tokenergy_collectors.sources.tokens.watch import TokenWatch

_CLOCK_EVERY_US = 60_000_000
_DEVICES_EVERY_US = 60_000_000
_SCOPES_EVERY_US = 1_000_000
_CLOCK_STEP_US = 1_000_000
_CLOCK_LOOK_US = 1_000_000
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
        live: shown everything, where somebody wants to look on.

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
        live: LiveView | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._boards = boards
        self._jobs = jobs
        self._emulated = emulated
        self._log = log
        self._missing = list(missing)
        self._offset_us = clock.realtime_us() - clock.monotonic_us()
        tally = None if live is None else live.tally
        self._recorder = Recorder(config, lake, clock, log, self._warn, self._release, tally)
        self._spool = self._recorder.spool
        self._schedule = Schedule(clock)
        self._pace = self._told = Pace()
        self._live = live
        if live is not None:
            log_bytes = self._spool.log_bytes
            live.begin(config, boards, self._offset_us, lambda: self._pace.missed, log_bytes)
            live.set_jobs(jobs.here(), jobs.spread)
            keeper = self._recorder.housekeeping
            live.extras = {} if keeper.uploads is None else upload_metrics(lambda: keeper.uploads)
        self._sampler = Sampler(boards, clock, self._offset_us, self._spool, self._hear, live)
        self._edges = Edges()
        self._wall_steps = WallSteps()
        self._devices = DeviceWatch(
            config, boards, clock, self._now_us, self._adder("device"), self._warn,
            emulated=emulated,
        )  # fmt: skip
        self._device_looker = self._worker("look at devices", self._devices.look)
        self._scopes = ScopeReader(boards, config.node, self._now_us, self._adder("host"))
        watches = [
            TokenWatch(source, config.node, self._now_us, self._wall_steps.stamp_us)
            for source in config.tokens
        ]
        self._scrapers = [
            (watch.source, self._worker(f"scrape of {watch.source.source_id}", self._scrape(watch)))
            for watch in watches
        ]
        self._counter_every_us = round(config.counter_every_s * 1_000_000)
        self._next_energy_us: int | None = None
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

    @property
    def housekeeping(self) -> Housekeeping:
        """What looks after the sealed files; to be left or drained after the run."""
        return self._recorder.housekeeping

    def _now_us(self) -> int:
        return self._clock.monotonic_us() + self._offset_us

    def _worker(self, name: str, task: Callable[[], None]) -> Worker:
        def failed(error: Exception) -> None:
            self._warn("error", None, f"{name}: {error!r}")

        return Worker(task, failed, inline=isinstance(self._clock, VirtualClock))

    def _begin(self) -> None:
        """Write what is there at start."""
        node = self._config.node
        self._devices.begin()
        boards, sources = len(self._boards), len(self._scrapers)
        self._event("start", None, f"{boards} boards, {sources} sources")
        self._log.info("start", node=node, boards=boards, sources=sources)
        for why in self._missing:
            self._warn("lost", None, why)

    def _plan(self, start_us: int) -> None:
        """Put everything that will be due on the schedule."""
        config, schedule = self._config, self._schedule
        period_us = round(1_000_000 / rate_hz(config, self._boards))
        self._pace = schedule.every(period_us, self._tick, start_us)
        schedule.every(round(config.state_every_s * 1_000_000), self._read_state, start_us)
        schedule.every(_CLOCK_EVERY_US, self._read_clock, start_us)
        schedule.every(_CLOCK_LOOK_US, self._look_at_clock, start_us + _CLOCK_LOOK_US)
        look_us = start_us + _DEVICES_EVERY_US
        schedule.every(_DEVICES_EVERY_US, self._device_looker.ask, look_us)
        if self._scopes.needed:
            schedule.every(_SCOPES_EVERY_US, self._scopes.read, start_us)
        for source, scraper in self._scrapers:
            schedule.every(round(source.every_s * 1_000_000), scraper.ask, start_us)
        self._recorder.plan(schedule, start_us)
        schedule.every(_JOBS_EVERY_US, self._read_jobs, start_us)
        schedule.every(_PACE_EVERY_US, self._tell_pace, start_us + _PACE_EVERY_US)
        self._plan_hour_edge()
        if self._end_us is not None:
            self._plan_edge(self._end_us, self._edge)

    def _plan_edge(self, at_us: int, task: Callable[[], None]) -> None:
        self._edges.add(at_us)
        self._schedule.once(at_us, task)

    def _plan_hour_edge(self) -> None:
        at_us = hour_of(self._now_us()) + HOUR_US - self._offset_us
        if self._end_us is None or at_us < self._end_us:
            self._plan_edge(at_us, self._hour_edge)

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
        if self._live is not None and news.rows:
            self._live.set_jobs(self._jobs.here(), self._jobs.spread)
        for edge_us in sorted(edge_us - self._offset_us for edge_us in news.edges_us):
            if now_us < edge_us and (self._end_us is None or edge_us < self._end_us):
                self._plan_edge(edge_us, self._edge)

    def _edge(self) -> None:
        """At the edge of a job or an hour everything is read at once, counters too."""
        self._edge_us = self._clock.monotonic_us()
        # Tokens first: they are scraped at the edge itself even where a board is slow to answer.
        for _, scraper in self._scrapers:
            scraper.ask(even_if_busy=True)
        self._sample(energy=True)

    def _tick(self) -> None:
        """Read power; and the counters once a period, which an edge to come may stretch to two.

        Counters read faster are reported to count too little, so what an edge is about to read is
        left to it.
        """
        now_us = self._clock.monotonic_us()
        edge_us = self._edges.next_us(now_us)
        if self._next_energy_us is None:
            due = True
        else:
            soon = edge_us is not None and edge_us - now_us < self._counter_every_us
            due = now_us >= self._next_energy_us and not soon
        self._sample(energy=due, edge_us=edge_us)

    def _sample(self, *, energy: bool, edge_us: int | None = None) -> None:
        if energy:
            self._next_energy_us = self._clock.monotonic_us() + self._counter_every_us
        self._sampler.sample(energy=energy, edge_us=edge_us)

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
            self._wall_steps.add(ts_us, off_us)
            self._warn("clock_step", None, f"UTC is {off_us / 1e6:+.3f} s from the stamps")

    def _look_at_clock(self) -> None:
        """Note a step of the wall clock when it happens, not only when the clocks are due."""
        off_us = self._clock.realtime_us() - self._now_us()
        if abs(off_us - self._stepped_us) > _CLOCK_STEP_US:
            self._read_clock()

    def _scrape(self, watch: TokenWatch) -> Callable[[], None]:
        def scrape() -> None:
            before = watch.failing
            rows = watch.scrape()
            self._spool.add("tokens", rows)
            if self._live is not None:
                self._live.add_tokens(watch.source, rows)
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
        self._devices.finish()
        self._device_looker.finish(max(0, wait_until_us - self._clock.monotonic_us()) / 1_000_000)
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

    def _release(self, held_too: bool) -> None:
        if held_too:
            self._sampler.flush()
        else:
            self._sampler.thin()

    def _adder(self, table: str) -> Callable[[list[tuple[Any, ...]]], None]:
        return lambda rows: self._spool.add(table, rows)

    def _hear(self, kind: str, device_id: str | None, detail: str) -> None:
        """Take an event of the sampler; a board that is back is looked at anew."""
        self._warn(kind, device_id, detail)
        if kind == "found":
            self._devices.returned(device_id)
            self._device_looker.ask(even_if_busy=True)

    def _warn(self, kind: str, device_id: str | None, detail: str) -> None:
        """Note an event, and tell it."""
        self._event(kind, device_id, detail)
        self._log.warning(kind, **({"device": device_id} if device_id else {}), why=detail)

    def _event(self, kind: str, device_id: str | None, detail: str) -> None:
        self._spool.add("event", [(self._now_us(), self._config.node, device_id, kind, detail)])
        if self._live is not None:
            self._live.events.add(kind)


def _job_row(job: Row) -> tuple[Any, ...]:
    return tuple(job.get(name) for name in JOBS.column_names)
