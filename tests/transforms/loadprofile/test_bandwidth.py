"""The effective period of a device: what its readings resolve, by kind of record."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.lakes import T0
from tests.transforms.loadprofile.grids import Rows
from tokenergy_collectors.sampler.deduplicate import Deduplicator, Reading
from tokenergy_transforms.loadprofile.bandwidth import Pace, interpolation_gain, pace


def record(values: list[int], every_us: int) -> Rows:
    """What the collector keeps of readings taken at even intervals."""
    keep = Deduplicator()
    taken = [Reading(T0 + k * every_us, mw, None, 0) for k, mw in enumerate(values)]
    kept = [r for reading in taken for r in keep.add(reading)]
    return [(r.ts_us, r.power_mw or 0) for r in [*kept, *keep.flush()]]


def pace_of(rows: Rows, sensor: str = "instant", **row: Any) -> Pace:
    ts, mw = np.array([t for t, _ in rows]), np.array([p for _, p in rows], np.int32)
    return pace(ts, mw, row, sensor)


def noise(count: int) -> list[int]:
    return np.random.default_rng(0).integers(100_000, 500_000, count).tolist()


def test_every_reading_a_new_value() -> None:
    found = pace_of(record(noise(300), 100_000), update_us=100_000)
    assert (found.period_us, found.spacing_us, found.hold_us) == (100_000, 100_000, 100_000)
    assert found.ticks_us == 100_000


def test_read_more_rarely_than_the_sensor_renews() -> None:
    assert pace_of(record(noise(300), 500_000), update_us=20_000).period_us == 500_000


def test_read_more_often_than_the_sensor_renews() -> None:
    """Each value is read five times; the record keeps the first and the last of them."""
    rows = record([v for v in noise(100) for _ in range(5)], 20_000)
    for row in ({"update_us": 100_000}, {}):  # learned, or seen from new values alone
        found = pace_of(rows, **row)
        assert (found.period_us, found.spacing_us, found.hold_us) == (100_000, 20_000, 100_000)
        assert found.ticks_us is None


def test_runs_of_equal_readings_do_not_slow_the_record() -> None:
    """Level for 9.5 s, then one new value after the other for 0.5 s: sampled at 10 Hz all along."""
    values = [v for block in range(30) for v in [100_000] * 95 + noise(5 + block)[-5:]]
    assert pace_of(record(values, 100_000), update_us=100_000).period_us == 100_000


def test_a_level_reading() -> None:
    level = record([100_000] * 600, 100_000)
    assert pace_of(level, update_us=100_000).period_us == 100_000
    assert pace_of(level).period_us == 1_000_000  # only the spacing of its rows is known
    assert pace_of(level[:1]).period_us == 1_000_000


@pytest.mark.parametrize(
    ("sensor", "name", "period_us"),
    [
        ("instant", "NVIDIA A100-SXM4-80GB", 100_000),
        ("average_1s", "NVIDIA H100 80GB HBM3", 1_000_000),
        ("unknown", "NVIDIA H100 80GB HBM3", 1_000_000),
        ("unknown", "Tesla V100-SXM2-16GB", 100_000),
    ],
)
def test_what_a_reading_averages_over(sensor: str, name: str, period_us: int) -> None:
    rows = record(noise(300), 100_000)
    assert pace_of(rows, sensor, name=name, update_us=100_000).period_us == period_us


def test_ticks_are_told_through_jitter_and_thinning() -> None:
    rng = np.random.default_rng(1)
    ticks = T0 + np.arange(36_000) * 100_007 + rng.integers(-2_000, 2_001, 36_000)
    kept = ticks[rng.random(36_000) < 0.7]
    mw = rng.integers(0, 10**6, len(kept)).astype(np.int32)
    found = pace(kept, mw, {"update_us": 100_000}, "instant")
    assert found.ticks_us == pytest.approx(100_007, abs=0.5)


def test_gain_of_a_group_is_the_mean_of_its_devices() -> None:
    frequency = np.array([0.0, 2.0])
    fast, slow = np.sinc(0.2) ** 2, np.sinc(0.8) * np.sinc(0.2)
    found = interpolation_gain(frequency, {(100_000, 100_000): 3, (400_000, 100_000): 1})
    assert found == pytest.approx([1.0, (3 * fast + slow) / 4])
