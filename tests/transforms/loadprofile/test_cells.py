"""The energy of every cell, against fractions; cells add up to the whole, whatever the order."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S
from tests.support.oracle import exact_energy
from tests.transforms.loadprofile.grids import WHOLE, Rows, grid
from tokenergy_transforms.aggregate import aggregate
from tokenergy_transforms.loadprofile.cells import part_energy
from tokenergy_transforms.loadprofile.profile import profile_hour
from tokenergy_transforms.maths import pair_energy

STEP_US = 50_000
LIMIT_US = 1_500_000


POWERS = st.one_of(st.integers(0, 2**31 - 1), st.sampled_from([0, 1, 2**31 - 1]))


@given(POWERS, POWERS, st.integers(1, 600_000_000), st.fractions(0, 1))
@example(2**31 - 1, 0, 600_000_000, Fraction(1))
@example(2**31 - 1, 2**31 - 1, 599_999_999, Fraction(1, 3))
def test_a_part_without_division_is_that_with_division(
    p0: int, p1: int, dt: int, share: Fraction
) -> None:
    x = math.floor(share * dt)
    exact = (2 * p0 * x + Fraction((p1 - p0) * x * x, dt)) / 2
    found = part_energy(np.int64(p0), np.int64(p1), np.int64(dt), 1.0 / dt, np.int64(x))
    assert found == pair_energy(p0, p1, dt, x) == math.floor(exact)


def random_rows(rng: random.Random) -> Rows:
    """Readings around the hour's start or end, on and off the cells' edges, with gaps."""
    t = rng.choice([T0 - 2 * S, T0 + rng.randrange(3 * S), T0 + HOUR_US - 20 * S])
    rows = []
    for _ in range(rng.randrange(1, 40)):
        rows.append((t, rng.choice([0, 1, rng.randrange(10**6), 2**31 - 1])))
        t += rng.choice([1, 7, 50_000, rng.randrange(1, 300_000), LIMIT_US, LIMIT_US + 1, 4 * S])
    return rows


def oracle(rows: Rows, start: int, end: int, ppm: int) -> tuple[dict[int, int], set[int], int]:
    """Energy by cell, cells with missing time, covered time: pair by pair and cell by cell."""

    def upto(t: int) -> int:
        total = 0
        for (t0, p0), (t1, p1) in pairwise(rows):
            lo, hi = max(t0, start), min(t1, t)
            if lo < hi and t1 - t0 <= LIMIT_US:
                total += math.floor(exact_energy(p0, p1, t1 - t0, hi - t0))
                total -= math.floor(exact_energy(p0, p1, t1 - t0, lo - t0))
        return math.floor(Fraction(total * ppm, WHOLE))

    def covered(a: int, b: int) -> int:
        spans = ((max(t0, a), min(t1, b)) for (t0, _), (t1, _) in pairwise(rows)
                 if t1 - t0 <= LIMIT_US)  # fmt: skip
        return sum(max(hi - lo, 0) for lo, hi in spans)

    energy, missing, total_us = {}, set(), 0
    near = {(t - T0) // STEP_US + k for t, _ in rows for k in range(-1, 90)}
    near |= {0, (start - T0) // STEP_US, (end - 1 - T0) // STEP_US}
    for c in near:
        a, b = max(start, T0 + c * STEP_US), min(end, T0 + (c + 1) * STEP_US)
        if a < b:
            energy[c] = upto(b) - upto(a)
            total_us += covered(a, b)
            if covered(a, b) < b - a:
                missing.add(c)
    return energy, missing, total_us


@pytest.mark.parametrize("seed", range(60))
def test_cells_agree_with_fractions(seed: int) -> None:
    rng = random.Random(seed)
    rows = random_rows(rng)
    inside = [min(max(t + rng.choice([-1, 0, 1, 12_345]), T0), T0 + HOUR_US) for t, _ in rows]
    start, end = min(rng.choice(inside), T0 + HOUR_US - 1), rng.choice(inside)
    if end <= start:
        start, end = T0, T0 + HOUR_US
    ppm = rng.choice([WHOLE, 1, 333_333, 999_999])
    found = grid([rows], STEP_US, [(0, start, end, ppm)], LIMIT_US)
    energy, missing, covered_us = oracle(rows, start, end, ppm)
    for cell, nj in energy.items():
        assert found.energy_nj[cell] == nj, cell
        assert found.missing[cell] == (cell in missing), cell
    others = np.ones(len(found.energy_nj), bool)
    others[list(energy)] = False
    assert not found.energy_nj[others].any()
    within = np.zeros(len(others), bool)
    within[(start - T0) // STEP_US : (end - 1 - T0) // STEP_US + 1] = True
    assert (found.missing[others] == within[others]).all()
    assert found.covered_us == covered_us


@pytest.mark.parametrize("step_us", [1_000, 36_000, 100_000, 10 * S])
def test_cells_of_any_size_add_up_to_the_same(step_us: int) -> None:
    rng = random.Random(5)
    devices = [random_rows(rng) for _ in range(6)]
    whole = sum(grid(devices, HOUR_US).energy_nj.tolist())
    assert sum(grid(devices, step_us).energy_nj.tolist()) == whole
    shared = [(k, T0, T0 + HOUR_US, 123_457 * (k + 1)) for k in range(6)]
    assert sum(grid(devices, step_us, shared).energy_nj.tolist()) == sum(
        grid(devices, HOUR_US, shared).energy_nj.tolist()
    )


def test_the_order_of_devices_does_not_matter() -> None:
    rng = random.Random(6)
    devices = [random_rows(rng) for _ in range(8)]
    one, other = grid(devices, STEP_US), grid(devices[::-1], STEP_US)
    assert (one.energy_nj == other.energy_nj).all()
    assert (one.missing == other.missing).all()


def test_an_hour_of_a_group_is_the_sum_of_its_segments(tmp_path: Path) -> None:
    """The same energy, to the nanojoule, as the integration finds: gaps, edges of hour and job."""
    rng = random.Random(7)
    builder = LakeBuilder(tmp_path / "lake")
    for k in range(4):
        node = f"n{k % 2}"
        builder.device(f"G{k}", node=node, index=k, site="s", update_us=100_000 * (1 + 6 * (k % 2)))
        rows = dict(random_rows(rng)) | dict(random_rows(rng)) | {T0 + 99: 5, T0 + 10 * S: 900_000}
        builder.power(f"G{k}", sorted((t, min(p, 10**6)) for t, p in rows.items()), node=node)
    builder.job("j", "G0", T0 + 77, T0 + 9 * S + 1, node="n0")
    for node in ("n0", "n1"):
        aggregate(builder.lake, T0, node, S, "cpu")
    profile_hour(builder.lake, T0, ["job", "node", "site"])
    segments = builder.lake.read("segment").to_pylist()
    found = {(r["kind"], r["group_id"]): r for r in builder.lake.read("load_profile").to_pylist()}
    for name, rows_of in {
        ("site", "s"): segments,
        ("node", "n0"): [r for r in segments if r["node"] == "n0"],
        ("job", "j"): [
            r for r in segments
            if r["device_id"] == "G0" and T0 + 77 <= r["start_us"] < T0 + 9 * S + 1
        ],
    }.items():  # fmt: skip
        assert found[name]["energy_nj"] == sum(r["energy_nj"] for r in rows_of) > 0
