"""What a limit limits, measured on a course: the worst values and when they were.

In: a load and a limit. Out: the largest value of the kind that is limited, its worst moments, and
why it cannot be observed if it cannot. A moment is known if all of its cells are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokenergy_sql.gridload.limits import Limit
from tokenergy_transforms.batch import I64
from tokenergy_transforms.loadprofile import rows, spectrum
from tokenergy_transforms.loadprofile.figures import Bools
from tokenergy_transforms.loadprofile.load import Load

MOST_MOMENTS = 3


@dataclass(frozen=True, slots=True)
class Measured:
    """The worst of what is limited.

    Attributes:
        value_mw: the largest; None if no moment is known, or if it is `hidden`.
        moments: first cell of each of the worst moments, the worst first; for a range the cells of
            the highest and of the lowest load.
        values_mw: of each moment.
        hidden: why the readings cannot show it; empty if they can.
        least: whether the value is only the least that it can be: it may break a limit, but a value
            below the limit proves nothing.
    """

    value_mw: float | None
    moments: tuple[int, ...] = ()
    values_mw: tuple[float, ...] = ()
    hidden: str = ""
    least: bool = False


def measure(load: Load, limit: Limit) -> Measured:
    """Return the worst of what a limit limits in a load."""
    if limit.kind == "ramp":
        return _ramp(load, limit)
    if limit.kind == "band_rms":
        return _band(load, limit)
    return _extremes(load, limit)


def _ramp(load: Load, limit: Limit) -> Measured:
    horizon_us = limit.horizon_us or 0
    lag, rest = divmod(horizon_us, load.step_us)
    if horizon_us < round(load.period_us * (1 - rows.TOLERANCE)):
        return Measured(None, hidden="ramp_below_period")
    if rest or not lag:
        return Measured(None, hidden="ramp_not_whole_cells")
    change, known = changes(load, lag)
    if limit.direction == "down":
        change = -change
    size = np.abs(change) if limit.direction == "both" else change
    return _worst(size / load.step_us, known, lag)


def changes(load: Load, lag: int) -> tuple[I64, Bools]:
    """Return the change of energy over some cells from each cell on, and where it is known."""
    known = load.known[lag:] & load.known[:-lag]
    for cell in load.breaks:
        known[max(cell - lag, 0) : cell] = False
    change: I64 = load.energy_nj[lag:] - load.energy_nj[:-lag]
    return change, known


def averaged_cells(load: Load, limit: Limit) -> int:
    """Return over how many cells a limit averages the load."""
    return max(round((limit.average_us or load.step_us) / load.step_us), 1)


def _averaged(load: Load, limit: Limit) -> tuple[npt.NDArray[np.float64], Bools, int]:
    """Return the mean power over the limit's averaging time from each cell on, in mW.

    Returns:
        float64[m], bool[m] where it is known, and how many cells are averaged.
    """
    cells = averaged_cells(load, limit)
    running = np.concatenate([[0.0], np.cumsum(load.energy_nj / load.step_us)])
    gaps = np.concatenate([[0], np.cumsum(~load.known)])
    mean = (running[cells:] - running[:-cells]) / cells
    return mean, gaps[cells:] == gaps[:-cells], cells


def _extremes(load: Load, limit: Limit) -> Measured:
    if len(load.energy_nj) < max(round((limit.average_us or 0) / load.step_us), 1):
        return Measured(None, hidden="span_too_short")
    mean, known, cells = _averaged(load, limit)
    # A sensor that averages for longer hides what is higher in between.
    least = bool(limit.average_us) and load.period_us * (1 - rows.TOLERANCE) > (
        limit.average_us or 0
    )
    if limit.kind == "peak":
        found = _worst(mean, known, cells)
        return Measured(found.value_mw, found.moments, found.values_mw, least=least)
    if not known.any():
        return Measured(None, hidden="no_cells")
    high = int(np.where(known, mean, -np.inf).argmax())
    low = int(np.where(known, mean, np.inf).argmin())
    value = float(mean[high] - mean[low])
    return Measured(value, (high, low), (float(mean[high]), float(mean[low])), least=least)


def _band(load: Load, limit: Limit) -> Measured:
    high_hz = (limit.band_hz or (0.0, 0.0))[1]
    if high_hz > load.limit_hz * (1 + rows.TOLERANCE):
        return Measured(None, hidden="above_nyquist")
    cells = round(limit.window_us / load.step_us)
    hop = max(cells // 2, 1)
    starts = np.arange(0, len(load.known) - cells + 1, hop)
    gaps = np.concatenate([[0], np.cumsum(~load.known)])
    known = gaps[starts + cells] == gaps[starts]
    for cell in load.breaks:
        known &= (starts >= cell) | (starts + cells <= cell)
    if not known.any():
        return Measured(None, hidden="no_segment")
    values = np.array(
        [band_rms_mw(load, int(start), cells, limit) if ok else 0.0
         for start, ok in zip(starts, known, strict=True)]
    )  # fmt: skip
    found = _worst(values, known, 2)
    moments = tuple(int(starts[place]) for place in found.moments)
    return Measured(found.value_mw, moments, found.values_mw)


def band_rms_mw(load: Load, start: int, cells: int, limit: Limit) -> float:
    """Return the rms of a load in the limit's band, in one window of cells."""
    some = slice(start, start + cells)
    window = Load(
        load.energy_nj[some], load.known[some], load.step_us, load.period_us, load.limit_hz,
        load.paces,
    )  # fmt: skip
    found = window.spectrum(
        [window.energy_nj / load.step_us], spectrum.psd_numpy, [cells * load.step_us / 1e6]
    )
    if found is None:
        return 0.0
    return float(np.sqrt(spectrum.band_variance(found, *(limit.band_hz or (0.0, 0.0)))))


def _worst(values: npt.NDArray[np.float64], known: Bools, apart: int) -> Measured:
    """Return the largest known values, no two of them nearer to each other than `apart`."""
    if not known.any():
        return Measured(None, hidden="no_cells")
    left = np.where(known, values, -np.inf)
    moments: list[int] = []
    for _ in range(MOST_MOMENTS):
        place = int(left.argmax())
        if not np.isfinite(left[place]):
            break
        moments.append(place)
        left[max(place - apart, 0) : place + apart + 1] = -np.inf
    return Measured(
        max(float(values[moments[0]]), 0.0),
        tuple(moments),
        tuple(float(values[m]) for m in moments),
    )
