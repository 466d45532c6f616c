"""Operating points: what lies in one bin, what is compared, and what is only listed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sql.gate.planted import Runs, side_of
from tokenergy_sql.gate.points import Bins, Stratum, bins_of, mix_of, rate_of, strata_of
from tokenergy_sql.gate.side import Side

STEADY = Runs(spread=0.0, mix_spread=0.0)


def strata(base: Side, head: Side, load: str = "open") -> tuple[Bins, list[Stratum]]:
    samples = base.samples("five_minutes"), head.samples("five_minutes")
    bins = bins_of(samples[0], "open" if load == "open" else "closed")
    return bins, strata_of(*samples, bins)


def test_bins_lie_around_the_median_of_base() -> None:
    side = side_of(STEADY)
    bins, (only,) = strata(side, side)
    assert bins.rate == pytest.approx(500)
    assert bins.mix == pytest.approx(5)
    assert (only.point.rate, only.point.mix, only.counts) == (0, 0, True)
    assert bins.words(only.point) == "447 to 559 tokens/s a board, 4.08 to 6.12 prompt tokens each"


@pytest.mark.parametrize(("rate", "place"), [(500, 0), (558, 0), (560, 1), (448, 0), (446, -1)])
def test_a_bin_is_a_factor_of_a_quarter_wide(rate: float, place: int) -> None:
    found = strata(side_of(STEADY), side_of(replace(STEADY, rate=rate)))[1]
    assert {one.point.rate for one in found if one.head} == {place}
    assert [one.counts for one in found] == [True] if place == 0 else [False, False]


def test_longer_prompts_are_another_point() -> None:
    found = strata(side_of(STEADY), side_of(replace(STEADY, mix=8)))[1]
    assert [one.point.mix for one in found] == [1, 0]


def test_no_prompts_at_all_are_a_point_of_their_own() -> None:
    found = strata(side_of(STEADY), side_of(replace(STEADY, mix=0)))[1]
    assert [one.point.mix for one in found] == [None, 0]


def test_other_boards_or_limits_are_another_point() -> None:
    for other in (Runs(gpu="NVIDIA A100-SXM4-80GB"), Runs(limit_mw=500_000)):
        found = strata(side_of(Runs()), side_of(other))[1]
        assert not any(one.base and one.head for one in found)


def test_a_closed_load_does_not_look_at_the_rate() -> None:
    base, head = side_of(STEADY), side_of(replace(STEADY, rate=300))
    assert not any(one.counts for one in strata(base, head)[1])
    bins, (only,) = strata(base, head, "closed")
    assert (bins.rate, only.counts) == (None, True)


def test_two_samples_of_a_side_are_too_few() -> None:
    base, head = side_of(STEADY), side_of(replace(STEADY, blocks=2))
    assert [one.counts for one in strata(base, head)[1]] == [False]


def test_every_sample_is_in_one_stratum() -> None:
    base, head = side_of(Runs(spread=0.2, mix_spread=0.2)), side_of(Runs(spread=0.2, seed=2))
    found = strata(base, head)[1]
    for place, side in (("base", base), ("head", head)):
        kept = [one for stratum in found for one in getattr(stratum, place)]
        assert sorted(kept, key=lambda one: one.start_us) == side.samples("five_minutes")
    bins = strata(base, head)[0]
    for stratum in found:
        words = bins.words(stratum.point)
        low, high = (float(part) for part in words.split(" tokens")[0].split(" to "))
        assert all(0.99 * low <= rate_of(one) <= 1.01 * high for one in stratum.base)
        assert all(mix_of(one) > 0 for one in stratum.base)
