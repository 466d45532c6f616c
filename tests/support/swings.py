"""Readings of a board whose power swings at one frequency."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.lakes import T0


def swinging(hz: float, seconds: int, jitter_us: int = 2_000, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    count = seconds * 10 - 1
    jitter = rng.integers(-jitter_us, jitter_us + 1, count)
    ts = T0 + np.arange(1, count + 1) * 100_000 + jitter
    mw = 500_000 + 75_000 * np.sin(2 * np.pi * hz * (ts - T0) / 1e6) + rng.normal(0, 5_000, len(ts))
    return list(zip(ts.tolist(), np.rint(mw).astype(int).tolist(), strict=True))
