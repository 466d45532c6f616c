"""When each source reads: all readings are on one schedule, and each one is timed.

In: tasks of sources. Out: calls at their times, and for each task how long it took, whether it
succeeded and when it last did. A slow task runs in a thread of its own, next to the sampling.
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
"""Reads once; returns why it failed, or None if it succeeded."""


@dataclass(slots=True)
class Health:
    """The state of one periodic reading of a source.

    Attributes:
        source: the source's name; a slash and the reading's name follow if it has several.
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
        name: becomes `Health.source`.
        task: reads once.
        host: takes problems; its clock stamps successes.
        beside: run the task in a thread of its own.
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
        """Read now. If the task has its own thread and is still running, do nothing.

        Args:
            even_if_busy: if it is still running, run it once more afterwards.
        """
        if self._worker is None:
            self._run()
        else:
            self._worker.ask(even_if_busy=even_if_busy)

    def finish(self, timeout_s: float | None) -> bool:
        """Accept no more requests and wait for the last one; return False if it still runs."""
        return self._worker is None or self._worker.finish(timeout_s)

    def _run(self) -> None:
        # Real time even on a virtual clock: the duration says what a reading costs.
        began_s = time.perf_counter()
        why: str | None = "it ended in an error"  # replaced unless the task raises
        try:
            why = self._task()
        finally:
            self._note(time.perf_counter() - began_s, why)

    def _note(self, took_s: float, why: str | None) -> None:
        """Update the health; report a failure once, and once when the reading works again."""
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
        """Report an exception that the task did not catch; the schedule continues."""
        self._host.warn("error", None, f"{self.health.source}: {error!r}")


class Plan:
    """The schedule of one run, for the sources.

    Args:
        schedule: runs the tasks.
        host: passed on to the readers.

    Attributes:
        schedule: runs the tasks.
        edges: future instants at which everything is read: edges of jobs, of hours, of the run.
        on_edge: called at the edge of a job.
        paced: how well the readings that must be on time keep their times.
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
        """Set the start and the end of the run; call this before any planning."""
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
        """Run a task periodically.

        Args:
            name: the name under which its health is reported.
            period_s: seconds between two readings.
            task: reads once.
            wait_s: seconds until the first reading.
            beside: run it in a thread of its own, so that it never delays the sampling.
            paced: report readings that come late.
        """
        reader = Reader(name, task, self._host, beside=beside)
        first_us = self.start_us + round(wait_s * 1_000_000)
        pace = self.schedule.every(round(period_s * 1_000_000), reader.ask, first_us)
        self.readers.append(reader)
        if paced:
            self.paced.append(pace)
        return reader

    def edge_at(self, at_us: int) -> None:
        """Read everything at an instant (monotonic us), unless it is past or after the end."""
        past = at_us <= self._host.clock.monotonic_us()
        # The run's end is an edge of its own.
        if not past and (self.end_us is None or at_us < self.end_us):
            self.at_edge(at_us, self.on_edge)

    def at_edge(self, at_us: int, task: Callable[[], None]) -> None:
        """Run a task at an edge (monotonic us)."""
        self.edges.add(at_us)
        self.schedule.once(at_us, partial(task))

    def finish(self, until_us: int) -> None:
        """Accept no more readings; wait for those that still run, until an instant (monotonic us).

        One that hangs is reported and left behind: what it reads later is not recorded.
        """
        for reader in self.readers:
            left_us = max(0, until_us - self._host.clock.monotonic_us())
            if not reader.finish(left_us / 1_000_000):
                self._host.warn(
                    "error",
                    None,
                    f"{reader.health.source}: a reading was still running at the stop",
                )

    def missed(self) -> int:
        """Return how many readings that must be on time came late or not at all."""
        return sum(pace.missed for pace in self.paced)
