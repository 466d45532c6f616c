"""Bounds of meters: what cancels on one card, what does not, beside a search of all corners."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sql.gate.planted import Row, Runs, cards_of
from tests.support.lakes import T0
from tokenergy_sql.gate import meters
from tokenergy_sql.gate.meters import Card, bounds_of

HOURS = {("base", T0), ("head", T0)}
MW_US = 3_600_000_000
"""A milliwatt for an hour, nJ."""


def row(**more: int | str | None) -> Row:
    """An hour of a board at 300 W, whose counter is off by 5 % and 1.2 W at most."""
    energy = 300_000 * MW_US
    known: Row = {
        "job_id": "base", "hour_us": T0, "device_id": "a", "meter": "counter",
        "energy_nj": energy, "device_us": MW_US, "plain_nj": energy, "plain_us": MW_US,
        "low_nj": int(energy * (1 - 1.2 / 300) / 1.05),
        "high_nj": int(energy * (1 + 1.2 / 300) / 0.95) + 1, "other_nj": 0,
        "gain_low_ppm": 952_380, "gain_high_ppm": 1_052_632, "offset_low_mw": -1200,
        "offset_high_mw": 1200,
    }  # fmt: skip
    return known | more


def test_on_one_card_gain_and_offset_cancel() -> None:
    base = meters.cards_of([row()], HOURS, "BASE")
    head = meters.cards_of([row(job_id="head")], HOURS, "HEAD")
    assert bounds_of(base, head) == pytest.approx((1, 1), abs=5e-6)


def test_on_two_cards_nothing_cancels() -> None:
    base = meters.cards_of([row()], HOURS, "BASE")
    head = meters.cards_of([row(job_id="head", device_id="b")], HOURS, "HEAD")
    most = (1 + 1.2 / 300) / 0.95 / ((1 - 1.2 / 300) / 1.05)
    assert bounds_of(base, head) == pytest.approx((1 / most, most), rel=1e-5)


def test_the_counter_of_one_side_and_the_samples_of_the_other_do_not_cancel() -> None:
    base = meters.cards_of([row()], HOURS, "BASE")
    head = meters.cards_of([row(job_id="head", meter="samples")], HOURS, "HEAD")
    assert bounds_of(base, head)[1] > 1.1
    assert meters.shared(base, head) == 0


def test_an_offset_weighs_more_at_low_power() -> None:
    """At 100 W, 1.2 W are 1.2 %; at 300 W, 0.4 %: 0.8 % of it does not cancel."""
    energy = 100_000 * MW_US
    low, high = int(energy * (1 - 0.012) / 1.05), int(energy * (1 + 0.012) / 0.95) + 1
    head = row(job_id="head", energy_nj=energy, plain_nj=energy, low_nj=low, high_nj=high)
    found = bounds_of(
        meters.cards_of([row()], HOURS, "BASE"), meters.cards_of([head], HOURS, "HEAD")
    )
    # The truth at the corners: the same g and o on both sides.
    corners = [
        (100 - o) / (1 + g) / (100 / 1) / ((300 - o) / (1 + g) / 300)
        for g, o in product((-0.05, 0.05), (-1.2, 1.2))
    ]
    assert found[0] <= min(corners) < max(corners) <= found[1]
    assert found[1] - found[0] < 0.02


def test_what_edges_leave_open_is_added() -> None:
    wide = row(job_id="head")
    wide["high_nj"] += wide["energy_nj"] // 100
    found = bounds_of(
        meters.cards_of([row()], HOURS, "BASE"), meters.cards_of([wide], HOURS, "HEAD")
    )
    # A hundredth of what was metered, over a card that shows as much too much as it may.
    assert found[1] == pytest.approx(1 + 0.01 / ((1 - 0.004) / 1.05), abs=1e-5)


def test_a_dispute_holds_the_ratio_by_either_meter() -> None:
    """Half of HEAD's energy is disputed; the samples say that it was 10 % less."""
    energy = 300_000 * MW_US
    half = energy // 2
    head = row(
        job_id="head", plain_nj=half, plain_us=MW_US // 2,
        low_nj=int(half * (1 - 1.2 / 300) / 1.05), high_nj=int(half * (1 + 1.2 / 300) / 0.95) + 1,
        other_nj=half * 9 // 10,
    )  # fmt: skip
    found = bounds_of(
        meters.cards_of([row()], HOURS, "BASE"), meters.cards_of([head], HOURS, "HEAD")
    )
    assert found == pytest.approx((0.95, 1), abs=1e-4)


def test_without_a_meter_there_is_no_bound() -> None:
    card = {"a counter": Card(1.0, 0.95, 1.05, 0.0)}
    assert bounds_of({}, card) == (0.0, float("inf"))


CARDS = st.dictionaries(
    st.sampled_from("abcd"),
    st.builds(
        Card,
        share=st.floats(0.05, 1),
        low=st.floats(0.8, 1.0),
        high=st.floats(1.0, 1.2),
        rest=st.floats(0, 0.02),
        other=st.floats(0.95, 1.05),
    ),
    min_size=1,
)


@settings(max_examples=150)
@given(CARDS, CARDS)
def test_the_bounds_are_the_worst_of_all_corners(
    base: dict[str, Card], head: dict[str, Card]
) -> None:
    """Every choice of each card's error, one after the other."""
    keys = sorted({*base, *head})
    ratios = []
    for chosen in product(*([(e, o) for e in "lh" for o in (False, True)] for _ in keys)):
        num = den = 0.0
        for key, (error, other) in zip(keys, chosen, strict=True):
            above, below = head.get(key), base.get(key)
            known = below or above
            assert known is not None
            x = known.low if error == "l" else known.high
            differ = 0.0
            if above and below:
                differ = max(abs(above.low - below.low), abs(above.high - below.high))
            if above:
                num += above.share * (x * (above.other if other else 1) + above.rest + differ)
            if below:
                den += below.share * (x * (below.other if other else 1) - below.rest)
        ratios.append(num / den)
    assert bounds_of(base, head)[1] == pytest.approx(max(ratios), rel=1e-9)


def test_only_hours_that_are_compared_count() -> None:
    rows = cards_of(Runs(blocks=24))
    assert len(rows) == 2
    first = meters.cards_of(rows, {("base", T0)}, "BASE")
    assert [one.share for one in first.values()] == [1.0]
    assert meters.cards_of(rows, set(), "BASE") == {}
