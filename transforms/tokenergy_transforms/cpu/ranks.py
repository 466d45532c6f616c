"""Order statistics of a segment's readings, exact, by nearest rank.

In: powers of one segment. Out: the readings at the places of the 50th, 95th and 99th percentile.
Up to SHORT readings are sorted; more go through a histogram of their range: one pass counts, one
collects the few readings that share a bin with a wanted place. A bin that holds many is halved
further, until it holds few or one value.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SHORT = 48
"""Readings up to which insertion sort is quicker than a histogram; also what a bin may hold."""

BINS = 1024
WANTED = 3
_MANY = 255


@njit(cache=True, error_model="numpy")
def rank_of(n, q):  # type: ignore[no-untyped-def]
    """Return the place, from 0, of the q-th percentile of n ascending readings (nearest rank)."""
    return (n * q + 99) // 100 - 1


@njit(cache=True, error_model="numpy")
def insertion_sort(values, start, count):  # type: ignore[no-untyped-def]
    """Sort values[start : start + count] in place."""
    for k in range(1, count):
        v = values[start + k]
        j = k
        while j > 0 and values[start + j - 1] > v:
            values[start + j] = values[start + j - 1]
            j -= 1
        values[start + j] = v


@njit(cache=True, error_model="numpy")
def extremes(power, lo, hi):  # type: ignore[no-untyped-def]
    """Return the smallest and the largest of power[lo:hi]; there is at least one."""
    low = high = power[np.uint64(lo)]
    for i in range(np.uint64(lo), np.uint64(hi)):
        low = min(low, power[i])
        high = max(high, power[i])
    return low, high


@njit(cache=True, error_model="numpy")
def _shift_of(span, bins):  # type: ignore[no-untyped-def]
    shift = 0
    while span >> shift >= bins:
        shift += 1
    return shift


@njit(cache=True, error_model="numpy")
def _select(power, lo, hi, low, high, place, counts):  # type: ignore[no-untyped-def]
    """Return the reading at a place among those of power[lo:hi] between low and high."""
    while low < high:
        shift = _shift_of(high - low, BINS)
        for b in range(BINS):
            counts[b] = 0
        for i in range(np.uint64(lo), np.uint64(hi)):
            v = np.int64(power[i])
            if low <= v <= high:
                counts[(v - low) >> shift] += 1
        b = 0
        while place >= counts[b]:
            place -= counts[b]
            b += 1
        high = min(high, low + ((b + 1) << shift) - 1)
        low += b << shift
    return low


@njit(cache=True, error_model="numpy")
def percentiles(power, lo, hi, low, high, counts, marks, kept, found):  # type: ignore[no-untyped-def]
    """Find the percentiles of many readings.

    Args:
        power: int32 mW.
        lo, hi: the segment's readings, at least one.
        low, high: their extremes.
        counts: int32[BINS], marks: uint8[BINS], kept: int32[WANTED * SHORT]; scratch.
        found: int64[WANTED], written: p50, p95, p99.
    """
    n = hi - lo
    bins = 64
    while bins < n and bins < BINS:
        bins *= 2
    low = np.int64(low)
    shift = _shift_of(np.int64(high) - low, bins)
    counts[:bins] = 0
    marks[:bins] = 0
    for i in range(np.uint64(lo), np.uint64(hi)):
        counts[np.uint64((np.int64(power[i]) - low) >> shift)] += 1
    places = np.empty(WANTED, np.int64)
    groups = np.uint8(0)
    b = before = 0
    for w in range(WANTED):
        place = rank_of(n, 50 if w == 0 else (95 if w == 1 else 99))
        while place >= before + counts[b]:
            before += counts[b]
            b += 1
        found[w] = b
        places[w] = place - before
        if marks[b] == 0:
            if shift == 0 or counts[b] > SHORT:
                marks[b] = _MANY
            else:
                groups += np.uint8(1)
                marks[b] = groups
    if groups > 0:
        _collect(power, lo, hi, low, shift, marks, kept)
    for w in range(WANTED):
        mark = np.int64(marks[found[w]])
        if mark == _MANY:
            left = low + (found[w] << shift)
            right = left + (np.int64(1) << shift) - 1
            found[w] = _select(power, lo, hi, left, right, places[w], counts)
        else:
            found[w] = kept[(mark - 1) * SHORT + places[w]]


@njit(cache=True, error_model="numpy")
def _collect(power, lo, hi, low, shift, marks, kept):  # type: ignore[no-untyped-def]
    """Gather the readings of marked bins, each bin's in a part of `kept`, and sort them."""
    sizes = np.zeros(WANTED, np.int64)
    for i in range(np.uint64(lo), np.uint64(hi)):
        mark = np.int64(marks[np.uint64((np.int64(power[i]) - low) >> shift)])
        if mark != 0 and mark != _MANY:
            kept[(mark - 1) * SHORT + sizes[mark - 1]] = power[i]
            sizes[mark - 1] += 1
    for group in range(WANTED):
        insertion_sort(kept, group * SHORT, sizes[group])
