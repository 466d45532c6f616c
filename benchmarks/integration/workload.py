"""The readings that all contestants integrate, and the windows over them.

In: numbers of devices and readings, a seed. Out: flat arrays sorted by device and time, and a
`Batch` for a window. Devices are read at 10 Hz with +-2 ms of jitter. One tick in a thousand is
missed, one outage in 5,000 ticks lasts 0.6 to 0.9 s and is a gap, and as many readings as are lost
are added between ticks, so that windows hold 10 readings on average, not 10 each. Power steps
between levels every few seconds, under noise. The energy counter is read at the first reading of a
second.

What is kept simple favours the peers: no spacing is longer than the shortest window, so that a
spacing is cut at most once and no window is empty; the counter stays in one epoch; the first and
the last reading are on edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tokenergy_transforms.batch import F64, I32, I64, Batch

ORIGIN_US = 1_768_464_000_000_000
TICK_US = 100_000
SECOND_US = 1_000_000
JITTER_US = 2_000
GAP_LIMIT_US = 500_000
_OUTAGE_EVERY = 5_000


@dataclass(frozen=True, slots=True)
class Workload:
    """Readings of D devices, n each but for a few, and their counters.

    Attributes:
        ts_us: int64[D n], ascending inside a device.
        power_mw: int32[D n].
        offsets: int64[D + 1].
        counter_ts_us: int64[m].
        counter_mj: int64[m].
        counter_offsets: int64[D + 1].
        seconds: how long each device was read.
    """

    ts_us: I64
    power_mw: I32
    offsets: I64
    counter_ts_us: I64
    counter_mj: I64
    counter_offsets: I64
    seconds: int

    @property
    def devices(self) -> int:
        """The number of devices."""
        return len(self.offsets) - 1

    def batch(self, window_us: int) -> Batch:
        """Return the readings with the windows of one size as segments."""
        edges = np.arange(self.seconds * SECOND_US // window_us + 1) * window_us + ORIGIN_US
        windows = len(edges) - 1
        return Batch(
            ts_us=self.ts_us,
            power_mw=self.power_mw,
            offsets=self.offsets,
            counter_ts_us=self.counter_ts_us,
            counter_mj=self.counter_mj,
            counter_epoch=np.zeros(len(self.counter_mj), np.int32),
            counter_offsets=self.counter_offsets,
            gap_limit_us=np.full(self.devices, GAP_LIMIT_US, np.int64),
            seg_device=np.repeat(np.arange(self.devices, dtype=np.int32), windows),
            seg_start_us=np.tile(edges[:-1], self.devices),
            seg_end_us=np.tile(edges[1:], self.devices),
        )


def make(devices: int, readings: int, seed: int = 0) -> Workload:
    """Return `devices` devices with `readings` readings in all, and one more on each last edge.

    Readings of a device come in whole windows of 1,000: the number is rounded down.

    Raises:
        ValueError: there are fewer than 1,000 readings a device.
    """
    ticks = readings // devices // 1_000 * 1_000
    if ticks < 1_000:
        raise ValueError(f"{readings} readings of {devices} devices: expected 1,000 per device")
    ts = np.empty((devices, ticks + 1), np.int64)
    power = np.empty((devices, ticks + 1), np.int32)
    counters: list[tuple[I64, I64]] = []
    for d in range(devices):
        rng = np.random.default_rng((seed, d))
        ts[d] = _stamps(rng, ticks)
        power[d] = _powers(rng, ticks + 1)
        counters.append(_counter(rng, ts[d], power[d]))
    counts = [0, *(len(stamps) for stamps, _ in counters)]
    return Workload(
        ts_us=ts.reshape(-1),
        power_mw=power.reshape(-1),
        offsets=np.arange(devices + 1, dtype=np.int64) * (ticks + 1),
        counter_ts_us=np.concatenate([stamps for stamps, _ in counters]),
        counter_mj=np.concatenate([values for _, values in counters]),
        counter_offsets=np.cumsum(counts, dtype=np.int64),
        seconds=ticks * TICK_US // SECOND_US,
    )


def _stamps(rng: np.random.Generator, ticks: int) -> I64:
    """Return stamps of one device; those of the first and the last are on edges."""
    lost = rng.random(ticks + 1) < 1e-3
    for begin in range(0, ticks, _OUTAGE_EVERY):
        at = begin + rng.integers(100, min(_OUTAGE_EVERY, ticks) - 100)
        lost[at - 20 : at + 20] = False
        lost[at : at + rng.integers(5, 8)] = True
    lost[0] = lost[-1] = False
    halves = np.arange(ticks + 1) * 2
    halves[lost] = rng.choice(ticks, int(lost.sum()), replace=False) * 2 + 1
    halves.sort()
    ts: I64 = ORIGIN_US + halves * (TICK_US // 2)
    ts[1:-1] += rng.integers(-JITTER_US, JITTER_US + 1, ticks - 1)
    return ts


def _powers(rng: np.random.Generator, count: int) -> I32:
    """Return powers of one device: levels of 1 to 20 s between 90 and 650 W, noise of 8 W."""
    runs = rng.integers(10, 200, count // 50 + 2)
    levels = rng.integers(90_000, 650_000, len(runs))
    noise: F64 = rng.standard_normal(count) * 8_000
    base = np.repeat(levels, runs)[:count]
    powers: I32 = np.clip(base + noise, 60_000, 700_000).astype(np.int32)
    return powers


def _counter(rng: np.random.Generator, ts: I64, power: I32) -> tuple[I64, I64]:
    """Return stamps and values (mJ) of the counter: the integral, from some start."""
    joined = power.astype(np.int64)
    energy_nj = np.cumsum((joined[1:] + joined[:-1]) * np.diff(ts) // 2)
    second = ts // SECOND_US
    first = np.flatnonzero(np.append(True, second[1:] != second[:-1]))
    value_mj = np.append(0, energy_nj)[first] // 1_000_000 + rng.integers(10**9, 10**12)
    return ts[first], value_mj
