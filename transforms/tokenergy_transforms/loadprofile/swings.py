"""Swings that wander: lines, and humps of a swing whose period is not steady.

In: runs of cells of one load, what their readings resolve, the function that computes densities.
Out: each swing with centre, width, size, and how far it is above the background.

A swing of a steady period is a line: one bin wide however long the segment. The steps of a real
training job vary by some per cent, so its swing is a hump, and a long segment smears it over so
many bins that none sticks out. So this looks at short segments: 50 s (25 s if 50 s do not fit three
times) from 0.2 Hz up, and 200 s below.

The background at f is the median of the density from f / 1.5 to 1.5 f (20 bins to each side at
least) without the swings found, level or weighted with the square of the frequency, whichever is
larger: so it follows noise that is level or falls as fast as a drift's. A swing is where the
density exceeds it by `LEAST`, or by more if the segments are so few that noise alone would. It ends
where the density has come down to the background, or at a valley. Of what is above the background
there, `rms_mw` is the root of the integral, `centre_hz` its mean, `width_hz` from 10 % to 90 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from tokenergy_transforms.loadprofile.figures import Bools
from tokenergy_transforms.loadprofile.spectrum import F64, RESOLVED, Spectrum

SCALES = (((50, 25), 0.2, np.inf), ((200,), 0.02, 0.2))
"""Lengths of a segment (s), the first that fits three times; from and up to which centre (Hz)."""

LEAST = 4.0
"""How many times a swing exceeds the background at least."""

MOST = 8
"""Swings of one load, the largest first."""

_SLACK = 1.3
_CHANCE = 1e-3
"""Chance that noise of known background exceeds the threshold somewhere; the slack is for the
background, which is estimated."""

_OVERLAPPED = 1.06
"""Hann segments that overlap by half are as good as independent ones divided by this."""

_VALLEY = 8.0
_REACH = 1.5
_NEAR = 20
_KNOTS = 48
_PASSES = 3
_NARROW_BINS = 2.0


@dataclass(frozen=True, slots=True)
class Swing:
    """One swing of a load.

    Attributes:
        centre_hz: mean frequency of its variance.
        width_hz: from 10 % to 90 % of its variance.
        rms_mw: root of its variance.
        above: how many times its peak exceeds the background.
        resolution_hz: width of a bin.
        segments: of the spectrum.
        narrow: whether it is no wider than a line would be.
        harmonic: whether it is at a multiple of a larger one.
    """

    centre_hz: float
    width_hz: float
    rms_mw: float
    above: float
    resolution_hz: float
    segments: int
    narrow: bool
    harmonic: bool = False


def find(spectra: Sequence[tuple[Spectrum, float, float]], least_mw: float) -> list[Swing]:
    """Return the swings of a load, ascending by frequency.

    Args:
        spectra: each with the range of centres (Hz) that counts in it.
        least_mw: smaller ones may be rounding of the readings.
    """
    found: list[Swing] = []
    for spectrum, low_hz, high_hz in spectra:
        found += [one for one in _of(spectrum) if low_hz <= one.centre_hz < high_hz]
    largest = sorted((one for one in found if one.rms_mw > least_mw), key=lambda s: -s.rms_mw)
    kept: list[Swing] = []
    for one in largest[:MOST]:
        kept.append(replace(one, harmonic=_is_harmonic(one, kept)))
    return sorted(kept, key=lambda s: s.centre_hz)


def threshold(segments: int, bins: int) -> float:
    """Return how many times above the background noise hardly ever is, in a mean of segments."""
    from scipy.special import gammaincinv

    half = max(segments / _OVERLAPPED, 1.0)  # half of the degrees of freedom
    top = float(gammaincinv(half, 1 - _CHANCE / max(bins, 1)))
    return max(LEAST, _SLACK * top / float(gammaincinv(half, 0.5)))


def _of(spectrum: Spectrum) -> Iterator[Swing]:
    density, width = spectrum.density, spectrum.resolution_hz
    top = min(int(spectrum.limit_hz / width), len(density) - 1)
    if top < 2 * RESOLVED:
        return
    least = threshold(spectrum.segments, top)
    edge = 1 + max(0.25, 2.5 * np.sqrt(_OVERLAPPED / spectrum.segments))
    taken: Bools = np.zeros(top + 1, np.bool_)
    spans: list[tuple[int, int]] = []
    for _ in range(_PASSES):
        floor = background(density, top, taken)
        before, spans = spans, _spans(density[: top + 1], floor, least, edge)
        taken[:] = False
        for first, last in spans:
            taken[first : last + 1] = True
        if spans == before:
            break
    for first, last in spans:
        yield _swing(spectrum, floor, first, last)


def background(density: F64, top: int, taken: Bools) -> F64:
    """Return the background of bins 0 to top: float64[top + 1] mW^2/Hz.

    Args:
        density: float64[k].
        top: the last bin that counts.
        taken: bool[top + 1] bins of swings, which do not belong to it.
    """
    knots = np.unique(np.rint(np.geomspace(RESOLVED, top, _KNOTS)).astype(np.int64))
    free = np.flatnonzero(~taken[1:]) + 1
    level: F64 = _levels(density, knots, free)
    # Noise of a constant reading is 0: the logarithm needs something.
    logs = np.log(np.maximum(level, 1e-300))
    bins = np.log(np.maximum(np.arange(top + 1), 1.0))
    return np.exp(np.interp(bins, np.log(knots), logs))


@njit(cache=True, nogil=True)
def _levels(density, knots, free):  # type: ignore[no-untyped-def]
    """Return the background at each knot; infinite where no bin near it is free."""
    level = np.empty(len(knots))
    for place in range(len(knots)):
        k = knots[place]
        lo = np.searchsorted(free, min(k / _REACH, k - _NEAR))
        hi = np.searchsorted(free, max(k * _REACH, k + _NEAR), "right")
        if lo == hi:
            level[place] = np.inf
            continue
        near = free[lo:hi]
        values = density[near]
        level[place] = max(np.median(values), np.median(values * (near / k) ** 2))
    return level


def _spans(density: F64, floor: F64, least: float, edge: float) -> list[tuple[int, int]]:
    """Return first and last bin of each swing, ascending."""
    above = density / floor
    left = above.copy()
    left[:RESOLVED] = 0
    spans: list[tuple[int, int]] = []
    while len(spans) < 2 * MOST:
        peak = int(left.argmax())
        if left[peak] < least:
            break
        first = _edge(density, above, left, peak, -1, least, edge)
        last = _edge(density, above, left, peak, 1, least, edge)
        spans.append((first, last))
        left[first : last + 1] = 0
    return sorted(spans)


def _edge(
    density: F64, above: F64, left: F64, peak: int, way: int, least: float, edge: float
) -> int:
    """Return the last bin of a swing on one side of its peak."""
    k = lowest = peak
    while 1 <= k + way < len(density) and left[k + way] > 0:
        k += way
        if density[k] < density[lowest]:
            lowest = k
        elif density[k] > _VALLEY * density[lowest] and above[k] > least:
            return lowest  # another swing begins
        if above[k] < edge and abs(k - peak) >= 2:
            return k
    return k


def _swing(spectrum: Spectrum, floor: F64, first: int, last: int) -> Swing:
    width = spectrum.resolution_hz
    bins = np.arange(first, last + 1)
    excess = np.clip(spectrum.density[bins] - floor[bins], 0.0, None)
    total = float(excess.sum())
    running = np.concatenate([[0.0], np.cumsum(excess)]) / total
    low, high = np.interp([0.1, 0.9], running, np.arange(first, last + 2) - 0.5)
    return Swing(
        centre_hz=float((excess * bins).sum() / total) * width,
        width_hz=float(high - low) * width,
        rms_mw=float(np.sqrt(total * width)),
        above=float((spectrum.density[bins] / floor[bins]).max()),
        resolution_hz=width,
        segments=spectrum.segments,
        narrow=bool(high - low <= _NARROW_BINS),
    )


def _is_harmonic(one: Swing, larger: list[Swing]) -> bool:
    for base in larger:
        order = round(one.centre_hz / base.centre_hz)
        off_hz = abs(one.centre_hz - order * base.centre_hz)
        if order >= 2 and off_hz <= 1.5 * one.resolution_hz + order * base.width_hz / 4:
            return True
    return False
