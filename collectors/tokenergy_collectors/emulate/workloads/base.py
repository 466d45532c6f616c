"""The interface of all workloads.

A workload lives from `start_us` to `end_us` (profile time, microseconds). It advances with
time and never reads the boards: load flows one way.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np

from tokenergy_collectors.emulate.workloads.timeline import Cells, Timeline


class Process(NamedTuple):
    """A process on a board, as NVML lists it; `instance` is its MIG GPU instance, if any."""

    pid: int
    used_bytes: int
    instance: int | None = None


class Workload(ABC):
    """A load on a set of boards over an interval.

    Args:
        seed: seed of the profile.
        name: the job's id; the same on all its nodes, so that they see the same load.
        start_us: when it starts, profile time.
        end_us: when it ends, profile time.
    """

    counters: ClassVar[tuple[str, ...]] = ()
    """Names of the cumulative totals, by the token kinds of the contract."""
    gauges: ClassVar[tuple[str, ...]] = ()
    """Names of the values after the counters in `totals_at`; they may fall."""

    def __init__(self, seed: int, name: str, start_us: int, end_us: int) -> None:
        self.start_us = start_us
        self.end_us = end_us
        # Seeded by the name: adding a job to a profile does not change the noise of the others.
        self._rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        self._pid = 10_000 + zlib.crc32(name.encode()) % 50_000
        self._used_bytes = 0
        self._timeline = Timeline(start_us, (0,) * (len(self.counters) + len(self.gauges)))

    @abstractmethod
    def _extend(self) -> None:
        """Append at least one segment to the timeline, not beyond the end."""

    @property
    def ready_us(self) -> int:
        """When its token endpoint begins to answer."""
        return self.start_us

    def advance(self, until_us: int) -> None:
        """Simulate up to an instant, or to the workload's end if that comes first."""
        until_us = min(until_us, self.end_us)
        while self._timeline.end_us < until_us:
            self._extend()

    def cells(self, first_us: int, count: int) -> Cells:
        """Return the load in cells of the power grid; the workload must have been advanced."""
        return self._timeline.cells(first_us, count)

    def totals_at(self, at_us: int) -> tuple[int, ...]:
        """Return counters and gauges at an instant (steps that had ended by then count)."""
        return self._timeline.totals_at(at_us)

    def forget(self, before_us: int) -> None:
        """Drop history before an instant."""
        self._timeline.forget(before_us)

    def process(self, rank: int, at_us: int) -> Process | None:
        """Return the process of one board (`rank` among the job's boards on the node)."""
        if not self._used_bytes or not self.start_us <= at_us < self.end_us:
            return None
        return Process(self._pid + rank, self._used_bytes)
