"""The least store equals two independent solutions: exact reachable sets, and plain HiGHS."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.storage import plain, reachable
from tokenergy_transforms.storage import causal, optimum
from tokenergy_transforms.storage.wanted import Limits, Store

WITHIN = 1e-4


def walk(seed: int, cells: int) -> np.ndarray:
    return 100 + np.cumsum(np.random.default_rng(seed).normal(0, 10, cells))


def square(seed: int, cells: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 2, cells)
    return np.where(np.arange(cells) % 8 < 5, 120.0, 60.0) + noise


LOADS = {"walk": walk(1, 14), "square": square(2, 16), "sun": walk(3, 12) - 110}


@pytest.mark.parametrize("name", LOADS)
@pytest.mark.parametrize("peak", [None, 0.8])
def test_energy_equals_that_of_exact_reachable_sets(name: str, peak: float | None) -> None:
    load, ramp, step = LOADS[name], 8.0, 0.5
    cap = None if peak is None else float(load.mean() + peak * (load.max() - load.mean()))
    limits = Limits(ramp, cap)
    exact = reachable.least_energy(
        load.tolist(), step, ramp, limits.cap_w(load), min(0.0, float(load.min())), 1e-5
    )
    found = optimum.optimum(load, step, limits, Store())
    assert found.energy_j == pytest.approx(exact, rel=WITHIN)
    assert found.gap < 1e-6


def test_a_smaller_store_does_not_suffice_and_the_plan_does() -> None:
    load, step, limits = walk(4, 40), 0.5, Limits(4.0)
    found = optimum.optimum(load, step, limits, Store())
    floor = min(0.0, float(load.min()))
    rest = (load.tolist(), step, 4.0, float(load.max()), floor)
    starts = np.linspace(0, found.energy_j, 200)
    assert not any(reachable.suffices(*rest, found.energy_j * 0.999, s) for s in starts)
    assert reachable.suffices(*rest, found.energy_j * 1.001, float(found.charge_j[0]))
    assert np.abs(np.diff(found.grid_w)).max() <= 4.0 * step * (1 + 1e-6)
    assert found.charge_j.min() >= -1e-9
    assert found.charge_j.max() <= found.energy_j * optimum.SPARE * (1 + 1e-6)
    assert found.charge_j[0] == found.charge_j[-1]
    assert np.abs(found.grid_w - load).max() <= found.power_w * (1 + 1e-6)
    assert np.diff(found.charge_j) == pytest.approx((found.grid_w - load) * step, abs=1e-9)


@pytest.mark.parametrize(("load", "ramp"), [(walk(5, 600), 3.0), (square(6, 600), 9.0)])
def test_energy_then_power_equal_those_of_plain_highs(load: np.ndarray, ramp: float) -> None:
    limits, floor = Limits(ramp), min(0.0, float(load.min()))
    found = optimum.optimum(load, 0.5, limits, Store())
    energy = plain.least(load, 0.5, ramp, float(load.max()), floor)
    assert found.energy_j == pytest.approx(energy, rel=WITHIN)
    power = plain.least(load, 0.5, ramp, float(load.max()), floor, found.energy_j * optimum.SPARE)
    assert found.power_w == pytest.approx(power, rel=WITHIN)


@st.composite
def questions(draw: st.DrawFn) -> tuple[np.ndarray, float, Limits]:
    """Loads with spikes, zeros, steps, own sun; and limits that ask for something or nothing."""
    cells = draw(st.integers(2, 16))
    level = st.sampled_from([0.0, 0.0, 20.0, 100.0, 100.0, 500.0, -50.0]) | st.floats(-50, 300)
    load = np.array(
        draw(st.lists(level.map(lambda v: round(v, 3)), min_size=cells, max_size=cells))
    )
    step = draw(st.sampled_from([0.1, 1.0, 10.0]))
    swing = max(float(np.ptp(load)), 1.0)
    ramp = draw(st.none() | st.floats(0.05, 1.1).map(lambda share: share * swing / step))
    above = float(load.max() - load.mean())
    peak = draw(
        st.none() | st.floats(0.1, 1.2).map(lambda share: float(load.mean()) + share * above)
    )
    return load, step, Limits(ramp, peak)


@settings(max_examples=60, deadline=None)
@given(questions(), st.sampled_from([1.0, 0.97, 0.8]))
def test_any_small_load_is_solved_as_plain_highs_solves_it(
    question: tuple[np.ndarray, float, Limits], way: float
) -> None:
    """Without losses exactly; with losses against all directions of all cells (mixed-integer)."""
    load, step, limits = question
    floor = min(0.0, float(load.min()))
    try:
        found = optimum.optimum(load, step, limits, Store(way, way)).energy_j
    except optimum.ImpossibleError:
        with pytest.raises(AssertionError):
            plain.least(load, step, limits.ramp_w_s, limits.cap_w(load), floor, None, way)
        return
    least = plain.least(load, step, limits.ramp_w_s, limits.cap_w(load), floor, None, way)
    most = least * (1 + WITHIN) if way == 1 else least * 1.05
    assert least * (1 - WITHIN) - 1e-6 <= found <= most + 1e-6


@settings(max_examples=60, deadline=None)
@given(questions())
def test_the_rule_never_needs_less_than_the_optimum(
    question: tuple[np.ndarray, float, Limits],
) -> None:
    load, step, limits = question
    try:
        found = optimum.optimum(load, step, limits, Store())
    except optimum.ImpossibleError:
        return
    need = causal.needed([load], step, limits, Store())
    assert need.energy_j >= found.energy_j * (1 - 1e-6) - 1e-9


@pytest.mark.parametrize(
    ("load", "limits"),
    [
        (np.full(50, 70.0), Limits(1.0, 70.0)),
        (np.zeros(50), Limits(1.0)),
        (np.arange(50) * 0.1, Limits(1.0)),
        (np.concatenate([np.arange(50), np.arange(50)[::-1]]) * 0.3, Limits(3.0)),
        (-np.arange(50) * 0.1, Limits(1.0, 0.0)),
    ],
)
def test_a_load_within_its_limits_needs_no_store(load: np.ndarray, limits: Limits) -> None:
    """Constant, zero, at exactly the limit, and feeding in."""
    found = optimum.optimum(load, 0.1, limits, Store(0.95, 0.95))
    assert (found.energy_j, found.power_w) == (0.0, 0.0)
    assert found.grid_w.tolist() == load.tolist()


def test_what_cannot_be_kept_says_why() -> None:
    load = square(7, 40)
    with pytest.raises(optimum.ImpossibleError, match=r"--peak-kw 0\.05: the load is 0\.09"):
        optimum.optimum(load, 1.0, Limits(None, 50.0), Store())
    # Hardly above the mean: what is lost cannot be charged again.
    with pytest.raises(optimum.ImpossibleError, match="no store keeps") as caught:
        optimum.optimum(load, 1.0, Limits(None, float(load.mean()) * 1.001), Store(0.7, 0.7))
    assert caught.value.reason == "no_store_suffices"


def test_a_c_rate_makes_the_store_larger_and_a_reserve_counts_for_it() -> None:
    load, limits = square(8, 60), Limits(20.0)
    free = optimum.optimum(load, 0.5, limits, Store())
    slow = optimum.optimum(load, 0.5, limits, Store(c_rate=600.0))
    power = np.abs(slow.grid_w - load).max()
    assert slow.energy_j > free.energy_j * 1.01
    assert power <= 600 / 3600 * slow.energy_j * optimum.SPARE * (1 + 1e-6)
    backed = optimum.optimum(load, 0.5, limits, Store(c_rate=600.0, reserve_j=1e6))
    assert backed.energy_j == pytest.approx(free.energy_j, rel=1e-6)


def test_the_charge_at_the_start_can_be_asked_for() -> None:
    load, limits = walk(9, 60), Limits(4.0)
    free = optimum.optimum(load, 0.5, limits, Store())
    full = optimum.optimum(load, 0.5, limits, Store(start_share=1.0))
    assert full.energy_j >= free.energy_j * (1 - 1e-6)
    assert full.charge_j[0] == pytest.approx(full.energy_j * optimum.SPARE, rel=1e-4)
    assert full.charge_j[-1] == full.charge_j[0]
