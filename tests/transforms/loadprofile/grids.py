"""Readings from plain lists, and grids filled from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.support.lakes import HOUR_US, T0
from tokenergy_transforms.batch import Readings
from tokenergy_transforms.loadprofile.cells import Grid

Rows = list[tuple[int, int]]
WHOLE = 1_000_000


def readings(devices: Sequence[Rows]) -> Readings:
    none = np.empty(0, np.int64)
    return Readings(
        devices=[str(k) for k in range(len(devices))],
        ts_us=np.array([t for rows in devices for t, _ in rows], np.int64),
        power_mw=np.array([p for rows in devices for _, p in rows], np.int32),
        offsets=np.cumsum([0, *(len(rows) for rows in devices)], dtype=np.int64),
        counter_ts_us=none,
        counter_mj=none,
        counter_epoch=np.empty(0, np.int32),
        counter_offsets=np.zeros(len(devices) + 1, np.int64),
    )


def grid(
    devices: Sequence[Rows],
    step_us: int,
    members: Sequence[tuple[int, int, int, int]] | None = None,
    limit_us: int = 1_500_000,
) -> Grid:
    """Members default to every device, whole, all hour."""
    if members is None:
        members = [(k, T0, T0 + HOUR_US, WHOLE) for k in range(len(devices))]
    filled = Grid.empty(T0, step_us)
    filled.add(readings(devices), np.full(len(devices), limit_us, np.int64), members)
    return filled
