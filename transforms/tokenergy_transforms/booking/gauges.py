"""What the state gauges say of each segment: whether an SM was busy, whether a process ran.

In: an `Hour`, readings of the gauges (`Gauges`). Out: two flags a segment, unset where no reading
is near enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from tokenergy_transforms.batch import I32, I64, NONE
from tokenergy_transforms.booking.hour import Hour

GAUGE_US = 2_000_000
"""A segment takes the gauges that were read inside it, or else the last one within this time."""

PROCESS_US = 15_000_000
"""The same for lists of processes, which are read more rarely."""

UNSET, NO, YES = -1, 0, 1


@dataclass(frozen=True, slots=True)
class Gauges:
    """Readings of the state gauges of D devices.

    Attributes:
        offsets: int64[D + 1]; readings of device d are offsets[d]:offsets[d + 1].
        ts_us: int64[G], ascending in a device.
        sm_util: int32[G], percent; `NONE` where NVML gave none.
        processes: int32[G], number of compute processes; `NONE` where it was not read.
    """

    offsets: I64
    ts_us: I64
    sm_util: I32
    processes: I32


def busy_and_running(
    devices: range, hour: Hour, gauges: Gauges
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """Return two int8 flags for each segment of some neighbouring devices: `UNSET`, `NO` or `YES`.

    The first says whether an SM was busy, the second whether a compute process ran.
    """
    first, last = int(hour.offsets[devices.start]), int(hour.offsets[devices.stop])
    busy, running = np.full(last - first, UNSET, np.int8), np.full(last - first, UNSET, np.int8)
    columns = (gauges.ts_us, gauges.sm_util, gauges.processes)
    for d in devices:
        of_device = slice(hour.offsets[d] - first, hour.offsets[d + 1] - first)
        of_hour = slice(hour.offsets[d], hour.offsets[d + 1])
        readings = tuple(column[gauges.offsets[d] : gauges.offsets[d + 1]] for column in columns)
        stamps = (hour.start_us[of_hour], hour.end_us[of_hour])
        _look(stamps, readings, busy[of_device], running[of_device])
    return busy, running


@njit(cache=True, error_model="numpy", nogil=True)
def _look(stamps, readings, busy, running):  # type: ignore[no-untyped-def]
    """Set of each segment of a device whether an SM was busy, and whether a process ran."""
    start_us, end_us = stamps
    ts_us, sm_util, processes = readings
    last_util = last_list = np.int64(-1)  # the latest readings up to the segment's start, its end
    at = listed = np.int64(0)
    for i in range(len(start_us)):
        while at < len(ts_us) and ts_us[at] < start_us[i]:
            if sm_util[at] != NONE:
                last_util = at
            at += 1
        highest = np.int32(NONE)
        while at < len(ts_us) and ts_us[at] < end_us[i]:
            if sm_util[at] != NONE:
                highest = max(highest, sm_util[at])
                last_util = at
            at += 1
        if highest != NONE:
            busy[i] = YES if highest > 0 else NO
        while listed < len(ts_us) and ts_us[listed] <= end_us[i]:
            if processes[listed] != NONE:
                last_list = listed
            listed += 1
        if last_list >= 0 and end_us[i] - ts_us[last_list] <= PROCESS_US:
            running[i] = YES if processes[last_list] > 0 else NO
        if highest == NONE and last_util >= 0 and start_us[i] - ts_us[last_util] <= GAUGE_US:
            busy[i] = YES if sm_util[last_util] > 0 else NO
