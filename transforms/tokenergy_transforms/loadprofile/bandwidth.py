"""How fast a device's readings can tell: its effective period, and what a line between readings
leaves of a swing.

In: the readings of one device and its `device` row. Out: its pace; of a group the largest period.
Nothing above half of one over that period is ever claimed.

The effective period of a device is the largest of

  - the update period of the reading, learned or assumed (`device.update_us`);
  - what a reading is the mean over: 1 s for the sensor `average_1s`, and for one that is not known
    (the call that older importers and boards name answers with a 1 s average on boards from Ampere
    on), but on P100 and V100;
  - the spacing of its readings. The collector keeps both ends of a run of equal readings and one a
    second inside, so only the spacing at which the value changes tells how often it was asked: its
    median. Where the update period is not known a new value must do for it: the low quantile of
    the times between new values, which is never shorter than what the sensor showed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokenergy_transforms.batch import I32, I64

AVERAGE_US = 1_000_000
"""What the sensor `average_1s` averages over."""

NEW_VALUE_QUANTILE = 0.1
"""Times between new values are whole multiples of the period where a value came twice by chance;
the low quantile is the period itself."""

ENOUGH_CHANGES = 8
"""With fewer changes the record's own spacings tell nothing."""

_INSTANT_BOARDS = re.compile(r"\b(P100|V100S?)\b")


@dataclass(frozen=True, slots=True)
class Pace:
    """How one device was read in an hour.

    Attributes:
        period_us: effective period.
        spacing_us: spacing of readings where the value changes.
        hold_us: how long a value stands before the next one.
        ticks_us: the mean spacing, exactly; None where a value stands for longer than it is read,
            so that the sensor's own instants are not known.
        last_us: its last reading in the hour.
    """

    period_us: int
    spacing_us: int
    hold_us: int
    ticks_us: float | None
    last_us: int


def pace(ts_us: I64, power_mw: I32, row: Mapping[str, Any], sensor: str | None) -> Pace:
    """Return the pace of one device.

    Args:
        ts_us: int64[n] stamps in the hour, ascending, n >= 1.
        power_mw: int32[n].
        row: its `device` row; may be empty.
        sensor: what its readings are, as `power.sensor` says.
    """
    update_us = row.get("update_us")
    changes = np.flatnonzero(np.diff(power_mw)) + 1
    if len(changes) >= ENOUGH_CHANGES:
        spacing_us = int(np.median(ts_us[changes] - ts_us[changes - 1]))
        renewed_us = np.diff(ts_us[changes])
        seen_us = int(np.quantile(renewed_us, NEW_VALUE_QUANTILE, method="inverted_cdf"))
        hold_us = max(update_us or seen_us, spacing_us)
    elif update_us:
        spacing_us = hold_us = update_us
    else:
        # A level reading of an unknown sensor: nothing is known but how often it was kept.
        spacing_us = hold_us = int(np.median(np.diff(ts_us))) if len(ts_us) > 1 else AVERAGE_US
    return Pace(
        period_us=max(hold_us, spacing_us, averaging_us(row, sensor)),
        spacing_us=spacing_us,
        hold_us=hold_us,
        ticks_us=ticks_us(ts_us, spacing_us) if hold_us < 1.2 * spacing_us else None,
        last_us=int(ts_us[-1]),
    )


def ticks_us(ts_us: I64, spacing_us: int) -> float:
    """Return the mean spacing of ticks, of which some were not kept, to far below their jitter.

    Args:
        ts_us: int64[n] stamps, ascending.
        spacing_us: about how far ticks are apart.
    """
    found, reach = float(spacing_us), 1
    while reach < len(ts_us) // 2 and reach <= 1 << 12:
        spans = ts_us[reach:] - ts_us[:-reach]
        counts = np.rint(spans / found)
        fits = counts > 0
        if fits.any():
            found = float(np.median(spans[fits] / counts[fits]))
        reach *= 4
    return found


def averaging_us(row: Mapping[str, Any], sensor: str | None) -> int:
    """Return what a reading is the mean over as far as it bounds what can be claimed (us)."""
    if sensor == "instant" or _INSTANT_BOARDS.search(row.get("name") or ""):
        return 0
    return AVERAGE_US


def interpolation_gain(
    frequency_hz: np.ndarray[Any, np.dtype[np.float64]], paces: Mapping[tuple[int, int], int]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return what is left of an amplitude at some frequencies once readings are joined by lines.

    A value that stands for H and then goes to the next one within T is the readings' train run
    through a mean over H and a mean over T: sinc(f H) sinc(f T), which is sinc(f T)^2 where every
    reading is a new value. Of a group it is the mean over its devices.

    Args:
        frequency_hz: float64[k].
        paces: number of devices by (hold, spacing), microseconds.
    """
    total = np.zeros(len(frequency_hz), np.float64)
    for (hold_us, spacing_us), count in paces.items():
        total += (
            count * np.sinc(frequency_hz * hold_us / 1e6) * np.sinc(frequency_hz * spacing_us / 1e6)
        )
    return total / max(sum(paces.values()), 1)
