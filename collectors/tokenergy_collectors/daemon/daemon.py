"""One run of the daemon: reads all sources on one schedule and seals what they record.

    sources -> output -> spool -> log -> lake

In: the configuration, and a host with its clock, boards and lake. Out: sealed files. The schedule
runs on the monotonic clock. A stamp is monotonic time plus the offset to UTC at start, so that a
jump of the wall clock cannot bend or repeat stamps; the `clock` table records what the clocks
showed. Slow work (scrapes, sealing) runs in threads on a real clock and in the sampling thread on a
virtual one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tokenergy_collectors.base.schedule import Pace, Schedule
from tokenergy_collectors.daemon.housekeeping import Housekeeping
from tokenergy_collectors.daemon.recorder import Recorder
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_collectors.live.view import LiveView, housekeeping_metrics
from tokenergy_collectors.registry import make_sources
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.plan import Health, Plan
from tokenergy_collectors.spool.counts import RecordCounts

_PACE_EVERY_US = 60_000_000
_STOP_US = 5_000_000


class Daemon:
    """Reads the sources of one node until it is stopped.

    Args:
        config: what to read.
        host: clock, boards and lake; from now on its output goes to the spool.
        counts: counts what is recorded and lost.

    Attributes:
        schedule: runs the tasks.

    Raises:
        UserError: the node's name or the lake's folder cannot be used, another process collects
            this node, or a source cannot be used.
    """

    def __init__(self, config: Config, host: Host, counts: RecordCounts | None = None) -> None:
        self._config = config
        self._host = host
        self._recorder = Recorder(config, host, self._release, counts)
        self._clock = host.clock
        self.schedule = Schedule(host.clock)
        self._plan = Plan(self.schedule, host)
        self._plan.on_edge = self.edge
        try:
            self._sources = make_sources(config, host)
        except BaseException:
            self._recorder.close()  # or this process would keep the node locked
            raise
        self._reported: list[Pace] = []
        self._edge_us: int | None = None

    def show(self, view: LiveView) -> None:
        """Feed a live view from now on; it keeps what it has of an earlier run."""
        spool, keeper = self._recorder.spool, self._recorder.housekeeping
        view.begin(
            self._config,
            self._host.boards,
            self._host.offset_us,
            late=self._plan.missed,
            log_bytes=spool.log_bytes,
            health=self.health,
        )
        view.extras = housekeeping_metrics(keeper)
        self._host.output.listen(view)

    def health(self) -> list[Health]:
        """Return the state of each periodic reading."""
        return [reader.health for reader in self._plan.readers]

    def run(self, stop: threading.Event, duration_us: int | None = None) -> dict[str, int]:
        """Sample until `stop` is set or the duration is over; then seal, and return row counts.

        Args:
            stop: ends the run when set, for example by a signal.
            duration_us: how long to run (us); None for no limit.

        Raises:
            UserError: the last rows cannot be written, after several tries.
        """
        start_us = self._clock.monotonic_us()
        end_us = None if duration_us is None else start_us + duration_us
        try:
            self._begin()
            self._plan_run(start_us, end_us)
            # Whatever ends the schedule, what was read is sealed and the node is released.
            try:
                self.schedule.run(end_us, stop)
            finally:
                counts = self._finish()
        finally:
            self._recorder.close()
        return counts

    @property
    def housekeeping(self) -> Housekeeping:
        """Uploads and disk limits; call its `leave` or `drain` after the run."""
        return self._recorder.housekeeping

    def _begin(self) -> None:
        """Record the start, and what the sources know before their first reading."""
        host = self._host
        boards = len(host.boards)
        host.event("start", None, f"{boards} boards")
        host.log.info("start", node=host.node, boards=boards)
        for source in self._sources:
            source.begin()

    def _plan_run(self, start_us: int, end_us: int | None) -> None:
        """Put all tasks of the run on the schedule."""
        plan, schedule = self._plan, self.schedule
        plan.begin(start_us, end_us)
        for source in self._sources:
            source.plan(plan)
        self._recorder.plan(schedule, start_us)
        self._reported = [Pace() for _ in plan.paced]
        schedule.every(_PACE_EVERY_US, self._report_pace, start_us + _PACE_EVERY_US)
        roll_us = round(self._config.roll_s * 1_000_000)
        # Once per seal keeps the log short; a failure has a line of its own at once.
        schedule.every(roll_us, self._report_health, start_us + roll_us)
        self._plan_hour_edge()
        if end_us is not None:
            plan.at_edge(end_us, self.edge)

    def _plan_hour_edge(self) -> None:
        """Plan to read everything at the next full hour, at which the lake's partitions meet."""
        at_us = hour_of(self._host.now_us()) + HOUR_US - self._host.offset_us
        end_us = self._plan.end_us
        if end_us is None or at_us < end_us:
            self._plan.at_edge(at_us, self._hour_edge)

    def _hour_edge(self) -> None:
        self.edge()
        self._plan_hour_edge()

    def edge(self) -> None:
        """Read everything now: a job, an hour or the run begins or ends at this instant."""
        self._edge_us = self._clock.monotonic_us()
        for source in self._sources:
            source.edge()

    def _finish(self) -> dict[str, int]:
        """Read everything a last time, record what is held back, and seal."""
        plan, host = self._plan, self._host
        # A run that reached its planned end has just read everything there.
        if plan.end_us is None or self._edge_us is None or self._edge_us < plan.end_us:
            self.edge()
        until_us = self._clock.monotonic_us() + _STOP_US
        for source in self._sources:
            source.finish(until_us)
        plan.finish(until_us)
        # After the sources: what they recorded while they stopped is written too.
        self._recorder.finish()
        self._report_pace()
        self._report_health()
        ran_s = (self._clock.monotonic_us() - plan.start_us) / 1_000_000
        host.event("stop", None, f"after {ran_s:.3f} s")
        counts = self._recorder.seal_at_last()
        host.log.info("stop", ran_s=ran_s, **_totals(plan.paced), rows=counts)
        return counts

    def _report_pace(self) -> None:
        """Record how many ticks came late or not at all since the last report."""
        for number, pace in enumerate(self._plan.paced):
            detail = pace.lateness(self._reported[number])
            if detail is not None:
                self._reported[number] = replace(pace)
                self._host.event("late", None, detail)

    def _report_health(self) -> None:
        """Log one line per reading: its success, duration and last success."""
        for one in self.health():
            if one.runs:
                self._host.log.info(
                    "source",
                    source=one.source,
                    success=one.succeeded,
                    duration_ms=round(one.duration_s * 1_000, 3),
                    runs=one.runs,
                    failures=one.failures,
                    last_success_us=one.success_us,
                )

    def _release(self, held_back: bool) -> None:
        for source in self._sources:
            source.release(held_back=held_back)


def _totals(paced: Iterable[Pace]) -> dict[str, Any]:
    """Return how well the ticks of the run were on time, for the log."""
    paces = list(paced)
    return {
        "ticks": sum(pace.runs for pace in paces),
        "late": sum(pace.late for pace in paces),
        "left_out": sum(pace.left_out for pace in paces),
        "worst_ms": max((pace.worst_us for pace in paces), default=0) / 1_000,
    }
