"""How the parts of a load swing with its sum: cross spectra, coherence, phase.

In: cells of a sum and of a part, over the same runs of cells. Out: densities of both and between
them, by the same segments, window and scaling as `spectrum`. `scipy.signal.csd` gives the same.

With P_TT the density of the sum, P_jj that of part j and P_jT = mean conj(X_j) X_T between them:

    coherence   |P_jT|^2 / (P_jj P_TT)            1: j swings in a fixed relation to the sum
    share       Re sum P_jT / sum P_TT            parts that add up to the sum have shares that add
                                                  up to 1; below 0: j works against the swing
    phase       -arg sum P_jT                     how far j is ahead of the sum, in radians
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tokenergy_transforms.loadprofile.spectrum import F64

C128 = npt.NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class Segments:
    """Windowed spectra of a load: complex128[segments, k], and the width of a bin."""

    spectra: C128
    resolution_hz: float

    def cross(self, other: Segments) -> C128:
        """Return the density between this load and another: complex128[k]."""
        found: C128 = (self.spectra.conj() * other.spectra).mean(axis=0)
        return found

    def density(self) -> F64:
        """Return the density of this load: float64[k] mW^2/Hz."""
        found: F64 = self.cross(self).real
        return found


def segments(runs: Sequence[F64], step_s: float, cells: int) -> Segments:
    """Return the spectra of the segments of some runs of cells, as Welch's method takes them.

    Args:
        runs: float64 each, mW; without unknown cells.
        step_s: size of a cell.
        cells: of a segment.
    """
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(cells) / cells)
    scale = np.sqrt(2 * step_s / (window**2).sum())
    found = []
    for run in runs:
        for start in range(0, len(run) - cells + 1, cells - cells // 2):
            part = run[start : start + cells]
            found.append(np.fft.rfft((part - part.mean()) * window) * scale)
    spectra = np.array(found) if found else np.empty((0, cells // 2 + 1), np.complex128)
    spectra[:, 0] /= np.sqrt(2)
    if cells % 2 == 0:
        spectra[:, -1] /= np.sqrt(2)
    return Segments(spectra, 1 / (cells * step_s))


@dataclass(frozen=True, slots=True)
class Relation:
    """How a part swings with its sum over some bins.

    Attributes:
        coherence: mean over the bins, weighted with the sum's density; None if nothing swings.
        share: part of the sum's variance that is this part's; None likewise.
        phase: how far it is ahead of the sum, radians in (-pi, pi].
        amplitude_mw: sqrt(2) times the rms of what of it is coherent with the sum.
    """

    coherence: float | None
    share: float | None
    phase: float
    amplitude_mw: float


def relation(part: Segments, whole: Segments, bins: slice) -> Relation:
    """Return how a part swings with its sum over some bins."""
    between: Any = part.cross(whole)[bins]
    of_part, of_whole = part.density()[bins], whole.density()[bins]
    total, own = float(of_whole.sum()), float(of_part.sum())
    if total <= 0 or own <= 0:
        return Relation(None, None, 0.0, 0.0)
    product = of_part * of_whole
    # Bins in which one of the two is still have nothing in common.
    coherent = np.abs(between) ** 2 / np.where(product > 0, product, np.inf)
    added = complex(between.sum())
    return Relation(
        coherence=float((coherent * of_whole).sum() / total),
        share=added.real / total,
        phase=float(-np.angle(added)),
        amplitude_mw=float(np.sqrt(2 * part.resolution_hz) * abs(added) / np.sqrt(total)),
    )
