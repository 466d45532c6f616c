"""What is asked of a store: the limits that grid power must keep, and what the store is like.

Powers are in W, energies in J, times in s. A limit that is None is not asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tokenergy_transforms.storage.program import F64

_WITHIN = 1e-9


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of grid power.

    Attributes:
        ramp_w_s: most change from one cell to the next, W per s of time between them.
        peak_w: most power.
    """

    ramp_w_s: float | None = None
    peak_w: float | None = None

    def cap_w(self, load_w: F64) -> float:
        """Return the most that grid power may be: the peak limit, never above the load's peak."""
        return min(float(load_w.max()), math.inf if self.peak_w is None else self.peak_w)

    def kept_by(self, grid_w: F64, step_s: float, within: float = _WITHIN) -> bool:
        """Return whether a course of grid power keeps the limits."""
        size = float(np.abs(grid_w).max(initial=0.0))
        if self.peak_w is not None and grid_w.max(initial=-np.inf) > self.peak_w + within * size:
            return False
        if self.ramp_w_s is None or len(grid_w) < 2:
            return True
        most = self.ramp_w_s * step_s
        return bool(np.abs(np.diff(grid_w)).max() <= most * (1 + within) + 1e-12 * size)


@dataclass(frozen=True, slots=True)
class Store:
    """What a store is like, whatever its size.

    Attributes:
        charge: stored energy / energy taken, above 0 and at most 1.
        discharge: energy given / energy taken out of the store, above 0 and at most 1.
        c_rate: most power / energy of the whole store with its reserve, 1/h; None: any.
        reserve_j: energy that the store has besides and that is never used.
        start_share: charge at the start / usable energy; None: whatever is best.
    """

    charge: float = 1.0
    discharge: float = 1.0
    c_rate: float | None = None
    reserve_j: float = 0.0
    start_share: float | None = None

    @property
    def lossless(self) -> bool:
        """Whether what goes in comes out."""
        return self.charge == 1.0 and self.discharge == 1.0
