"""What is read when: every source puts its readings on one schedule, and each reading is timed.

In: tasks of sources. Out: calls at their times, and how each went: how long it took, whether it
succeeded, and when it last did. A slow task runs beside the sampling, in a thread of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tokenergy_collectors.base.edges import Edges
from tokenergy_collectors.base.problems import Problems
from tokenergy_collectors.base.schedule import Pace, Schedule
from tokenergy_collectors.base.workers import Worker
from tokenergy_collectors.sources.host import Host

Task = Callable[[], str | None]
"""Reads something once; returns why it failed, None if it succeeded."""


@dataclass(slots=True)
class Health:
    """How one periodic reading of a source goes.

    Attributes:
        source: the source's name, and after a slash which of its readings.
        runs: how often it ran.
        failures: how many of these runs failed.
        duration_s: how long the latest run took.
        succeeded: whether the latest run succeeded; None before the first.
        success_us: when a run last succeeded (us UTC); None if none has.
    """

    source: str
    runs: int = 0
    failures: int = 0
    duration_s: float = 0.0
    succeeded: bool | None = None
    success_us: int | None = None


class Reader:
    """One periodic reading of a source.

    Args:
        name: what `Health.source` says.
        task: what to run.
        host: takes problems, and says what time it is.
        beside: run in a thread of its own.
    """

    def __init__(self, name: str, task: Task, host: Host, *, beside: bool) -> None:
        self.health = Health(name)
        self._task = task
        self._host = host
        self._problems = Problems()
        self._worker = (
            Worker(self._run, self._crashed, inline=bool(host.inline)) if beside else None
        )

    def ask(self, *, even_if_busy: bool = False) -> None:
        """Read now; a reading that runs beside the sampling and is busy is left to it.

        Args:
            even_if_busy: if it is busy, read once more after that.
        """
        if self._worker is None:
            self._run()
        else:
            self._worker.ask(even_if_busy=even_if_busy)

    def finish(self, timeout_s: float | None) -> bool:
        """Take no more requests, wait for the last one; return False if it still runs."""
        return self._worker is None or self._worker.finish(timeout_s)

    def _run(self) -> None:
        began_s = time.perf_counter()
        why: str | None = "it ended in an error"  # stays only where the task raises
        try:
            why = self._task()
        finally:
            self._note(time.perf_counter() - began_s, why)

    def _note(self, took_s: float, why: str | None) -> None:
        health = self.health
        health.runs += 1
        health.duration_s = took_s
        health.succeeded = why is None
        if why is not None:
            health.failures += 1
            if self._problems.is_new("", why):
                self._host.log.warning("source_failed", source=health.source, why=why)
            return
        health.success_us = self._host.now_us()
        if self._problems.is_over(""):
            self._host.log.info("source_works", source=health.source)

    def _crashed(self, error: Exception) -> None:
        """Report an error that the task did not expect; the sampling goes on."""
        self._host.warn("error", None, f"{self.health.source}: {error!r}")


class Plan:
    """The schedule of one run, as sources use it.

    Args:
        schedule: runs what is due.
        host: for the readers.

    Attributes:
        schedule: runs what is due.
        edges: instants to come at which everything is read: edges of jobs, of hours, of the run.
        on_edge: what to do at an edge.
        paced: how well the readings that must keep their times keep them.
        readers: all periodic readings.
        start_us: when the run began (monotonic).
        end_us: when the run ends (monotonic); None if it has no end.
    """

    def __init__(self, schedule: Schedule, host: Host) -> None:
        self.schedule = schedule
        self.edges = Edges()
        self.on_edge: Callable[[], None] = lambda: None
        self.paced: list[Pace] = []
        self.readers: list[Reader] = []
        self.start_us = host.clock.monotonic_us()
        self.end_us: int | None = None
        self._host = host

    def begin(self, start_us: int, end_us: int | None) -> None:
        """Set the run's beginning and end, before anything is planned."""
        self.start_us, self.end_us = start_us, end_us

    def every(
        self,
        name: str,
        period_s: float,
        task: Task,
        *,
        wait_s: float = 0.0,
        beside: bool = False,
        paced: bool = False,
    ) -> Reader:
        """Have something read periodically.

        Args:
            name: what its health is reported under.
            period_s: seconds between two readings.
            task: reads once.
            wait_s: seconds to the first reading.
            beside: read in a thread of its own, so that it never holds up the sampling.
            paced: report when readings come late.
        """
        reader = Reader(name, task, self._host, beside=beside)
        first_us = self.start_us + round(wait_s * 1_000_000)
        pace = self.schedule.every(round(period_s * 1_000_000), reader.ask, first_us)
        self.readers.append(reader)
        if paced:
            self.paced.append(pace)
        return reader

    def edge_at(self, at_us: int) -> None:
        """Have everything read at an instant (monotonic us); one that is over is left out."""
        over = at_us <= self._host.clock.monotonic_us()
        if not over and (self.end_us is None or at_us < self.end_us):
            self.at_edge(at_us, self.on_edge)

    def at_edge(self, at_us: int, task: Callable[[], None]) -> None:
        """Run a task at an edge (monotonic us)."""
        self.edges.add(at_us)
        self.schedule.once(at_us, partial(task))

    def missed(self) -> int:
        """Return how many readings that must keep their times came late or not at all."""
        return sum(pace.missed for pace in self.paced)
