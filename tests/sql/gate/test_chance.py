"""The interval: as the definition says, and wide enough for what noise does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.sql.gate.planted import Runs, side_of
from tokenergy_sql.gate.chance import Chance, chance_of, units_of
from tokenergy_sql.gate.points import Bins, strata_of
from tokenergy_sql.gate.ratio import Columns, columns_of, ratio_of
from tokenergy_sql.gate.side import BLOCK_US
from tokenergy_sql.gate.verdict import Wanted, compare


def columns(base: Runs, head: Runs) -> tuple[Columns, Columns]:
    samples = [side_of(one).samples("five_minutes") for one in (base, head)]
    return columns_of(strata_of(samples[0], samples[1], Bins(None, None)))


def chance(base: Runs, head: Runs) -> Chance | None:
    return chance_of(*columns(base, head), 1, BLOCK_US, 0.99, rate=True)


@pytest.mark.parametrize(
    ("blocks", "length_s", "units"),
    [(11, 300, 11), (27, 300, 27), (30, 900, 10), (107, 900, 36), (120, 3600, 10)],
)
def test_what_is_left_out_at_a_time_grows_with_the_runs(
    blocks: int, length_s: int, units: int
) -> None:
    sides = columns(Runs(blocks=blocks), Runs(blocks=blocks))
    assert units_of(*sides, BLOCK_US) == (length_s * 1_000_000, (units, units))


def test_the_interval_is_the_jackknifes() -> None:
    """The definition again, block by block."""
    base, head = columns(Runs(noise=0.02), Runs(noise=0.02, seed=2, blocks=12))
    whole = ratio_of(base, head, 1, rate=True)
    assert whole is not None
    variance, freedom = 0.0, 0.0
    for place, side in enumerate((base, head)):
        n, squares = len(side.start_us), 0.0
        for k in range(n):
            rest = side.only(np.arange(n) != k)
            one = ratio_of(*((rest, head) if place == 0 else (base, rest)), 1, rate=True)
            assert one is not None
            squares += math.log(one / whole) ** 2
        part = (n - 1) / n * squares
        variance += part
        freedom += part**2 / (n - 1)
    reach = stats.t.ppf(0.995, variance**2 / freedom) * math.sqrt(variance)
    found = chance_of(base, head, 1, BLOCK_US, 0.99, rate=True)
    assert found is not None
    assert found.ratio == pytest.approx(whole)
    assert found.low == pytest.approx(whole * math.exp(-reach))
    assert found.high == pytest.approx(whole * math.exp(reach))
    assert (found.unit_s, found.units) == (300, (24, 12))


def test_five_stretches_are_too_few() -> None:
    assert chance(Runs(blocks=5), Runs()) is None
    assert chance(Runs(blocks=6), Runs(blocks=6)) is not None


def test_noise_is_taken_for_a_regression_as_rarely_as_it_says() -> None:
    """300 pairs without a regression: one-sided 0.5 % is 1.5 of them; the jackknife errs wide."""
    worse, outside = 0, 0
    for seed in range(300):
        base = Runs(blocks=12, noise=0.02, seed=2 * seed)
        head = replace(base, seed=2 * seed + 1)
        outcome = compare(side_of(base), side_of(head), Wanted(resolution=0.5))
        assert outcome.chance is not None
        worse += outcome.verdict == "worse"
        outside += not outcome.chance.low <= 1 <= outcome.chance.high
    assert worse <= 6
    assert outside <= 9


def test_a_regression_as_large_as_the_noise_is_seen_in_an_hour() -> None:
    seen = 0
    for seed in range(60):
        base = Runs(blocks=12, noise=0.01, seed=2 * seed)
        head = replace(base, seed=2 * seed + 1, cost=1.03)
        seen += compare(side_of(base), side_of(head), Wanted()).verdict == "worse"
    assert seen >= 57
