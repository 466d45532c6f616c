"""Equal operating points: samples of both sides, sorted into strata.

In: the samples of BASE and of HEAD. Out: strata that both sides have, and those that one lacks.

Two samples are at one operating point if their jobs have the same workload, board, number of boards
and power limits, if tokens per second and board are within one bin of a factor of 1.25, and prompt
tokens per generated token within one of 1.5. Bins are laid so that BASE's median is the middle of
one: a load that hardly varies is not cut in two by an edge.

Where the load is closed (so many requests in flight, or training), the rate is what the engine
makes of it, and no operating point: then it is not among the keys.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tokenergy_sql.gate.side import Sample, Setup

Load = Literal["open", "closed"]
"""`open`: requests come at a rate that the engine does not change; `closed`: it does."""

LOADS: tuple[Load, ...] = ("open", "closed")
RATE_FACTOR = 1.25
MIX_FACTOR = 1.5
LEAST_SAMPLES = 3
"""How many samples each side must have in a stratum that counts."""

_US = 1e6

Bin = int | None
"""Number of a bin, 0 around BASE's median; None: no prompt tokens, or not looked at."""


@dataclass(frozen=True, slots=True)
class Point:
    """An operating point: what the boards were, and the bins of rate and mix."""

    setup: Setup
    rate: Bin
    mix: Bin


@dataclass(frozen=True, slots=True)
class Stratum:
    """Samples at one operating point.

    Attributes:
        point: the operating point.
        base, head: the samples of each side.
    """

    point: Point
    base: Sequence[Sample]
    head: Sequence[Sample]

    @property
    def counts(self) -> bool:
        """Whether both sides have enough samples to be compared."""
        return min(len(self.base), len(self.head)) >= LEAST_SAMPLES


@dataclass(frozen=True, slots=True)
class Bins:
    """Where bins lie: the medians of BASE that are the middle of bin 0; None: none.

    Attributes:
        rate: generated (trained) tokens per second and board.
        mix: prompt tokens computed per generated token.
    """

    rate: float | None
    mix: float | None

    def point(self, sample: Sample) -> Point:
        """Return the operating point of a sample."""
        rate = None
        if self.rate is not None and sample.setup.workload == "inference":
            rate = _place(rate_of(sample), self.rate, RATE_FACTOR)
        mix = _place(mix_of(sample), self.mix, MIX_FACTOR) if self.mix else None
        return Point(sample.setup, rate, mix)

    def words(self, point: Point) -> str:
        """Return the bins of a point in words, with their edges."""
        parts = []
        if point.rate is not None and self.rate is not None:
            low, high = _edges(point.rate, self.rate, RATE_FACTOR)
            parts.append(f"{_short(low)} to {_short(high)} tokens/s a board")
        if point.mix is not None and self.mix is not None:
            low, high = _edges(point.mix, self.mix, MIX_FACTOR)
            parts.append(f"{_short(low)} to {_short(high)} prompt tokens each")
        return ", ".join(parts) or "any load"


def rate_of(sample: Sample) -> float:
    """Return tokens per second and board."""
    return sample.tokens / sample.device_us * _US


def mix_of(sample: Sample) -> float:
    """Return prompt tokens computed per token that counts."""
    return sample.prompt / sample.tokens


def bins_of(base: Sequence[Sample], load: Load) -> Bins:
    """Return bins around the medians of BASE, by tokens."""
    serving = [one for one in base if one.setup.workload == "inference"]
    rates = [(rate_of(one), one.tokens) for one in serving]
    mixes = [(mix_of(one), one.tokens) for one in serving if one.prompt]
    return Bins(_median(rates) if load == "open" else None, _median(mixes))


def strata_of(base: Sequence[Sample], head: Sequence[Sample], bins: Bins) -> list[Stratum]:
    """Return all strata, those with most tokens of HEAD first."""
    found: defaultdict[Point, tuple[list[Sample], list[Sample]]] = defaultdict(lambda: ([], []))
    for place, samples in enumerate((base, head)):
        for sample in samples:
            found[bins.point(sample)][place].append(sample)
    strata = [Stratum(point, *sides) for point, sides in found.items()]
    return sorted(strata, key=lambda one: (-tokens_of(one.head), -tokens_of(one.base)))


def tokens_of(samples: Sequence[Sample]) -> int:
    """Return the tokens of samples."""
    return sum(one.tokens for one in samples)


def _median(weighted: Sequence[tuple[float, int]]) -> float | None:
    """Return the value below which half of the weight lies; None if there is none."""
    half, running = sum(weight for _, weight in weighted) / 2, 0
    for value, weight in sorted(weighted):
        running += weight
        if running >= half:
            return value
    return None


def _place(value: float, middle: float, factor: float) -> Bin:
    return round(math.log(value / middle, factor)) if value > 0 else None


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _edges(place: int, middle: float, factor: float) -> tuple[float, float]:
    return middle * factor ** (place - 0.5), middle * factor ** (place + 0.5)
