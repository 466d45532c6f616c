"""The daemon: boards and token endpoints in, sealed files out, on one schedule.

    boards, endpoints -> sampler (this file) -> thinner -> spool -> lake

Schedules run on the monotonic clock. A stamp is monotonic time plus the offset to UTC found at
start, so that a jump of the wall clock neither bends nor repeats anything; the `clock` table keeps
what the clocks showed. Slow work (scrapes, sealing) runs beside the sampling on a real clock, and
in line with it on a virtual one, where waiting would let time pass.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pynvml

from tokenergy_collectors.boards import Board
from tokenergy_collectors.clock import Clock, VirtualClock
from tokenergy_collectors.config import Config
from tokenergy_collectors.contract import HOUR_US, JOBS
from tokenergy_collectors.declared import DeclaredJobs
from tokenergy_collectors.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.logs import Log
from tokenergy_collectors.schedule import Schedule
from tokenergy_collectors.spool import Spool
from tokenergy_collectors.thin import Reading, Thinner
from tokenergy_collectors.tokens.watch import TokenWatch

_CLOCK_EVERY_US = 60_000_000
_JOBS_EVERY_US = 10_000_000
_RETRY_US = 1_000_000


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
    ) -> None:
        self._config = config
        self._clock = clock
        self._boards = boards
        self._jobs = jobs
        self._emulated = emulated
        self._log = log
        self._offset_us = clock.realtime_us() - clock.monotonic_us()
        self._spool = Spool(lake, config.node)
        self._thinners = [Thinner() for _ in boards]
        self._failing: dict[int, int] = {}
        self._watches = [TokenWatch(s, config.node, self._now_us) for s in config.tokens]
        self._schedule = Schedule(clock)
        self._pool = None if isinstance(clock, VirtualClock) else ThreadPoolExecutor(4)
        self._scraping: dict[str, Future[None]] = {}
        self._next_energy_us = 0
        self._next_processes_us = 0
        self._end_us: int | None = None

    def run(self, stop: threading.Event, duration_us: int | None = None) -> dict[str, int]:
        """Sample until `stop` is set or the duration is over; then seal and return row counts.

        Args:
            stop: set by a signal.
            duration_us: how long to run; for ever if None.
        """
        start_us = self._clock.monotonic_us()
        self._end_us = None if duration_us is None else start_us + duration_us
        self._begin()
        self._plan(start_us)
        try:
            self._schedule.run(self._end_us, stop)
        finally:
            counts = self._finish(start_us)
        return counts

    def _now_us(self) -> int:
        return self._clock.monotonic_us() + self._offset_us

    def _begin(self) -> None:
        """Write what is there at start: devices, jobs, clocks."""
        now_us, node, place = self._now_us(), self._config.node, self._config.place
        for board in self._boards:
            found = (now_us, board.device_id, node, board.index, board.name, board.pci, None)
            told = (board.limit_mw, board.driver, None)
            where = (place.site, place.hall, place.pod, place.rack)
            self._spool.add("device", [(*found, *told, *where, self._emulated)])
        self._event("start", None, f"{len(self._boards)} boards, {len(self._watches)} sources")
        self._log.info("start", node=node, boards=len(self._boards), sources=len(self._watches))

    def _plan(self, start_us: int) -> None:
        """Put everything that will be due on the schedule."""
        config, schedule = self._config, self._schedule
        schedule.every(round(1_000_000 / config.rate_hz), self._tick, start_us)
        schedule.every(round(config.state_every_s * 1_000_000), self._read_state, start_us)
        schedule.every(_CLOCK_EVERY_US, self._read_clock, start_us)
        for watch in self._watches:
            period_us = round(watch.source.every_s * 1_000_000)
            schedule.every(period_us, self._scrape_task(watch), start_us)
        roll_us = round(config.roll_s * 1_000_000)
        schedule.every(roll_us, self._roll, start_us + roll_us)
        next_hour_us = HOUR_US - (start_us + self._offset_us) % HOUR_US + start_us
        schedule.every(HOUR_US, self._edge, next_hour_us)
        schedule.every(_JOBS_EVERY_US, self._read_jobs, start_us)
        if self._end_us is not None:
            schedule.once(self._end_us, self._edge)

    def _read_jobs(self) -> None:
        """Take over declared allocations, and plan a reading at each of their edges to come."""
        try:
            jobs = self._jobs.news()
        except UserError as error:
            self._log.warning("jobs_unreadable", why=error)
            return
        now_us = self._clock.monotonic_us()
        self._spool.add("jobs", [_job_row(job, now_us + self._offset_us) for job in jobs])
        edges = {job[key] for job in jobs for key in ("start_us", "end_us")}
        for edge_us in sorted(edge - self._offset_us for edge in edges if edge is not None):
            if now_us < edge_us and (self._end_us is None or edge_us < self._end_us):
                self._schedule.once(edge_us, self._edge)

    def _edge(self) -> None:
        """At the edge of a job or an hour everything is read at once, counters too."""
        self._sample(energy=True)
        for watch in self._watches:
            self._scrape_task(watch)()

    def _tick(self) -> None:
        now_us = self._clock.monotonic_us()
        energy = now_us >= self._next_energy_us
        if energy:
            self._next_energy_us = now_us + round(self._config.counter_every_s * 1_000_000)
        self._sample(energy=energy)

    def _sample(self, *, energy: bool) -> None:
        """Read all boards once."""
        clock, offset_us = self._clock, self._offset_us
        for number, board in enumerate(self._boards):
            before_us = clock.monotonic_us()
            if self._failing.get(number, 0) > before_us:
                continue
            try:
                power_mw, energy_mj = board.read(energy=energy)
            except pynvml.NVMLError as error:
                self._lost(number, before_us, str(error))
                continue
            if number in self._failing:
                del self._failing[number]
                self._event("found", board.device_id, "answers again")
            if power_mw is None and energy_mj is None:
                continue
            ts_us = (before_us + clock.monotonic_us()) // 2 + offset_us
            kept = self._thinners[number].add(ts_us, power_mw, energy_mj)
            if kept:
                self._keep(board, kept)

    def _keep(self, board: Board, kept: list[Reading]) -> None:
        self._spool.add(
            "power",
            [
                (r.ts_us, board.device_id, r.power_mw, board.sensor, r.energy_mj, r.epoch)
                for r in kept
            ],
        )

    def _lost(self, number: int, now_us: int, why: str) -> None:
        """Note a board that does not answer, once, and try again after a while."""
        board = self._boards[number]
        if number not in self._failing:
            self._keep(board, self._thinners[number].flush())
            self._event("lost", board.device_id, why)
            self._log.warning("lost", device=board.device_id, why=why)
        self._failing[number] = now_us + _RETRY_US

    def _read_state(self) -> None:
        now_us = self._clock.monotonic_us()
        ask = now_us >= self._next_processes_us
        if ask:
            self._next_processes_us = now_us + round(self._config.processes_every_s * 1_000_000)
        for number, board in enumerate(self._boards):
            if number in self._failing:
                continue
            gauges = board.state()
            pids = board.processes() if ask else None
            row = (self._now_us(), board.device_id, *gauges.values(), pids)
            self._spool.add("state", [row])

    def _read_clock(self) -> None:
        clock = self._clock
        row = (clock.monotonic_us(), clock.boottime_us(), clock.realtime_us())
        self._spool.add("clock", [(row[0] + self._offset_us, self._config.node, *row)])

    def _scrape_task(self, watch: TokenWatch) -> Callable[[], None]:
        def scrape() -> None:
            before = watch.failing
            self._spool.add("tokens", watch.scrape())
            if watch.failing is not None and before is None:
                self._log.warning("scrape_failed", source=watch.source.source_id, why=watch.failing)
            elif watch.failing is None and before is not None:
                self._log.info("scrape_works", source=watch.source.source_id)

        def submit() -> None:
            if self._pool is None:
                scrape()
                return
            running = self._scraping.get(watch.source.source_id)
            if running is None or running.done():
                self._scraping[watch.source.source_id] = self._pool.submit(scrape)

        return submit

    def _roll(self) -> None:
        if self._pool is None:
            self._seal()
        else:
            self._pool.submit(self._seal)

    def _seal(self) -> None:
        until_us = self._now_us()
        try:
            counts = self._spool.seal()
        except UserError as error:
            self._log.warning("seal_failed", why=error)
            return
        self._log.info("sealed", until_us=until_us, rows=counts)

    def _finish(self, start_us: int) -> dict[str, int]:
        """Read the edge, write what is held back, seal."""
        for watch in self._watches:
            running = self._scraping.get(watch.source.source_id)
            if running is not None:
                running.result()
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None
            self._edge()
        for board, thinner in zip(self._boards, self._thinners, strict=True):
            self._keep(board, thinner.flush())
        if self._schedule.skipped:
            self._event("late", None, f"{self._schedule.skipped} ticks left out")
        ran_s = (self._clock.monotonic_us() - start_us) / 1_000_000
        self._event("stop", None, f"after {ran_s:.3f} s")
        counts = self._spool.seal()
        self._log.info("stop", ran_s=ran_s, late=self._schedule.skipped, rows=counts)
        return counts

    def _event(self, kind: str, device_id: str | None, detail: str) -> None:
        self._spool.add("event", [(self._now_us(), self._config.node, device_id, kind, detail)])


def _job_row(job: Mapping[str, Any], now_us: int) -> tuple[Any, ...]:
    return tuple(now_us if name == "recorded_us" else job.get(name) for name in JOBS.column_names)
