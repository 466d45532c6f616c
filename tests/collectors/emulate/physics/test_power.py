"""True power and its integral: the lag, exactness, flat memory."""

import numpy as np

from tests.support.emulated import small_profile
from tokenergy_collectors.emulate.physics.power import (
    CHUNK_US,
    BoardGroup,
    BoardPhysics,
    Placement,
    lag,
)
from tokenergy_collectors.emulate.workloads.base import Workload
from tokenergy_collectors.emulate.workloads.timeline import CELL_US, Load, Timeline


class Steady(Workload):
    """A constant load."""

    def _extend(self) -> None:
        self._timeline.append(self.end_us, Load(600_000.0, 100.0, 50.0))


def group(*, ripple=0.0, start_us=2_000_000, end_us=4_000_000, edges_us=()):
    physics = BoardPhysics(80_000.0, 700_000, 50_000, 80_000, ripple, 1.0)
    load = Steady(1, "steady", start_us, end_us)
    return BoardGroup([physics, physics], [Placement(load, (1,))], edges_us, [1])


def test_lag_equals_its_recurrence():
    rng = np.random.default_rng(3)
    target = rng.uniform(0, 1e6, (3, 500))
    before, tau = np.array([5.0, 1e6, 0.0]), np.array([0.5, 10.0, 2000.0])
    keep = np.exp(-1 / tau)
    y, expected = before, np.empty_like(target)
    for n in range(target.shape[1]):
        y = keep * y + (1 - keep) * target[:, n]
        expected[:, n] = y
    np.testing.assert_allclose(lag(target, before, tau), expected, rtol=1e-7)


def test_power_rises_and_falls_with_its_own_constants():
    boards = group()
    boards.advance(5_000_000)
    power_mw = boards.trace.power_mw[1]
    first = (2_000_000 - boards.trace.start_us) // CELL_US
    share = (power_mw - 80_000) / 520_000
    np.testing.assert_allclose(share[first + 9], 1 - np.exp(-1), atol=1e-4)  # 50 ms
    np.testing.assert_allclose(share[first + 400 + 15], np.exp(-1), atol=1e-4)  # 80 ms
    assert set(boards.trace.power_mw[0].tolist()) == {80_000}


def test_integral_is_exact_at_any_microsecond():
    boards = group(ripple=0.01)
    boards.advance(0)
    trace = boards.trace
    cells = trace.power_mw[1, -trace.start_us // CELL_US :].tolist()
    for at_us in (0, 1, 4_999, 5_000, 2_000_001, 3_141_592):
        whole, rest_us = divmod(at_us, CELL_US)
        expected = sum(cells[:whole]) * CELL_US + cells[whole] * rest_us
        assert trace.energy_at(1, np.array([at_us]))[0] == expected


def test_energy_at_edges_is_noted_in_passing_and_memory_stays_flat():
    edges_us = [0, 1_234_567, 9_999_999, 10_000_000, 200_000_001]
    boards = group(ripple=0.01, end_us=300_000_000, edges_us=edges_us)
    boards.advance(0)
    size = boards.trace.power_mw.nbytes
    near = boards.trace.energy_at(1, np.array([1_234_567]))[0]
    boards.advance(250_000_000)
    assert sorted(boards.edge_nj) == edges_us
    assert boards.edge_nj[1_234_567][1] == near
    assert boards.edge_nj[0].tolist() == [0, 0]
    assert boards.trace.power_mw.nbytes == size
    assert boards.trace.end_us - boards.trace.start_us == 2 * CHUNK_US


def test_how_it_is_advanced_does_not_matter():
    once, often = group(ripple=0.01), group(ripple=0.01)
    once.advance(35_000_000)
    for at_us in range(0, 36_000_000, 1_000_000):
        often.advance(at_us)
    np.testing.assert_array_equal(once.trace.energy_nj, often.trace.energy_nj)


def test_timeline_means_keep_the_amount():
    rng = np.random.default_rng(5)
    line, at_us, amount = Timeline(12_345), 12_345, 0.0
    for _ in range(200):
        length_us, power_mw = int(rng.integers(1, 30_000)), float(rng.uniform(0, 7e5))
        at_us, amount = at_us + length_us, amount + power_mw * length_us
        line.append(at_us, Load(power_mw, 100.0, 10.0))
    cells = line.cells(0, at_us // CELL_US + 1)
    np.testing.assert_allclose(cells.power_mw.sum() * CELL_US, amount, rtol=1e-9)
    np.testing.assert_allclose(cells.covered.sum() * CELL_US, at_us - 12_345, rtol=1e-9)
    line.forget(at_us // 2)
    later = line.cells(at_us // 2 // CELL_US * CELL_US + CELL_US, 10)
    first = at_us // 2 // CELL_US + 1
    np.testing.assert_allclose(later.power_mw, cells.power_mw[first : first + 10], rtol=1e-6)


def test_profile_times_are_whole_microseconds():
    assert small_profile().jobs[0].end_us == 41_234_567
