"""What a load course is: the load of one group in every cell of a span.

In: cells that were joined. Out: the course, and the same as figures are worked out from.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from tokenergy_transforms.batch import I64
from tokenergy_transforms.loadprofile.bandwidth import AVERAGE_US
from tokenergy_transforms.loadprofile.figures import Bools
from tokenergy_transforms.loadprofile.load import Load

Boundary = Literal["boards", "it", "connection"]
"""What the load is of: the boards; boards and their hosts; the grid connection."""


@dataclass(frozen=True, slots=True)
class LoadCourse:
    """The load of one group over a span, or over one chunk of it.

    Attributes:
        kind: job, node, rack or site.
        group_id: its name.
        start_us: start of the first cell, microseconds UTC; a multiple of the step.
        step_us: size of a cell.
        energy_nj: int64[n] energy of each cell; the load in it is energy / step, in mW.
        known: bool[n] false where the power of some member is not known throughout, where the group
            was not held, and where nothing was read.
        period_us: effective period of the readings, that of the slowest device; None if nothing
            was read.
        limit_hz: the highest frequency that they resolve; None if nothing was read.
        devices: devices that the group had.
        metered: those of them with readings.
        boundary: what the load is of.
        emulated: whether a device is emulated.
        reasons: what is doubtful, sorted: `not_metered`, `unmetered_devices`, `shared_estimate`,
            `no_cells`, `devices_changed`, and those of the boundary.
        breaks: cells at which other devices began to be read: the load before and after is not
            that of the same devices, so a step there is none of the load.
        covered_us: device time with defined power, in the hours that the span touches.
        held_us: device time that was held in them.
        as_of_us: latest reading; None if there is none.
        paces: devices by (hold, spacing) of their readings in microseconds, over all hours.
    """

    kind: str
    group_id: str
    start_us: int
    step_us: int
    energy_nj: I64
    known: Bools
    period_us: int | None
    limit_hz: float | None
    devices: int
    metered: int
    boundary: Boundary
    emulated: bool
    reasons: tuple[str, ...]
    breaks: tuple[int, ...] = ()
    covered_us: int = 0
    held_us: int = 0
    as_of_us: int | None = None
    paces: Counter[tuple[int, int]] = field(default_factory=Counter)

    @property
    def end_us(self) -> int:
        """End of the last cell."""
        return self.start_us + len(self.energy_nj) * self.step_us

    @property
    def power_mw(self) -> npt.NDArray[np.float64]:
        """float64[n] the load of each cell; NaN where it is not known."""
        return np.where(self.known, self.energy_nj / self.step_us, np.nan)

    @property
    def load(self) -> Load:
        """The same as figures are worked out from."""
        return Load(
            self.energy_nj,
            self.known,
            self.step_us,
            self.period_us or AVERAGE_US,
            self.limit_hz or 0.5e6 / max(AVERAGE_US, self.step_us),
            self.paces,
            self.breaks,
        )
