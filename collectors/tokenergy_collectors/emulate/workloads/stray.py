"""A stray: a process on a board that no job holds, such as a forgotten notebook.

It sleeps with its memory allocated, and computes from time to time.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.emulate.workloads.base import Workload
from tokenergy_collectors.emulate.workloads.timeline import Load


class StraySpec(Strict):
    """Mean lengths of bursts and pauses, the range of a burst's power, and the resting power."""

    type: Literal["stray"]
    burst_s: float = Field(25.0, gt=0.01)
    pause_s: float = Field(60.0, gt=0.01)
    burst_low_w: float = Field(180.0, gt=0)
    burst_high_w: float = Field(380.0, gt=0)
    rest_w: float = Field(112.0, gt=0)
    memory_gib: float = Field(9.0, gt=0)


class Stray(Workload):
    """Bursts of computing with pauses between them, both of exponential length."""

    def __init__(self, spec: StraySpec, seed: int, name: str, start_us: int, end_us: int) -> None:
        super().__init__(seed, name, start_us, end_us)
        self._spec = spec
        self._used_bytes = int(spec.memory_gib * 2**30)
        self._bursting = True

    def _extend(self) -> None:
        spec = self._spec
        self._bursting = not self._bursting
        mean_s = spec.burst_s if self._bursting else spec.pause_s
        length_us = 1_000 + int(self._rng.exponential(mean_s) * 1e6)
        end_us = min(self._timeline.end_us + length_us, self.end_us)
        power_w = self._rng.uniform(spec.burst_low_w, spec.burst_high_w)
        burst = Load(power_w * 1e3, 88.0, 35.0)
        self._timeline.append(end_us, burst if self._bursting else Load(spec.rest_w * 1e3, 0, 0))
