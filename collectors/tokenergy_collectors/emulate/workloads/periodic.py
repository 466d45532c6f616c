"""A period-locked load: power that swings at one frequency, exactly, from start to end.

At a multiple of the sensor's update period every refresh sees the same part of the swing, however
often it is read: the reading is then wrong in the same direction all the time. Tokens grow by
`tokens_per_period` at the end of each whole period, as a training loop's do.

Everything has a closed form, so nothing is simulated. With F the integral of the demanded power
from the start of a period, the demand of a cell is the difference of F at its ends:

    square  high for the first `duty` of the period, low for the rest
    sine    mean + swing * sin(2 pi t / period), between low and high; `duty` does not matter
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.emulate.workloads.base import Workload
from tokenergy_collectors.emulate.workloads.timeline import CELL_US, Cells, Floats

_HIGH = (100.0, 60.0)
_LOW = (0.0, 0.0)
"""SM and memory utilization at the two levels, percent."""


class PeriodicSpec(Strict):
    """Frequency and levels of a swing; power is per board.

    Above 100 Hz a cell of the power grid (5 ms) holds half a period or more and averages it out.
    `phase` is the share of a period that has passed at the start.
    """

    type: Literal["periodic"]
    model: str = Field(min_length=1)
    frequency_hz: float = Field(ge=0.001, le=100)
    shape: Literal["square", "sine"] = "square"
    duty: float = Field(0.5, ge=0, le=1)
    phase: float = Field(0.0, ge=0, lt=1)
    high_w: float = Field(600.0, gt=0)
    low_w: float = Field(150.0, gt=0)
    tokens_per_period: int = Field(0, ge=0)
    memory_gib: float = Field(20.0, gt=0)
    port: int = Field(0, ge=0, le=65535)

    @model_validator(mode="after")
    def _low_is_lower(self) -> PeriodicSpec:
        if self.low_w > self.high_w:
            raise ValueError(f"low_w = {self.low_w:g}: expected at most high_w = {self.high_w:g}")
        return self


class Periodic(Workload):
    """The swing, computed on demand."""

    counters: ClassVar[tuple[str, ...]] = ("trained",)

    def __init__(
        self, spec: PeriodicSpec, seed: int, name: str, start_us: int, end_us: int
    ) -> None:
        super().__init__(seed, name, start_us, end_us)
        self._spec = spec
        self._used_bytes = int(spec.memory_gib * 2**30)
        self._period_us = 1e6 / spec.frequency_hz

    def advance(self, until_us: int) -> None:
        """Do nothing: every instant is known."""

    def forget(self, before_us: int) -> None:
        """Do nothing: there is no history."""

    def cells(self, first_us: int, count: int) -> Cells:
        """Return the load in cells of the power grid, zero outside the job."""
        edges_us = first_us + CELL_US * np.arange(count + 1, dtype=np.float64)
        inside_us = np.clip(edges_us, self.start_us, self.end_us) - self.start_us
        spec = self._spec
        covered = np.diff(inside_us) / CELL_US
        upper = np.diff(self._upper_us(inside_us)) / CELL_US
        lower = covered - upper

        def mix(high: float, low: float) -> Floats:
            found: Floats = high * upper + low * lower
            return found

        return Cells(
            covered,
            mix(spec.high_w * 1e3, spec.low_w * 1e3),
            mix(_HIGH[0], _LOW[0]),
            mix(_HIGH[1], _LOW[1]),
        )

    def totals_at(self, at_us: int) -> tuple[int, ...]:
        """Return the tokens of the periods that had ended at an instant."""
        ran_us = min(max(at_us, self.start_us), self.end_us) - self.start_us
        # A period that ends at a whole microsecond counts there, whatever the floats say.
        periods = math.floor(ran_us / self._period_us + 1e-9)
        return (periods * self._spec.tokens_per_period,)

    def _upper_us(self, ran_us: Floats) -> Floats:
        """Return how much of the time since a period's start was spent at the upper level.

        A sine counts as time shared between the levels: half of it, plus the swing's integral.
        """
        spec = self._spec
        turns = ran_us / self._period_us + spec.phase
        if spec.shape == "sine":
            swing = (1 - np.cos(2 * np.pi * turns)) / (2 * np.pi)
            sine: Floats = self._period_us * (turns + swing) / 2
            return sine
        whole = np.floor(turns)
        square: Floats = self._period_us * (
            whole * spec.duty + np.minimum(turns - whole, spec.duty)
        )
        return square

    def _extend(self) -> None:
        raise AssertionError("a periodic load has no timeline")
