"""A training loop: compute steps that end in an all-reduce, with checkpoints between them.

A step may hold several all-reduces (one a bucket or micro-batch): as many evenly spaced dips of
power, the last one at its end. Steps repeat at 1 / step_s, dips at allreduces / step_s.

All boards of a job follow the same steps, on whichever node they are; the token counter grows by
`tokens_per_step` at the end of each step and is served by the node of rank 0 alone.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.emulate.workloads.base import Workload
from tokenergy_collectors.emulate.workloads.timeline import Load

_STARTING = (0.0, 1.0)
_COMPUTING = (100.0, 62.0)
_REDUCING = (100.0, 24.0)
_SAVING = (6.0, 12.0)
"""SM and memory utilization of the phases, percent."""


class TrainingSpec(Strict):
    """Durations and power levels of a training loop; power is per board.

    `allreduce_s` is the time that all of a step's all-reduces take together.
    """

    type: Literal["training"]
    model: str = Field(min_length=1)
    tokens_per_step: int = Field(gt=0)
    load_s: float = Field(30.0, ge=0)
    step_s: float = Field(1.9, gt=0.01)
    allreduce_s: float = Field(0.25, ge=0)
    allreduces: int = Field(1, ge=1, le=100)
    jitter: float = Field(0.01, ge=0, le=0.1)
    checkpoint_every_s: float = Field(600.0, gt=0)
    checkpoint_s: float = Field(12.0, ge=0)
    load_w: float = Field(130.0, gt=0)
    compute_w: float = Field(660.0, gt=0)
    allreduce_w: float = Field(380.0, gt=0)
    checkpoint_w: float = Field(180.0, gt=0)
    memory_gib: float = Field(62.0, gt=0)
    port: int = Field(0, ge=0, le=65535)


class Training(Workload):
    """Start-up, then steps, with a checkpoint whenever one is due at the end of a step."""

    counters: ClassVar[tuple[str, ...]] = ("trained",)

    def __init__(
        self, spec: TrainingSpec, seed: int, name: str, start_us: int, end_us: int
    ) -> None:
        super().__init__(seed, name, start_us, end_us)
        self._spec = spec
        self._used_bytes = int(spec.memory_gib * 2**30)
        self._saved_us = self.ready_us

    @property
    def ready_us(self) -> int:
        """When start-up is over: the first step begins and the endpoint answers."""
        return self.start_us + round(self._spec.load_s * 1e6)

    def _extend(self) -> None:
        spec = self._spec
        now_us = self._timeline.end_us
        if now_us < self.ready_us:
            self._phase(self.ready_us - now_us, spec.load_w, _STARTING)
        elif now_us - self._saved_us >= spec.checkpoint_every_s * 1e6:
            self._phase(round(spec.checkpoint_s * 1e6), spec.checkpoint_w, _SAVING)
            self._saved_us = self._timeline.end_us
        else:
            self._step()

    def _step(self) -> None:
        """Append one step; one that the job's end cuts short counts no tokens."""
        spec = self._spec
        spread = 1 + spec.jitter * self._rng.standard_normal()
        # Bounded below: a rare draw must not give a step of no length.
        step_us = round(spec.step_s * 1e6 * max(spread, 0.5))
        reduce_us = min(round(spec.allreduce_s * 1e6), step_us)
        whole = self._timeline.end_us + step_us <= self.end_us
        start_us, parts = self._timeline.end_us, spec.allreduces
        for part in range(1, parts + 1):
            end_us = start_us + step_us * part // parts
            compute_us = end_us - self._timeline.end_us - reduce_us // parts
            self._phase(compute_us, spec.compute_w, _COMPUTING)
            tokens = spec.tokens_per_step if whole and part == parts else 0
            self._phase(end_us - self._timeline.end_us, spec.allreduce_w, _REDUCING, tokens)

    def _phase(
        self, length_us: int, power_w: float, busy: tuple[float, float], tokens: int = 0
    ) -> None:
        end_us = min(self._timeline.end_us + max(length_us, 0), self.end_us)
        (trained,) = self._timeline.totals
        self._timeline.append(end_us, Load(power_w * 1e3, *busy), (trained + tokens,))
