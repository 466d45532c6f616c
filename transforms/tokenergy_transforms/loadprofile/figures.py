"""What a load does in time: mean, swing, ramps, and the storage that would flatten it.

In: the cells of one group: energy (nJ) and which of them are defined. Out: plain numbers, None
where a figure is not defined. The power of a cell is its mean: energy over step, in mW.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tokenergy_transforms.batch import I64
from tokenergy_transforms.loadprofile.bandwidth import nearest_rank

RAMPS_US = {"100ms": 100_000, "1s": 1_000_000, "10s": 10_000_000, "60s": 60_000_000}
"""Horizons of ramps, by the name that they have in the columns."""

RAMP_QUANTILE = 0.999

Figures = dict[str, Any]
Bools = npt.NDArray[np.bool_]


def shape(energy_nj: I64, defined: Bools, step_us: int) -> Figures:
    """Return mean, extremes and their ratios over the defined cells of a group.

    Powers in mW. `swing_share` is (max - min) / mean, `load_factor` mean / max, `crest_factor`
    max / root mean square; a ratio to zero is None.
    """
    cells = energy_nj[defined]
    if not len(cells):
        return dict.fromkeys(_SHAPE)
    power = cells / step_us
    mean, low, high = (float(f(power)) for f in (np.mean, np.min, np.max))
    rms = float(np.sqrt(np.mean(power * power)))
    return {
        "mean_mw": mean,
        "min_mw": low,
        "max_mw": high,
        "swing_mw": high - low,
        "swing_share": (high - low) / mean if mean else None,
        "load_factor": mean / high if high else None,
        "crest_factor": high / rms if rms else None,
        "variance_mw2": float(np.var(power)),
        "battery_nj": battery_nj(cells),
    }


_SHAPE = (
    "mean_mw",
    "min_mw",
    "max_mw",
    "swing_mw",
    "swing_share",
    "load_factor",
    "crest_factor",
    "variance_mw2",
    "battery_nj",
)


def battery_nj(cells_nj: I64) -> int:
    """Return the storage that would flatten a load to its mean: lossless, in nJ, rounded up.

    It is the range of the running sum of (cell - mean), that of no cell, 0, included. The mean is
    a fraction, so all is multiplied by the number of cells n: n E_1 + ... + n E_k - k total.
    """
    count, total = len(cells_nj), total_nj(cells_nj)
    mean, rest = divmod(total, count)
    above = cells_nj - np.int64(mean)
    # |D_k| is at most the sum of |cell - mean|: with room to spare for k rest / n <= n.
    if float(np.abs(above).astype(np.float64).sum()) > 2.0**62:
        return _battery_of_integers(cells_nj.tolist(), total)
    # n state_k = n D_k - k rest = n (D_k - whole) - part, with 0 <= part < n: so states are in the
    # order of D_k - whole, and where that is equal, of -part.
    whole, part = np.divmod(np.arange(1, count + 1, dtype=np.int64) * rest, count)
    state = np.cumsum(above) - whole
    top, low = int(state.max()), int(state.min())
    most = count * top - int(part[state == top].min())
    least = count * low - int(part[state == low].max())
    return -((min(least, 0) - max(most, 0)) // count)


def _battery_of_integers(cells_nj: list[int], total: int) -> int:
    count = len(cells_nj)
    state = high = low = 0
    for cell in cells_nj:
        state += count * cell - total
        high, low = max(high, state), min(low, state)
    return -((low - high) // count)


def total_nj(cells_nj: I64) -> int:
    """Return the sum of cells as Python's integer: an hour of a large site exceeds 64 bits."""
    high = int((cells_nj >> 32).sum())
    return (high << 32) + int((cells_nj & 0xFFFFFFFF).sum())


def ramps(
    energy_nj: I64,
    defined: Bools,
    step_us: int,
    shortest_us: int,
    breaks: Sequence[int] = (),
) -> tuple[Figures, set[str]]:
    """Return the ramps of a group and the reasons why some are None.

    A ramp over h is the difference of two cells' mean powers, h apart, both defined. For each h:
    the largest rise and fall (mW, 0 if it never rises or falls) and the 99.9th percentile (nearest
    rank) of the absolute difference. A horizon that is shorter than the effective period of the
    readings (`shortest_us`), or not a whole number of cells, gives None. Across a cell of `breaks`
    there is no ramp: the load before it is that of other devices.
    """
    found: Figures = {}
    reasons: set[str] = set()
    for name, horizon_us in RAMPS_US.items():
        lag, rest = divmod(horizon_us, step_us)
        changes = np.empty(0, np.int64)
        if horizon_us < shortest_us:
            reasons.add("ramp_below_period")
        elif rest:
            reasons.add("ramp_not_whole_cells")
        else:
            both = defined[lag:] & defined[:-lag]
            for cell in breaks:
                both[max(cell - lag, 0) : cell] = False
            changes = (energy_nj[lag:] - energy_nj[:-lag])[both]
            if not len(changes):
                reasons.add("ramp_no_cells")
        rise = fall = most = None
        if len(changes):
            rise = max(float(changes.max()), 0.0) / step_us
            fall = max(float(-changes.min()), 0.0) / step_us
            size = np.abs(changes)
            most = nearest_rank(size, RAMP_QUANTILE) / step_us
        found |= {f"up_{name}_mw": rise, f"down_{name}_mw": fall, f"p999_{name}_mw": most}
    return found, reasons
