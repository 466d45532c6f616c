"""A load as it is measured: its cells and what their readings resolve, whatever it is of.

In: an hour's filled grid, or a course over many hours. Out: one shape for both, so that hours and
spans have the same figures by the same code, and the corrected spectra of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tokenergy_transforms.batch import I64
from tokenergy_transforms.loadprofile import spectrum
from tokenergy_transforms.loadprofile.bandwidth import interpolation_gain
from tokenergy_transforms.loadprofile.figures import Bools

LEAST_GAIN = 0.2


@dataclass(frozen=True, slots=True)
class Load:
    """Cells of a load.

    Attributes:
        energy_nj: int64[n].
        known: bool[n] which cells count.
        step_us: size of a cell.
        period_us: effective period of the readings.
        limit_hz: the highest frequency that they resolve.
        paces: devices by (hold, spacing) of their readings in microseconds.
        breaks: cells at which other devices began to be read.
    """

    energy_nj: I64
    known: Bools
    step_us: int
    period_us: int
    limit_hz: float
    paces: Counter[tuple[int, int]] = field(default_factory=Counter)
    breaks: tuple[int, ...] = ()

    def runs(self) -> list[spectrum.F64]:
        """Return the runs of cells that count, in mW."""
        return spectrum.runs_of(self.energy_nj / self.step_us, self.known, self.breaks)

    def spectrum(
        self,
        runs: list[spectrum.F64],
        psd: spectrum.Psd,
        lengths_s: Sequence[float] = spectrum.SEGMENTS_S,
    ) -> spectrum.Spectrum | None:
        """Return the corrected density of runs; None if no segment of such a length fits."""
        cells, count = spectrum.segment_cells(runs, self.step_us, lengths_s)
        if not count:
            return None
        density = psd(runs, self.step_us / 1e6, cells)
        width = 1e6 / (cells * self.step_us)
        # Above the limit the gain falls to 0: dividing by it would only raise noise.
        frequency: spectrum.F64 = np.arange(len(density), dtype=np.float64) * width
        resolved = int(np.searchsorted(frequency, 1.2 * self.limit_hz, "right"))
        frequency = frequency[:resolved]
        lines = interpolation_gain(frequency, self.paces)
        gain = spectrum.gain(frequency, lines, self.step_us)
        density[:resolved] /= np.maximum(gain, LEAST_GAIN) ** 2
        return spectrum.Spectrum(density, width, count, self.limit_hz)
