"""How a load swings by frequency: Welch's power spectral density, bands, the dominant line.

In: the mean powers of a group's cells (mW), which of them are defined, and what cells and lines
between readings leave of an amplitude. Out: variance by band, the strongest line.

Maths. Segments of n cells with half overlap, each without its mean and under a Hann window w, are
inside runs of defined cells; of the segments X_s

    P(k / (n dt)) = 2 dt / sum(w^2) mean_s |rfft(w (X_s - mean X_s))_k|^2      mW^2/Hz

(once, not twice, at 0 and at n / 2): what `scipy.signal.welch` computes segment by segment. Here
NumPy on the CPU and cuFFT on a CUDA device do many segments in one call; all three agree within
1e-9 of the total power. Then P is divided by the squared gain (`gain`): its integral over a band is
the variance that the load had there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Psd = Callable[[list[F64], float, int], F64]
"""Runs of cells (mW), step (s), cells a segment -> density of each frequency (mW^2/Hz)."""

SEGMENTS_S = (400, 200, 100, 50, 25)
"""Lengths of a Welch segment, the longest first that fits `ENOUGH_SEGMENTS` times."""

EDGES_HZ = (0.01, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0)
"""Edges of the bands. Below 0.1 Hz secondary control acts; 0.1 to 2.5 Hz holds the electromechanic
modes of grids, inter-area (about 0.1 to 1 Hz) and local (about 1 to 2.5 Hz); above come control
modes, flicker, and from about 7 Hz the torsional modes of turbine shafts. Sources: docs."""

RESOLVED = 4
"""Frequencies count from 4 bins up: below, the Hann window mixes them with the line of the mean."""

ENOUGH_SEGMENTS = 3
_LOBE = 4
_NEAR = 20
_LINE = 20.0
"""A line exceeds the median of its neighbourhood by this factor, whether that is level or falls
with the square of the frequency, as drifts do. Noise does so once in hundreds of hours, even in a
spectrum of one segment."""

_PEAKS = 20
"""How many maxima are examined, the largest first."""

ROUNDING = 1e-6
"""Swings below this share of the mean may be rounding of the readings."""

_CACHED_CELLS = 1 << 15
"""Cells of the segments that are worked on at a time: they stay in the cache of a core."""

_DEVICE_CELLS = 1 << 22
"""The same on a CUDA device: many segments in one call of cuFFT."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The density of a group's load, corrected.

    Attributes:
        density: float64[k] mW^2/Hz at k * resolution_hz.
        resolution_hz: width of a bin.
        segments: how many segments it is the mean of.
        limit_hz: the highest frequency that the readings resolve.
    """

    density: F64
    resolution_hz: float
    segments: int
    limit_hz: float

    @property
    def frequency_hz(self) -> F64:
        """float64[k] middle of each bin."""
        return np.arange(len(self.density), dtype=np.float64) * self.resolution_hz


@dataclass(frozen=True, slots=True)
class Band:
    """Variance of a load (mW^2) from low to high; or None and the reason."""

    low_hz: float
    high_hz: float
    variance_mw2: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    """The dominant line: its frequency, amplitude (half of peak to peak), share of the variance."""

    frequency_hz: float
    amplitude_mw: float
    share: float


def runs_of(power_mw: F64, defined: Bools, breaks: Sequence[int] = ()) -> list[F64]:
    """Return the runs of defined cells, cut at the cells of `breaks`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], defined, [False]]).astype(np.int8)))
    found = []
    for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        cuts = [a, *(cell for cell in breaks if a < cell < b), b]
        found += [power_mw[low:high] for low, high in pairwise(cuts)]
    return found


def segment_cells(
    runs: list[F64], step_us: int, lengths_s: Sequence[float] = SEGMENTS_S
) -> tuple[int, int]:
    """Return cells a segment and how many segments fit; (0, 0) if none does.

    It takes the first length that fits often enough, or else the first that fits at all.
    """
    fallback = (0, 0)
    for seconds in lengths_s:
        cells = round(seconds * 1_000_000 / step_us)
        count = sum(len(_starts(run, cells)) for run in runs) if cells > 2 * RESOLVED else 0
        if count >= ENOUGH_SEGMENTS:
            return cells, count
        if count and not fallback[1]:
            fallback = (cells, count)
    return fallback


