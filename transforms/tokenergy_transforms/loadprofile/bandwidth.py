"""Which frequencies a device's readings resolve, and how much interpolation damps a swing.

In: the readings of one device and its `device` row. Out: its pace. The load profile claims nothing
above half of one over the largest period of a group.

The effective period of a device is the largest of

  - the update period of the reading, learned or assumed (`device.update_us`);
  - the time that a reading averages over: 1 s for the sensor `average_1s`, and for an unknown
    sensor (`nvmlDeviceGetPowerUsage` returns a 1 s average from Ampere on) except on P100 and V100;
  - the spacing of its readings. The collector keeps both ends of a run of equal readings and one a
    second inside, so only the spacings at which the value changes show the polling: their median
    counts. If the update period is not known, the low quantile of the times between new values
    replaces it, which is never shorter than what the sensor showed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from tokenergy_transforms.batch import I32, I64

AVERAGE_US = 1_000_000
"""Averaging time of the sensor `average_1s`."""

NEW_VALUE_QUANTILE = 0.1
"""Times between new values are whole multiples of the period where a value came twice by chance;
the low quantile is the period itself."""

ENOUGH_CHANGES = 8
"""With fewer changes the spacings of the record say nothing about the sensor."""

_ENOUGH_SPANS = 2048
"""The median of so many is as good as that of all: their scatter is divided by the reach."""

_INSTANT_BOARDS = re.compile(r"\b(P100|V100S?)\b")


@dataclass(frozen=True, slots=True)
class Pace:
    """How one device was read in an hour.

    Attributes:
        period_us: effective period.
        spacing_us: spacing of readings where the value changes.
        hold_us: how long the sensor shows a value.
        ticks_us: the mean spacing, exactly; None if the sensor shows a value for longer than the
            spacing: then the instants of its updates are not known.
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
        sensor: its `power.sensor`.
    """
    update_us = row.get("update_us")
    between_us, renewed_us = _changes(ts_us, power_mw)
    if len(between_us) >= ENOUGH_CHANGES:
        spacing_us = int(np.median(between_us))
        seen_us = nearest_rank(renewed_us, NEW_VALUE_QUANTILE)
        hold_us = max(update_us or seen_us, spacing_us)
    elif update_us:
        spacing_us = hold_us = update_us
    else:
        # A constant reading of an unknown sensor: only the spacing of its rows is known.
        spacing_us = hold_us = int(np.median(np.diff(ts_us))) if len(ts_us) > 1 else AVERAGE_US
    return Pace(
        period_us=max(hold_us, spacing_us, averaging_us(row, sensor)),
        spacing_us=spacing_us,
        hold_us=hold_us,
        ticks_us=ticks_us(ts_us, spacing_us) if hold_us < 1.2 * spacing_us else None,
        last_us=int(ts_us[-1]),
    )


@njit(cache=True, nogil=True)
def _changes(ts_us, power_mw):  # type: ignore[no-untyped-def]
    """Return spacings of readings where the value changes, and times between new values."""
    between = np.empty(len(ts_us), np.int64)
    renewed = np.empty(len(ts_us), np.int64)
    count, last_us = 0, np.int64(0)
    for k in range(1, len(ts_us)):
        if power_mw[k] != power_mw[k - 1]:
            between[count] = ts_us[k] - ts_us[k - 1]
            renewed[count] = ts_us[k] - last_us
            last_us = ts_us[k]
            count += 1
    return between[:count], renewed[1:count]


def nearest_rank(values: I64, quantile: float) -> int:
    """Return the smallest value that at least that share of the values does not exceed.

    It is `np.quantile` with `inverted_cdf`, in a tenth of the time.
    """
    place = max(math.ceil(round(quantile * len(values), 9)) - 1, 0)
    return int(np.partition(values, place)[place])


@njit(cache=True, nogil=True)
def ticks_us(ts_us, spacing_us):  # type: ignore[no-untyped-def]
    """Return the mean spacing of polls, of which some were not kept, to far below their jitter.

    Args:
        ts_us: int64[n] stamps, ascending.
        spacing_us: the spacing, roughly.

    Returns:
        float, microseconds.
    """
    found, reach = float(spacing_us), 1
    while reach < len(ts_us) // 2 and reach <= 1 << 12:
        every = max((len(ts_us) - reach) // _ENOUGH_SPANS, 1)
        spans = ts_us[reach::every] - ts_us[:-reach:every]
        counts = np.rint(spans / found)
        fits = counts > 0
        if fits.any():
            found = float(np.median(spans[fits] / counts[fits]))
        reach *= 4
    return found


def averaging_us(row: Mapping[str, Any], sensor: str | None) -> int:
    """Return the time that a reading averages over (us); 0 if it is instantaneous."""
    if sensor == "instant" or _INSTANT_BOARDS.search(row.get("name") or ""):
        return 0
    return AVERAGE_US


def interpolation_gain(
    frequency_hz: np.ndarray[Any, np.dtype[np.float64]], paces: Mapping[tuple[int, int], int]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the share of an amplitude that remains after linear interpolation, by frequency.

    A value that is held for H and then goes to the next one within T is the train of readings
    filtered by a mean over H and a mean over T: sinc(f H) sinc(f T), which is sinc(f T)^2 where
    every reading is a new value. For a group it is the mean over its devices.

    Args:
        frequency_hz: float64[k].
        paces: number of devices by (hold, spacing), microseconds.
    """
    means = {us: np.sinc(frequency_hz * us / 1e6) for us in {us for pace in paces for us in pace}}
    total = np.zeros(len(frequency_hz), np.float64)
    for (hold_us, spacing_us), count in paces.items():
        total += count * means[hold_us] * means[spacing_us]
    return total / max(sum(paces.values()), 1)
