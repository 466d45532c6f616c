"""Ramps, ratios and storage of loads made by hand."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest

from tokenergy_transforms.loadprofile.figures import battery_nj, ramps, shape

STEP_US = 100_000


def cells(power_mw: list[int]) -> np.ndarray:
    return np.array(power_mw, np.int64) * STEP_US


def all_of(energy: np.ndarray) -> np.ndarray:
    return np.ones(len(energy), bool)


def test_ramps_of_a_step_up_and_a_slope_down() -> None:
    """100 W, a step to 400 W, then down by 1 W a cell for 300 cells."""
    energy = cells([100_000] * 50 + [400_000 - 1_000 * k for k in range(300)])
    found, reasons = ramps(energy, all_of(energy), STEP_US, STEP_US)
    assert (found["up_100ms_mw"], found["down_100ms_mw"]) == (300_000, 1_000)
    assert (found["up_1s_mw"], found["down_1s_mw"]) == (300_000, 10_000)
    assert (found["up_10s_mw"], found["down_10s_mw"]) == (250_000, 100_000)
    assert found["p999_100ms_mw"] == 300_000  # nearest rank of 349 changes: the largest
    assert found["up_60s_mw"] is None
    assert reasons == {"ramp_no_cells"}


def test_the_tail_of_ramps_is_the_nearest_rank() -> None:
    energy = cells(list(accumulate([0, *range(1, 1001)])))
    found, _ = ramps(energy, all_of(energy), STEP_US, STEP_US)
    assert found["p999_100ms_mw"] == 999
    assert found["up_100ms_mw"] == 1000
    assert found["down_100ms_mw"] == 0


def test_a_ramp_needs_both_its_ends() -> None:
    energy = cells([0, 900_000, 5_000, 6_000])
    found, _ = ramps(energy, np.array([True, False, True, True]), STEP_US, STEP_US)
    assert (found["up_100ms_mw"], found["down_100ms_mw"]) == (1_000, 0)


def test_a_ramp_shorter_than_the_period_is_null() -> None:
    energy = cells(list(range(700)))
    found, reasons = ramps(energy, all_of(energy), STEP_US, 1_000_001)
    assert [found[f"up_{h}_mw"] for h in ("100ms", "1s", "10s", "60s")] == [None, None, 100, 600]
    assert "ramp_below_period" in reasons
    found, reasons = ramps(energy, all_of(energy), 36_000, 36_000)
    assert found["up_100ms_mw"] is None
    assert "ramp_not_whole_cells" in reasons


def test_shape_of_a_square_wave() -> None:
    energy = cells([100_000, 300_000] * 10)
    found = shape(energy, all_of(energy), STEP_US)
    assert (found["mean_mw"], found["min_mw"], found["max_mw"]) == (200_000, 100_000, 300_000)
    assert (found["swing_mw"], found["swing_share"]) == (200_000, 1.0)
    assert found["load_factor"] == pytest.approx(2 / 3)
    assert found["crest_factor"] == pytest.approx(3 / 5**0.5)
    assert found["variance_mw2"] == 1e10
    assert found["battery_nj"] == 100_000 * STEP_US
    assert set(shape(energy, ~all_of(energy), STEP_US).values()) == {None}
    still = shape(np.zeros(4, np.int64), np.ones(4, bool), STEP_US)
    assert (still["mean_mw"], still["swing_share"], still["crest_factor"]) == (0, None, None)


@pytest.mark.parametrize("seed", range(20))
def test_storage_agrees_with_fractions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    some = rng.integers(0, rng.choice([3, 10**9, 10**17]), rng.integers(1, 50))
    mean = Fraction(sum(some.tolist()), len(some))
    states = [Fraction(0), *accumulate(Fraction(x) - mean for x in some.tolist())]
    exact = max(states) - min(states)
    assert battery_nj(some) == -(-exact // 1)
