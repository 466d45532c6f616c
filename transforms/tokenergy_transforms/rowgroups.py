"""Copies decoded row groups into one array a column, device by device: numba's part of `readings`.

In: columns as Arrow holds them, a bitmap where some values are missing. Out: readings and counter
readings of every device, one after the other, in the order of the row groups.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_ONE = np.uint64(1)


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _has_value(bitmap, offset, row):  # type: ignore[no-untyped-def]
    """Say whether a row has a value; an empty bitmap means that all have."""
    if len(bitmap) == 0:
        return True
    bit = np.uint64(row) + np.uint64(offset)
    return (bitmap[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1) != 0


@njit(cache=True, error_model="numpy", nogil=True)
def runs_of(ids, runs):  # type: ignore[no-untyped-def]
    """Find the runs of equal int32 ids: int64[R, 3] of id, first row, one past the last row.

    Returns:
        The number of runs; if it exceeds R, only the first R were written.
    """
    used = 0
    k = np.uint64(0)
    while k < len(ids):
        first = k
        while k < len(ids) and ids[k] == ids[first]:
            k += _ONE
        if used < len(runs):
            runs[used, 0], runs[used, 1], runs[used, 2] = ids[first], first, k
        used += 1
    return used


@njit(cache=True, error_model="numpy", nogil=True)
def _count_values(bitmap, offset, first, last):  # type: ignore[no-untyped-def]
    """Return how many of the rows first..last - 1 have a value."""
    if len(bitmap) == 0:
        return last - first
    found, skip = np.int64(0), np.uint64(offset)
    for bit in range(np.uint64(first) + skip, np.uint64(last) + skip):
        found += (bitmap[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1)
    return found


@njit(cache=True, error_model="numpy", nogil=True)
def count(rows, of_devices, places, begin_us, end_us, runs, counts):  # type: ignore[no-untyped-def]
    """Count the rows of one row group that are wanted, by device.

    Args:
        rows: (ts, power, bitmap, offset, energy, bitmap, offset, epoch); a bitmap with its offset
            says which rows have a value.
        of_devices: the row group's runs of rows, as `runs_of` finds them.
        places: int64, the device of each of its ids; -1 if it is not wanted.
        begin_us, end_us: rows with a stamp in [begin_us, end_us) are wanted.
        runs: int64[R, 3], written: device, first row, one past the last row of each run of rows.
        counts: int64[D, 2], added to: readings and counter readings.

    Returns:
        The number of runs; if it exceeds R, only the first R were written.
    """
    ts, _, power_bits, power_offset, _, energy_bits, energy_offset, _ = rows
    used = 0
    for run in range(len(of_devices)):
        device = places[of_devices[run, 0]]
        row, end = np.uint64(of_devices[run, 1]), np.uint64(of_devices[run, 2])
        while device >= 0 and row < end:
            first = row
            while row < end and begin_us <= ts[row] < end_us:
                row += _ONE
            if row == first:
                row += _ONE
                continue
            counts[device, 0] += _count_values(power_bits, power_offset, first, row)
            counts[device, 1] += _count_values(energy_bits, energy_offset, first, row)
            if used < len(runs):
                runs[used, 0], runs[used, 1], runs[used, 2] = device, first, row
            used += 1
    return used


@njit(cache=True, error_model="numpy", nogil=True)
def copy_runs(rows, runs, cursors, readings, counters):  # type: ignore[no-untyped-def]
    """Copy the runs of one row group behind what their devices already have.

    Args:
        rows: as in `count`.
        runs: as `count` wrote them.
        cursors: int64[D, 2], advanced: where the next reading and counter reading go.
        readings: (ts_us, power_mw), written.
        counters: (ts_us, energy_mj, epoch), written.
    """
    ts, power, power_bits, power_offset, energy, energy_bits, energy_offset, epoch = rows
    out_ts, out_power = readings
    c_ts, c_mj, c_epoch = counters
    for run in range(len(runs)):
        device, first, last = runs[run, 0], runs[run, 1], runs[run, 2]
        at, c_at = np.uint64(cursors[device, 0]), np.uint64(cursors[device, 1])
        if len(power_bits) == 0:
            end = at + np.uint64(last - first)
            out_ts[at:end] = ts[first:last]
            out_power[at:end] = power[first:last]
            at = end
        else:
            for k in range(np.uint64(first), np.uint64(last)):
                if _has_value(power_bits, power_offset, k):
                    out_ts[at] = ts[k]
                    out_power[at] = power[k]
                    at += _ONE
        for k in range(np.uint64(first), np.uint64(last)):
            if _has_value(energy_bits, energy_offset, k):
                c_ts[c_at] = ts[k]
                c_mj[c_at] = energy[k]
                c_epoch[c_at] = epoch[k]
                c_at += _ONE
        cursors[device, 0], cursors[device, 1] = at, c_at


@njit(cache=True, error_model="numpy", nogil=True)
def ascending(ts, offsets):  # type: ignore[no-untyped-def]
    """Say whether the stamps of every device are strictly ascending."""
    for device in range(len(offsets) - 1):
        first, last = offsets[device], offsets[device + 1]
        if last - first < 2:
            continue
        wrong = False
        for k in range(np.uint64(first), np.uint64(last - 1)):
            wrong |= ts[k + _ONE] <= ts[k]
        if wrong:
            return False
    return True


@njit(cache=True, error_model="numpy", nogil=True)
def nearest(  # type: ignore[no-untyped-def]
    rows, of_devices, places, begin_us, end_us, far_begin_us, far_end_us, nearest_rows
):
    """Keep, of every device, the last row before a span and the first after it, of either kind.

    Args:
        rows, of_devices, places: as in `count`.
        begin_us, end_us: the span.
        far_begin_us, far_end_us: rows outside of these do not count.
        nearest_rows: int64[2, 2, D, 4], updated: before or after; reading or counter reading; of
            each device whether there is one, its stamp, its value and its epoch. Of two with one
            stamp the lower value is kept.
    """
    ts, power, power_bits, power_offset, energy, energy_bits, energy_offset, epoch = rows
    for run in range(len(of_devices)):
        device = places[of_devices[run, 0]]
        if device < 0:
            continue
        for k in range(of_devices[run, 1], of_devices[run, 2]):
            if begin_us <= ts[k] < end_us or not far_begin_us <= ts[k] < far_end_us:
                continue
            side = 0 if ts[k] < begin_us else 1
            for kind in range(2):
                if kind == 0:
                    if not _has_value(power_bits, power_offset, k):
                        continue
                    value = np.int64(power[k])
                else:
                    if not _has_value(energy_bits, energy_offset, k):
                        continue
                    value = energy[k]
                slot = nearest_rows[side, kind, device]
                closer = ts[k] > slot[1] if side == 0 else ts[k] < slot[1]
                if slot[0] == 0 or closer or (ts[k] == slot[1] and value < slot[2]):
                    slot[0], slot[1], slot[2], slot[3] = 1, ts[k], value, epoch[k]
