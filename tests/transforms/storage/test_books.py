"""Energy is balanced to the nanojoule; wear, runs and parts follow their definitions."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_transforms.loadprofile.course import LoadCourse
from tokenergy_transforms.storage import causal, placing
from tokenergy_transforms.storage.balance import balance
from tokenergy_transforms.storage.runs import Run, coarsened, known_runs
from tokenergy_transforms.storage.study import study
from tokenergy_transforms.storage.wanted import Limits, Store
from tokenergy_transforms.storage.wear import wear

CELL_NJ = st.integers(-(10**17), 10**17)


def course(known: list[bool], energy: list[int] | None = None, **more: object) -> LoadCourse:
    cells = np.array(energy if energy is not None else range(len(known)), np.int64)
    rest = {"start_us": 0, "step_us": 50_000, "period_us": 100_000, "limit_hz": 5.0, **more}
    head = {"kind": "site", "group_id": "s", "devices": 1, "metered": 1, "boundary": "boards"}
    flags = np.array(known, np.bool_)
    return LoadCourse(energy_nj=cells, known=flags, emulated=True, reasons=(), **head, **rest)  # type: ignore[arg-type]


@given(
    st.lists(st.tuples(CELL_NJ, CELL_NJ), min_size=1, max_size=20),
    st.integers(100_000, 1_000_000),
    st.integers(100_000, 1_000_000),
)
def test_the_books_close_to_the_nanojoule(
    cells: list[tuple[int, int]], charge: int, discharge: int
) -> None:
    load = np.array([pair[0] for pair in cells], np.int64)
    grid_w = np.array([pair[1] for pair in cells]) / 1e8
    store = Store(charge / 1e6, discharge / 1e6)
    found = balance(load, grid_w, 0.1, store)
    assert found.grid_nj == found.load_nj + found.loss_nj + found.change_nj
    assert found.grid_nj - found.load_nj == found.taken_nj - found.given_nj
    assert found.loss_nj >= 0
    grid = [int(one) for one in np.rint(grid_w * (0.1 * 1_000_000_000))]
    flows = [g - p for g, p in zip(grid, load.tolist(), strict=True)]
    stored = sum(
        floor(Fraction(f * charge, 10**6)) if f > 0 else -ceil(Fraction(-f * 10**6, discharge))
        for f in flows
    )
    assert found.change_nj == stored


@pytest.mark.parametrize("way", [1.0, 0.95])
def test_a_study_balances_to_the_joule_and_ends_as_full_as_it_began(way: float) -> None:
    rng = np.random.default_rng(1)
    loads = [np.abs(5e5 + np.cumsum(rng.normal(0, 1e4, cells))) for cells in (300, 80)]
    runs = [Run(0, np.rint(load * 0.1 * 1_000_000_000).astype(np.int64), load) for load in loads]
    found = study(runs, 0.1, Limits(2e4), Store(way, way))
    books = found.books
    assert books.grid_nj == books.load_nj + books.loss_nj + books.change_nj
    assert abs(books.change_nj) < 1_000_000_000, "a joule of 5 MJ"
    lost = (1 - way) * books.taken_nj + (1 / way - 1) * books.given_nj
    assert books.loss_nj == pytest.approx(lost, abs=2 * 380)
    for plan in found.plans:
        assert np.abs(np.diff(plan.grid_w)).max() <= 2e3 * (1 + 1e-6)


def test_cycles_of_a_known_course() -> None:
    """Down and up once by half, twice by a tenth inside; and noise that is not counted."""
    charge = np.array([100.0, 50, 60, 50, 60, 50, 100, 99.5, 100])
    found = wear([charge], 100.0)
    assert found.most_depth == pytest.approx(0.5)
    assert found.cycles == pytest.approx(3.0)
    assert found.full == pytest.approx(0.5 + 0.1 + 0.1 + 0.005)
    assert found.mean_depth == pytest.approx(0.7 / 3)
    assert wear([np.zeros(5)], 0.0).cycles == 0.0
    assert wear([np.full(5, 3.0)], 10.0).full == 0.0


def test_gaps_and_other_devices_divide_runs() -> None:
    known = [True, True, False, True, True, True, True, False, True]
    found = known_runs(course(known, breaks=(5,)))
    assert [run.load_nj.tolist() for run in found] == [[0, 1], [3, 4], [5, 6]]
    assert [run.start_us for run in found] == [0, 150_000, 250_000]
    assert found[1].load_w.tolist() == [3 / 5e7, 4 / 5e7]
    assert known_runs(course([False, True, False])) == []


def test_cells_become_as_long_as_the_sensors_period() -> None:
    found = coarsened(course([True] * 5 + [False] + [True] * 3, start_us=50_000))
    assert (found.step_us, found.start_us) == (100_000, 100_000)
    assert found.energy_nj.tolist() == [1 + 2, 3 + 4, 5 + 6, 7 + 8]
    assert found.known.tolist() == [True, True, False, True]
    same = course([True] * 4, period_us=50_000)
    assert coarsened(same) is same


def test_limits_of_parts_add_up_to_those_of_the_whole() -> None:
    parts = [course([True] * 4, [i * 10**9, 2 * 10**9, 5 * 10**9, 0]) for i in (1, 9, 3)]
    found = placing.shares(parts, Limits(100.0, 500.0))
    assert sum(one.ramp_w_s or 0 for one in found) == pytest.approx(100)
    assert sum(one.peak_w or 0 for one in found) == pytest.approx(500)
    flat = placing.shares([course([True] * 2, [5, 5])] * 2, Limits(100.0))
    assert [one.ramp_w_s for one in flat] == [50.0, 50.0]


def test_a_store_as_large_as_the_rule_needs_keeps_the_limits_and_a_small_one_does_not() -> None:
    rng = np.random.default_rng(2)
    load = np.where(np.arange(600) % 20 < 12, 120.0, 60.0) + rng.normal(0, 2, 600)
    need = causal.needed([load], 0.1, Limits(20.0), Store(0.97, 0.97))
    sizes = (np.array([need.energy_j, need.energy_j / 20]) * 1.001, np.full(2, need.power_w))
    found = causal.sweep([load], need.rule, sizes, need.start_share)
    assert found.ramp_w_s[0] <= 20 * (1 + 1e-9)
    assert found.ramp_w_s[1] > 40
    grid = causal.grid_w(load, need.rule, (sizes[0][1], need.power_w), need.start_share)
    assert np.abs(np.diff(grid)).max() / 0.1 == pytest.approx(found.ramp_w_s[1])


def test_the_rule_does_not_see_the_future() -> None:
    """Grid power up to a cell is the same whatever comes after it."""
    rng = np.random.default_rng(3)
    load = 100 + np.cumsum(rng.normal(0, 5, 200))
    rule = causal.Rule(0.1, Limits(20.0, 130.0), Store(), 3.0, from_mean=False)
    other = load.copy()
    other[120:] = 0.0
    one, two = (causal.grid_w(each, rule, (500.0, 50.0), 0.5) for each in (load, other))
    assert one[:120].tolist() == two[:120].tolist()
    assert one[120:].tolist() != two[120:].tolist()
