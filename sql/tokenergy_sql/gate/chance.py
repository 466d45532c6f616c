"""How far a ratio may be off by chance: the jackknife over stretches of time.

In: the samples of both sides. Out: an interval of the ratio.

Samples that follow each other are alike, so not samples but stretches of time are left out, one at
a time and of all jobs of the side: the longest of a day, an hour and a quarter of an hour of which
both sides have ten, else single samples. The variance is that of the two sides together; the
interval is that of the logarithm, with Student's t and the degrees of freedom of Welch and
Satterthwaite. Nothing is drawn at random: the same rows give the same interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.gate.ratio import Columns, ratio_of
from tokenergy_sql.gate.side import BLOCK_US

LEAST_UNITS = 6
"""How many stretches each side must have: of fewer, nothing says how much chance does."""

_ENOUGH = 10
_LENGTHS_US = (24 * HOUR_US, HOUR_US, HOUR_US // 4)


@dataclass(frozen=True, slots=True)
class Chance:
    """A ratio and how far chance may have moved it.

    Attributes:
        ratio: HEAD over BASE.
        low, high: where it is, at the confidence asked for.
        unit_s: length of the stretches that were left out.
        units: how many BASE and HEAD have.
    """

    ratio: float
    low: float
    high: float
    unit_s: int
    units: tuple[int, int]


def units_of(base: Columns, head: Columns, sample_us: int) -> tuple[int, tuple[int, int]]:
    """Return the length of stretches to leave out (us), and how many each side has."""
    for length_us in (*(one for one in _LENGTHS_US if one > sample_us), sample_us):
        units = tuple(len(np.unique(side.start_us // length_us)) for side in (base, head))
        if min(units) >= _ENOUGH or length_us == sample_us:
            return length_us, (units[0], units[1])
    return BLOCK_US, (0, 0)


def chance_of(
    base: Columns, head: Columns, count: int, sample_us: int, confidence: float, *, rate: bool
) -> Chance | None:
    """Return the ratio with its interval; None if it cannot be had without some stretch.

    Args:
        base, head: their samples.
        count: number of strata.
        sample_us: length of a sample.
        confidence: two-sided, between 0 and 1.
        rate: as in `ratio_of`.
    """
    from scipy.stats import t as student

    length_us, units = units_of(base, head, sample_us)
    ratio = ratio_of(base, head, count, rate=rate)
    if ratio is None or ratio <= 0 or min(units) < LEAST_UNITS:
        return None
    variances = []
    for place, side in enumerate((base, head)):
        logs = []
        stretch = side.start_us // length_us
        for unit in np.unique(stretch):
            rest = side.only(stretch != unit)
            sides = (rest, head) if place == 0 else (base, rest)
            one = ratio_of(*sides, count, rate=rate)
            if one is None or one <= 0:
                return None
            logs.append(math.log(one / ratio))
        variances.append(_variance(np.array(logs)))
    spread = math.sqrt(sum(variances))
    if spread == 0:
        return Chance(ratio, ratio, ratio, length_us // 1_000_000, units)
    freedom = sum(variances) ** 2 / sum(
        one**2 / (n - 1) for one, n in zip(variances, units, strict=True)
    )
    reach = float(student.ppf((1 + confidence) / 2, freedom)) * spread
    bounds = ratio * math.exp(-reach), ratio * math.exp(reach)
    return Chance(ratio, *bounds, length_us // 1_000_000, units)


def _variance(logs: npt.NDArray[np.float64]) -> float:
    """Return the jackknife's variance around the ratio of all, which errs towards too much."""
    return float((len(logs) - 1) / len(logs) * (logs**2).sum())
