"""Judges readings of energy counters: numba's part of `plausible`.

In: counter readings, ascending inside a device, and the most that each board can draw. Out: which
readings are glitches, and where a counter began again.
"""

from __future__ import annotations

import numpy as np
from numba import njit

GLITCH_US = 10_000_000
"""Longest glitch. Readings this far outside of a unit of work are loaded,
so that neighbouring units see the same glitches."""

SILENCE_US = 5_000_000
"""A host that starts again reads nothing for longer than this."""

_SLACK_MS = 1_000
_LONG_MS = 1_000_000_000
"""From so long a time on (11 days) the most stays the same, so that no product overflows."""


@njit(cache=True, error_model="numpy", nogil=True)
def any_above(power, offsets, most_mw):  # type: ignore[no-untyped-def]
    """Say whether a reading of any device is above the most of its board."""
    for d in range(len(offsets) - 1):
        wrong = False
        for k in range(np.uint64(offsets[d]), np.uint64(offsets[d + 1])):
            wrong |= power[k] > most_mw[d]
        if wrong:
            return True
    return False


@njit(cache=True, error_model="numpy", nogil=True, inline="always")
def _within(rise_mj, time_us, most_mw):  # type: ignore[no-untyped-def]
    """Say whether a counter can have risen so much in a time; mW x ms = uJ."""
    time_ms = min(time_us // 1_000, _LONG_MS) + _SLACK_MS
    return rise_mj >= 0 and rise_mj <= most_mw * time_ms // 1_000


@njit(cache=True, error_model="numpy", nogil=True)
def look_at_steps(ts, mj, epoch, offsets, most_mw):  # type: ignore[no-untyped-def]
    """Say whether any step is not plausible by itself or changes the epoch; and if any was silent.

    Args:
        ts, mj, epoch, offsets: counter readings of a `Readings`.
        most_mw: int64[D].
    """
    stepped = silent = False
    for d in range(len(offsets) - 1):
        for k in range(offsets[d] + 1, offsets[d + 1]):
            time_us = ts[k] - ts[k - 1]
            silent |= time_us > SILENCE_US
            plausible = _within(mj[k] - mj[k - 1], time_us, most_mw[d])
            stepped |= not plausible or epoch[k] != epoch[k - 1]
    return stepped, silent


@njit(cache=True, error_model="numpy", nogil=True)
def judge(  # type: ignore[no-untyped-def]
    first, last, ts, mj, epoch, boot, most_mw, kept, found, leaps
):
    """Find the glitches of one device's counter, and number its epochs from 0.

    Args:
        first, last: its readings, of all devices' ts, mj and epoch (as the files have it).
        boot: how often the host had been started by each reading.
        most_mw: of its board.
        kept: bool, set to False where a reading is left out.
        found: int32, written: the epochs of the readings that are kept.
        leaps: bool, set where the counter rose by more than it can have and goes on from there.
    """
    # An epoch that a file begins without a fall says what no value shows: the board was away. One
    # that begins with a fall says no more than the fall, which may be a glitch.
    run = np.zeros(last - first, np.int64)
    for k in range(first + 1, last):
        changed = epoch[k] != epoch[k - 1] and mj[k] >= mj[k - 1]
        run[k - first] = run[k - 1 - first] + changed + (boot[k] != boot[k - 1])
    before = np.full(last - first, -1, np.int64)
    at, number, k = first, np.int32(0), first + 1
    while k < last:
        same_run = run[at - first] == run[k - first]
        if not (same_run and _within(mj[k] - mj[at], ts[k] - ts[at], most_mw)):
            on = -1
            if same_run:
                on = _goes_on(at, k, last, first, ts, mj, run, most_mw)
            back = before[at - first]
            if on >= 0:
                kept[k:on] = False
                k = on
            elif (
                back >= 0
                and mj[k] < mj[at]
                and ts[k] - ts[back] <= GLITCH_US
                and not _within(mj[k], ts[k] - ts[at], most_mw)
                and run[back - first] == run[k - first]
                and _within(mj[k] - mj[back], ts[k] - ts[back], most_mw)
            ):  # no restart: it shows too much for that. So the reading before was a high value
                kept[at] = False
                at = back
            else:
                number += 1
                leaps[k] = same_run and mj[k] > mj[at]
                at = -1
        found[k] = number
        if at >= 0:
            before[k - first] = at
        at = k
        k += 1


@njit(cache=True, error_model="numpy", nogil=True)
def _goes_on(at, k, last, first, ts, mj, run, most_mw):  # type: ignore[no-untyped-def]
    """Return the reading after k at which the counter goes on from `at`; -1 if it does not."""
    for j in range(k + 1, last):
        if ts[j] - ts[at] > GLITCH_US or run[j - first] != run[at - first]:
            return -1
        returns = not _within(mj[j] - mj[j - 1], ts[j] - ts[j - 1], most_mw)
        if returns and _within(mj[j] - mj[at], ts[j] - ts[at], most_mw):
            return j
    return -1
