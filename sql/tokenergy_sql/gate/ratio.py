"""HEAD's energy over what BASE would have used for the same tokens at the same operating points.

In: strata that both sides have. Out: one ratio: above 1, HEAD costs more.

In a stratum BASE says what tokens cost: its energy over its tokens. Inside a bin HEAD may still be
a little faster or have longer prompts, so the expectation moves along two slopes that all strata
share: energy per second of device time, and energy per prompt token,

    expected = E/G x g + b_t (t - T/G x g) + b_p (p - P/G x g)

with E, G, T, P the sums of BASE's energy, tokens, device time and prompt tokens in the stratum, and
g, t, p those of HEAD. It is a ratio of sums, as all figures of the index are (the regression
estimator of survey statistics). The slopes are least squares over the samples of both sides, each
against the mean of its own side and stratum. Neither may be negative, since no second and no prompt
token gives energy back, nor be more than all energy there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokenergy_sql.gate.points import Stratum
from tokenergy_sql.gate.side import Sample

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NJ = 1e9
_US = 1e6


@dataclass(frozen=True, slots=True)
class Columns:
    """Samples of one side as arrays, one element a sample.

    Attributes:
        stratum: its place among the strata.
        start_us: when it began.
        sums: shape (4, n): energy (J), tokens, device time (s), prompt tokens.
    """

    stratum: Ints
    start_us: Ints
    sums: Floats

    def only(self, kept: npt.NDArray[np.bool_]) -> Columns:
        """Return some of the samples."""
        return Columns(self.stratum[kept], self.start_us[kept], self.sums[:, kept])

    def by_stratum(self, count: int) -> Floats:
        """Return the sums of each stratum; shape (4, count)."""
        return np.stack([np.bincount(self.stratum, row, count) for row in self.sums])


def energy_j_of(samples: Sequence[Sample]) -> float:
    """Return the energy of samples, J."""
    return sum(int(one.energy_nj) for one in samples) / _NJ


def columns_of(strata: Sequence[Stratum]) -> tuple[Columns, Columns]:
    """Return BASE and HEAD of some strata as arrays."""
    return _columns([one.base for one in strata]), _columns([one.head for one in strata])


def _columns(sides: Sequence[Sequence[Sample]]) -> Columns:
    rows = [(place, sample) for place, samples in enumerate(sides) for sample in samples]
    sums = [(int(s.energy_nj) / _NJ, s.tokens, s.device_us / _US, s.prompt) for _, s in rows]
    return Columns(
        np.array([place for place, _ in rows], np.int64),
        np.array([sample.start_us for _, sample in rows], np.int64),
        np.array(sums, np.float64).reshape(-1, 4).T,
    )


def ratio_of(base: Columns, head: Columns, count: int, *, rate: bool) -> float | None:
    """Return the ratio; None if no stratum has both sides.

    Args:
        base, head: their samples.
        count: number of strata.
        rate: whether to adjust for tokens per second; not where the rate is the engine's own.
    """
    one, other = base.by_stratum(count), head.by_stratum(count)
    both = (one[1] > 0) & (other[1] > 0)
    if not both.any():
        return None
    per_token = one[:, both] / one[1, both]
    energy_j, tokens, time_s, prompt = other[:, both]
    slopes = _slopes(base, head, (one, other), rate=rate)
    expected_j = per_token[0] * tokens
    expected_j += slopes[0] * (time_s - per_token[2] * tokens)
    expected_j += slopes[1] * (prompt - per_token[3] * tokens)
    total_j = float(expected_j.sum())
    return float(energy_j.sum()) / total_j if total_j > 0 else None


def _slopes(
    base: Columns, head: Columns, totals: tuple[Floats, Floats], *, rate: bool
) -> tuple[float, float]:
    """Return J per second of device time and J per prompt token beside generated tokens."""
    from scipy.optimize import lsq_linear

    apart = []
    for side, total in zip((base, head), totals, strict=True):
        per_token = (total / np.maximum(total[1], 1))[:, side.stratum]
        # Noise grows with the length of a sample: its square with device time.
        apart.append((side.sums - per_token * side.sums[1]) / np.sqrt(side.sums[2]))
    left = np.concatenate(apart, axis=1)
    energy_j, _, time_s, prompt = totals[0].sum(axis=1)
    if energy_j <= 0:
        return 0.0, 0.0
    most = np.array([energy_j / time_s if rate else 0.0, energy_j / prompt if prompt else 0.0])
    # Slopes as shares of the most that they may be, of energies as shares of all: no unit matters.
    design = left[[2, 3]] * most[:, None] / energy_j
    used = np.flatnonzero((design**2).sum(axis=1) > 1e-18)
    shares = np.zeros(2)
    if len(used):
        shares[used] = lsq_linear(design[used].T, left[0] / energy_j, (0.0, 1.0)).x
    return float(shares[0] * most[0]), float(shares[1] * most[1])
