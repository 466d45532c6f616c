"""What readings cannot be believed as they are, where that was, and which segments it touches.

In: stamps of readings that were left out or averaged, and of those that were kept. Out: spans of
time with a reason each, and from them the reasons of segments.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tokenergy_transforms.batch import I32, I64, Anomalies, no_anomalies

REASONS = ("counter_glitch", "equal_stamps", "implausible_power", "sparse")
"""Reason codes of readings, sorted; the bit of each is its place."""

COUNTER_GLITCH, EQUAL_STAMPS, IMPLAUSIBLE_POWER, SPARSE = (1 << k for k in range(len(REASONS)))

TEXTS = tuple(
    ",".join(name for k, name in enumerate(REASONS) if bits >> k & 1)
    for bits in range(1 << len(REASONS))
)
"""The codes of each set of bits, joined by a comma."""


def joined(parts: Sequence[Anomalies]) -> Anomalies:
    """Return the spans of several."""
    names = Anomalies.__slots__
    return Anomalies(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def around(device: I64, at_us: I64, bit: int, kept_us: I64, offsets: I64) -> Anomalies:
    """Return the spans between the readings kept around some stamps, each span once.

    Args:
        device, at_us: int64[n], whose reading, and its stamp.
        bit: the reason.
        kept_us: int64[m] stamps of the readings that were kept, ascending inside a device.
        offsets: int64[D + 1]; those of device d are offsets[d]:offsets[d + 1].
    """
    parts = [no_anomalies()]
    for d in np.unique(device).tolist():
        stamps = at_us[device == d]
        kept = kept_us[offsets[d] : offsets[d + 1]]
        before = np.searchsorted(kept, stamps, "left") - 1
        after = np.searchsorted(kept, stamps, "right")
        from_us, to_us = stamps.copy(), stamps.copy()
        has_before, has_after = before >= 0, after < len(kept)
        from_us[has_before] = kept[before[has_before]]
        to_us[has_after] = kept[after[has_after]]
        spans = np.unique(np.stack([from_us, to_us]), axis=1)
        count = spans.shape[1]
        whose, why = np.full(count, d, np.int32), np.full(count, bit, np.int32)
        parts.append(Anomalies(whose, spans[0], spans[1], why))
    return joined(parts)


def reasons_of(found: Anomalies, segments: tuple[I32, I64, I64]) -> I32:
    """Return the reasons of each segment, as bits: of all spans that it overlaps.

    Args:
        found: the spans.
        segments: device, start and end, S each, ascending.
    """
    device, start, end = segments
    bits = np.zeros(len(device), np.int32)
    for d in np.unique(found.device).tolist():
        first, last = np.searchsorted(device, [d, d + 1])
        mine = found.device == d
        for bit in np.unique(found.bit[mine]).tolist():
            spans = mine & (found.bit == bit)
            # A span of no length is a stamp: it belongs to the segment that holds it.
            to_us = np.maximum(found.to_us[spans], found.from_us[spans] + 1)
            change = np.zeros(last - first + 1, np.int64)
            np.add.at(change, np.searchsorted(end[first:last], found.from_us[spans], "right"), 1)
            np.add.at(change, np.searchsorted(start[first:last], to_us, "left"), -1)
            bits[first:last] |= np.where(np.cumsum(change[:-1]) > 0, bit, 0).astype(np.int32)
    return bits


def time_in(from_us: I64, to_us: I64, start_us: I64, end_us: I64) -> I64:
    """Return how much of each interval lies in spans that follow one another without overlap."""
    total = np.concatenate([[0], np.cumsum(to_us - from_us)])

    def until(stamps: I64) -> I64:
        place = np.searchsorted(from_us, stamps, "right")
        last = np.maximum(place - 1, 0)
        inside: I64 = np.where(place > 0, np.minimum(stamps, to_us[last]) - from_us[last], 0)
        return total[last] + inside

    within: I64 = until(end_us) - until(start_us)
    return within