def _starts(run: F64, cells: int) -> range:
    return range(0, len(run) - cells + 1, cells - cells // 2)


def psd_numpy(runs: list[F64], step_s: float, cells: int) -> F64:
    """Return the density: the mean over the segments of all runs."""
    return np.asarray(_density(np, runs, step_s, cells, _CACHED_CELLS))


def psd_cupy(runs: list[F64], step_s: float, cells: int) -> F64:
    """Return the same from cuFFT, on the current device."""
    import cupy

    return np.asarray(cupy.asnumpy(_density(cupy, runs, step_s, cells, _DEVICE_CELLS)))


def _density(xp: Any, runs: list[F64], step_s: float, cells: int, batch_cells: int) -> Any:
    """Return the density as an array of a module: `numpy` or `cupy`."""
    window = 0.5 - 0.5 * xp.cos(2 * np.pi * xp.arange(cells) / cells)
    total, count = xp.zeros(cells // 2 + 1), 0
    some = max(batch_cells // cells, 1)
    for run in runs:
        starts = _starts(run, cells)
        if not starts:
            continue
        cells_mw = xp.ascontiguousarray(xp.asarray(run))
        size = cells_mw.itemsize
        shape, strides = (len(starts), cells), (starts.step * size, size)
        segments = xp.lib.stride_tricks.as_strided(cells_mw, shape, strides)
        for first in range(0, len(starts), some):
            rows = segments[first : first + some]
            rows = rows - rows.mean(axis=1, keepdims=True)
            rows *= window
            found = xp.fft.rfft(rows, axis=1).view(np.float64)
            # Re and Im of a bin lie side by side.
            squares = xp.einsum("sb,sb->b", found, found)
            total += squares[::2] + squares[1::2]
        count += len(starts)
    total *= 2 * step_s / float((window**2).sum()) / count
    total[0] /= 2
    if cells % 2 == 0:
        total[-1] /= 2
    return total


def gain(frequency_hz: F64, of_lines: F64, step_us: int) -> F64:
    """Return the share of an amplitude that remains after interpolation and averaging over cells.

    Args:
        frequency_hz: float64[k].
        of_lines: float64[k] what interpolation leaves; see `bandwidth.interpolation_gain`.
        step_us: size of a cell: its mean leaves sinc(f step), exactly.
    """
    return of_lines * np.sinc(frequency_hz * step_us / 1e6)


def bands(spectrum: Spectrum | None, limit_hz: float) -> list[Band]:
    """Return the bands: the integral of the density over each, bins cut at its edges.

    None where the band reaches above the limit (`above_nyquist`), where there is no spectrum
    (`no_segment`), or where its lower edge is below `RESOLVED` bins (`below_resolution`).
    """
    found = []
    for low, high in pairwise(EDGES_HZ):
        reason, variance = "", None
        if high > limit_hz:
            reason = "above_nyquist"
        elif spectrum is None:
            reason = "no_segment"
        elif low < RESOLVED * spectrum.resolution_hz * (1 - 1e-9):
            reason = "below_resolution"
        else:
            variance = band_variance(spectrum, low, high)
        found.append(Band(low, high, variance, reason))
    return found


def band_variance(spectrum: Spectrum, low_hz: float, high_hz: float) -> float:
    """Return the variance (mW^2) from low to high; bands that touch add up."""
    width, middle = spectrum.resolution_hz, spectrum.frequency_hz
    left = np.maximum(np.maximum(middle - width / 2, 0.0), low_hz)
    inside = np.clip(np.minimum(middle + width / 2, high_hz) - left, 0.0, None)
    # The bin at 0 is half a bin wide and holds a whole one's variance.
    inside[0] *= 2
    used = inside > 0
    return float((spectrum.density[used] * inside[used]).sum())


def dominant(spectrum: Spectrum, mean_mw: float) -> Line | None:
    """Return the strongest line of a load up to the limit; None if no line exceeds the noise.

    A line is a local maximum, `RESOLVED` bins or more from 0, far above the median of its
    neighbourhood. Its power is the lobe's less the neighbourhood's; its frequency the vertex
    of the parabola through the logarithms of three bins.
    """
    density, width = spectrum.density, spectrum.resolution_hz
    top = min(int(spectrum.limit_hz / width), len(density) - 2)
    variance = float(density[RESOLVED : top + 1].sum()) * width
    places = np.arange(RESOLVED, top + 1)
    peak = (density[places] >= density[places - 1]) & (density[places] > density[places + 1])
    best: Line | None = None
    peaks = places[peak]
    for k in peaks[np.argsort(-density[peaks], kind="stable")][:_PEAKS].tolist():
        line = _line(density, k, width, top, variance)
        if line is not None and (best is None or line.amplitude_mw > best.amplitude_mw):
            best = line
    return best if best is not None and best.amplitude_mw > ROUNDING * mean_mw else None


def _line(density: F64, k: int, width: float, top: int, variance: float) -> Line | None:
    lobe = slice(max(k - _LOBE, 1), k + _LOBE + 1)
    floor, red = _near(density, k, lobe.start, lobe.stop, top)
    if density[k] <= _LINE * max(floor, red):
        return None
    power = float((density[lobe] - floor).sum()) * width
    a, b, c = (float(np.log(max(density[k + i], 1e-300))) for i in (-1, 0, 1))
    bend = a - 2 * b + c
    shift = 0.5 * (a - c) / bend if bend else 0.0
    share = min(power / variance, 1.0) if variance else 0.0
    return Line((k + min(max(shift, -0.5), 0.5)) * width, float(np.sqrt(2 * power)), share)


@njit(cache=True, nogil=True)
def _near(density, k, start, stop, top):  # type: ignore[no-untyped-def]
    """Return the medians of the neighbourhood of a lobe: level, and falling with the square."""
    left, right = max(start - _NEAR, 1), min(stop + _NEAR, top + 1)
    near = np.concatenate((np.arange(left, start), np.arange(stop, right)))
    if not len(near):
        return 0.0, 0.0
    values = density[near]
    return np.median(values), np.median(values * (near / k) ** 2)
