"""What a device loses at a load: straight lines through the points of the site file.

In: points (load, loss) and on which side of the device the load is metered. Out: a `Curve` over the
metered power, in milliwatts. Before a device the meter shows load + loss, so the points move there.
Below the first point and above the last one nothing is known: the curve never goes on by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tokenergy_sql.places.losses import Side

Floats = npt.NDArray[np.float64]
Points = tuple[Floats, Floats]


@dataclass(frozen=True, eq=False)
class Curve:
    """Loss over metered power.

    Attributes:
        power_mw: of the points, ascending (n,).
        loss_mw: there (n,).
    """

    power_mw: Floats
    loss_mw: Floats

    @property
    def first_mw(self) -> float:
        """Return the least power that the curve knows."""
        return float(self.power_mw[0])

    @property
    def last_mw(self) -> float:
        """Return the most power that the curve knows."""
        return float(self.power_mw[-1])

    def at(self, power_mw: Floats | float) -> Floats:
        """Return the loss at powers that the curve knows, mW (m,)."""
        return np.asarray(np.interp(power_mw, self.power_mw, self.loss_mw), np.float64)

    def mean(self, begin_mw: Floats, end_mw: Floats) -> Floats:
        """Return the mean loss while power goes from one value to another in a straight line (m,).

        It is the integral over each straight part of the curve: exact, whatever lies between.
        """
        low, high = np.minimum(begin_mw, end_mw), np.maximum(begin_mw, end_mw)
        width = high - low
        whole = np.zeros_like(low)
        for left, right in zip(self.power_mw[:-1], self.power_mw[1:], strict=True):
            first, last = np.clip(low, left, right), np.clip(high, left, right)
            whole += (last - first) * (self.at(first) + self.at(last)) / 2
        flat = width <= 0
        return np.asarray(
            np.where(flat, self.at(low), whole / np.where(flat, 1.0, width)), np.float64
        )

    def ends(self, low_mw: Floats, high_mw: Floats) -> tuple[Floats, Floats]:
        """Return the least and the most loss at any power between two (m,) each."""
        return _ends((self.power_mw, self.loss_mw), low_mw, high_mw)

    def least_of_mean(self, low_mw: float, high_mw: float) -> float:
        """Return the least mean loss of any course of power that the curve knows.

        Args:
            low_mw, high_mw: between these the mean power lies.

        A course may swing: the mean of its losses lies on or above the convex hull of the curve.
        """
        hull = _hull(self.power_mw, self.loss_mw, lower=True)
        return float(_ends(hull, np.array([low_mw]), np.array([high_mw]))[0][0])

    def most_of_mean(self, low_mw: float, high_mw: float) -> float:
        """Return the most mean loss of any such course: below the hull from above."""
        hull = _hull(self.power_mw, self.loss_mw, lower=False)
        return float(_ends(hull, np.array([low_mw]), np.array([high_mw]))[1][0])


def curve_of(points_mw: Sequence[tuple[int, int]], side: Side) -> Curve:
    """Return the curve of a loss.

    Args:
        points_mw: (load, loss), mW: what comes out of the device, and what it loses.
        side: where the meter stands.
    """
    load, loss = (np.array(of, np.float64) for of in zip(*points_mw, strict=True))
    return Curve(load + loss if side == "before" else load, loss)


def _ends(points: Points, low_mw: Floats, high_mw: Floats) -> tuple[Floats, Floats]:
    """Return the least and the most of a line through points, between two powers (m,) each."""
    ends = [np.interp(one, *points) for one in (low_mw, high_mw)]
    least, most = np.minimum(*ends), np.maximum(*ends)
    for power, loss in zip(*points, strict=True):
        inside = (low_mw < power) & (power < high_mw)
        least = np.where(inside, np.minimum(least, loss), least)
        most = np.where(inside, np.maximum(most, loss), most)
    return least, most


def _hull(power_mw: Floats, loss_mw: Floats, *, lower: bool) -> Points:
    """Return the hull of points from below or from above."""
    sign = 1.0 if lower else -1.0
    kept: list[tuple[float, float]] = []
    for x, y in zip(power_mw.tolist(), (sign * loss_mw).tolist(), strict=True):
        while len(kept) > 1:
            (x0, y0), (x1, y1) = kept[-2:]
            # The last point stays only if the line turns left there.
            if (x1 - x0) * (y - y0) > (x - x0) * (y1 - y0):
                break
            kept.pop()
        kept.append((x, y))
    found = np.array(kept, np.float64)
    return found[:, 0], sign * found[:, 1]
