"""What is doubtful of each segment: time between sparse readings, averaged ones, ones left out.

In: the readings of a unit of work and its batch. Out: `Doubts`, nothing where all is well: each
looks for its case first, and only faulty records cost time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tokenergy_transforms import anomalies
from tokenergy_transforms.batch import I32, I64, Batch, Readings
from tokenergy_transforms.choice import Integrator
from tokenergy_transforms.readings import SPARSE_US


@dataclass(frozen=True, slots=True)
class Doubts:
    """Of S segments; None where no segment has any.

    Attributes:
        sparse_us: int64[S], time between readings over `SPARSE_US` apart, within the gap limit.
        doubt_nj: int64[S], how far the integral may be off because readings were averaged.
        reasons: int32[S], bits of `anomalies.REASONS`.
    """

    sparse_us: I64 | None
    doubt_nj: I64 | None
    reasons: I32 | None


def doubts_of(loaded: Readings, batch: Batch, integrate: Integrator) -> Doubts:
    """Return what is doubtful of the segments of a batch of these readings."""
    segments = (batch.seg_device, batch.seg_start_us, batch.seg_end_us)
    sparse_us = doubt_nj = None
    for device, from_us, to_us in _sparse_spans(batch):
        if sparse_us is None:
            sparse_us = np.zeros(len(batch.seg_device), np.int64)
        first, last = np.searchsorted(batch.seg_device, [device, device + 1])
        of_device = (batch.seg_start_us[first:last], batch.seg_end_us[first:last])
        sparse_us[first:last] = anomalies.time_in(from_us, to_us, *of_device)
    if loaded.spread_mw is not None:
        # The integral of how far each reading may be off is how far the integral may be.
        spread = integrate(replace(batch, power_mw=loaded.spread_mw)).result.energy_nj
        doubt_nj = np.where(spread > 0, spread + 1, 0)
    reasons = anomalies.reasons_of(loaded.anomalies, segments)
    if sparse_us is not None:
        reasons |= np.where(sparse_us > 0, anomalies.SPARSE, 0).astype(np.int32)
    return Doubts(sparse_us, doubt_nj, reasons if reasons.any() else None)


def _sparse_spans(batch: Batch) -> Iterator[tuple[int, I64, I64]]:
    """Yield the devices with sparse readings, and the spans between those, ascending."""
    for device, (first, last) in enumerate(itertools.pairwise(batch.offsets.tolist())):
        limit_us = batch.gap_limit_us[device]
        if limit_us <= SPARSE_US:
            continue  # readings as far apart leave a gap
        ts = batch.ts_us[first:last]
        spacing = np.diff(ts)
        left = np.flatnonzero((spacing > SPARSE_US) & (spacing <= limit_us))
        if len(left):
            yield device, ts[left], ts[left + 1]
