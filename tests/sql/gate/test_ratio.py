"""The ratio: of a side to itself, of scaled energies, beside a solver of its own, and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sql.gate.planted import Runs, scaled, side_of
from tokenergy_sql.gate.points import Bins, bins_of, strata_of
from tokenergy_sql.gate.ratio import columns_of, ratio_of
from tokenergy_sql.gate.side import Side
from tokenergy_sql.gate.verdict import Wanted, compare

NO_BINS = Bins(None, None)


def ratio(base: Side, head: Side, *, rate: bool = True, bins: Bins = NO_BINS) -> float | None:
    samples = base.samples("five_minutes"), head.samples("five_minutes")
    strata = strata_of(*samples, bins)
    return ratio_of(*columns_of(strata), len(strata), rate=rate)


RUNS = st.builds(
    Runs,
    blocks=st.integers(6, 30),
    rate=st.floats(5, 5_000),
    spread=st.floats(0, 0.3),
    mix=st.floats(0, 20),
    base_w=st.floats(0, 500),
    decode_j=st.floats(0.01, 5),
    noise=st.floats(0, 0.2),
    seed=st.integers(0, 2**32 - 1),
)


@settings(max_examples=30, deadline=None)
@given(RUNS)
def test_a_side_against_itself_is_one_and_passes(runs: Runs) -> None:
    side = side_of(replace(runs, noise=min(runs.noise, 0.01)))
    outcome = compare(side, side, Wanted(resolution=0.9))
    if outcome.chance is not None:
        assert outcome.ratio == pytest.approx(1, abs=1e-12)
        assert outcome.verdict == "pass"
        assert outcome.low is not None
        assert outcome.high is not None
        assert outcome.low <= 1 <= outcome.high


@settings(max_examples=30, deadline=None)
@given(RUNS, st.integers(1, 7))
def test_scaled_energies_give_that_ratio(runs: Runs, factor: int) -> None:
    side = side_of(runs)
    bins = bins_of(side.samples("five_minutes"), "open")
    assert ratio(side, scaled(side, factor), bins=bins) == pytest.approx(factor, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_unit_of_energy_does_not_matter(seed: int) -> None:
    base, head = (side_of(Runs(noise=0.1, seed=10 * seed + k)) for k in range(2))
    again = ratio(scaled(base, 5), scaled(head, 5))
    assert again == pytest.approx(ratio(base, head), rel=1e-9)


def test_without_slopes_it_is_a_ratio_of_sums() -> None:
    """All samples alike but for their length: nothing to adjust, so J/token over J/token."""
    base = side_of(Runs(spread=0, mix_spread=0))
    head = side_of(Runs(spread=0, mix_spread=0, cost=1.07, blocks=10))
    sums = [
        sum(row["energy_nj"] for row in side.blocks) / sum(row["tokens"] for row in side.blocks)
        for side in (base, head)
    ]
    assert ratio(base, head) == pytest.approx(sums[1] / sums[0], rel=1e-12)
    assert ratio(base, head) == pytest.approx(1.07, rel=1e-9)


def test_inside_a_bin_the_slopes_take_out_what_load_explains() -> None:
    """HEAD is 5 % busier with shorter prompts: its J/token is lower, and its engine no better."""
    base = side_of(Runs(seed=1))
    head = side_of(Runs(seed=2, rate=525, mix=4.7))
    raw = [
        sum(row["energy_nj"] for row in side.blocks) / sum(row["tokens"] for row in side.blocks)
        for side in (base, head)
    ]
    assert raw[1] / raw[0] < 0.97
    assert ratio(base, head) == pytest.approx(1, abs=1e-4)


def test_the_slopes_are_those_of_another_solver() -> None:
    """The same estimate in plain NumPy, from the definition, where no slope is at a limit."""
    base, head = side_of(Runs(seed=3, noise=0.01)), side_of(Runs(seed=4, noise=0.01, cost=1.03))
    tables = []
    for side in (base, head):
        names = ("energy_nj", "tokens", "device_us", "prompt")
        units = np.array([1e9, 1, 1e6, 1])
        tables.append(np.array([[row[n] for n in names] for row in side.blocks]) / units)
    apart = []
    for table in tables:
        sums = table.sum(axis=0)
        apart.append((table - np.outer(table[:, 1], sums / sums[1])) / np.sqrt(table[:, [2]]))
    left = np.vstack(apart)
    slopes = np.linalg.lstsq(left[:, [2, 3]], left[:, 0], rcond=None)[0]
    assert (slopes > 0).all()
    one, other = (table.sum(axis=0) for table in tables)
    expected = one[0] / one[1] * other[1]
    expected += slopes @ (other[[2, 3]] - one[[2, 3]] / one[1] * other[1])
    assert ratio(base, head) == pytest.approx(other[0] / expected, rel=1e-6)


def test_a_closed_load_keeps_what_a_slower_engine_costs() -> None:
    """Power is constant, and HEAD makes 8 % fewer tokens: its rate is the engine's own doing."""
    base = side_of(Runs(base_w=600, prefill_j=0, decode_j=0))
    head = side_of(Runs(base_w=600, prefill_j=0, decode_j=0, rate=460, seed=2))
    closed, opened = ratio(base, head, rate=False), ratio(base, head)
    assert closed == pytest.approx(500 / 460, rel=0.02)
    assert opened == pytest.approx(1, abs=1e-6)


def test_strata_that_share_nothing_have_no_ratio() -> None:
    bins = Bins(500.0, 5.0)
    assert ratio(side_of(Runs()), side_of(Runs(rate=2_000)), bins=bins) is None
