"""What a device loses by its curve, beside reckonings in fractions and courses of a known load."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.sql.places.files import places_of
from tokenergy_sql.metering.course import Course, course_of
from tokenergy_sql.metering.losscourse import loss_course
from tokenergy_sql.metering.readings import Readings
from tokenergy_sql.places.units import BILLION

T0 = 1_768_464_000_000_000
S = 1_000_000
NJ_PER_KWS = 10**12

CURVE = ((0, 2), (80, 5), (200, 14), (320, 33))
"""Load kW, loss kW: worse with load, as UPSes are."""


def site(points: object = CURVE, quantity: str = "power", **keys: object) -> str:
    unit = {"power": "kW", "energy": "kWh"}[quantity]
    more = "".join(f"{name} = {value}\n" for name, value in keys.items())
    shown = [list(point) for point in points]  # type: ignore[attr-defined]
    return f"""
[[meter]]
id = "m"
quantity = "{quantity}"
unit = "{unit}"
role = "ups_out"
accuracy_percent = 0.5
resolution = 0.001
[[loss]]
name = "ups"
points = {shown}
between = ["m"]
{more}
"""


def lost(text: str, *readings: tuple[int, int]) -> Course:
    """The course of the loss; readings: second, billionths."""
    places = places_of(text)
    found = Readings.of(*((T0 + second * S, value) for second, value in readings))
    courses = {"m": course_of(places.meters.by_id["m"], found)}
    return loss_course(places.losses["ups"], places.meters, courses)


def at(points: tuple[tuple[int, int], ...], load: Fraction) -> Fraction:
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 <= load <= x1:
            return y0 + Fraction(y1 - y0) * (load - x0) / (x1 - x0)
    raise ValueError(load)


def along(points: tuple[tuple[int, int], ...], begin: Fraction, end: Fraction) -> Fraction:
    """Mean loss while the load goes from one value to another, kW: cut at every point."""
    if begin == end:
        return at(points, begin)
    low, high = min(begin, end), max(begin, end)
    edges = [low, *(Fraction(x) for x, _ in points if low < x < high), high]
    whole = sum(((b - a) * (at(points, a) + at(points, b)) / 2 for a, b in pairwise(edges)), 0)
    return Fraction(whole) / (high - low)


loads_kw = st.lists(st.integers(0, 320_000), min_size=2, max_size=8)


@settings(max_examples=40, deadline=None)
@given(loads_kw)
@example([0, 320_000])
@example([80_000, 80_000])
def test_the_loss_of_a_power_is_the_integral_along_straight_lines(watts: list[int]) -> None:
    found = lost(site(), *((10 * n, w * BILLION // 1000) for n, w in enumerate(watts)))
    expected = sum(
        along(CURVE, Fraction(a, 1000), Fraction(b, 1000)) * 10 * NJ_PER_KWS
        for a, b in pairwise(watts)
    )
    value = found.amount(T0, T0 + 10 * (len(watts) - 1) * S).value
    assert abs(value - expected) <= 1 + expected / 10**12


@settings(max_examples=40, deadline=None)
@given(loads_kw, st.integers(0, 40), st.integers(1, 30), st.sampled_from(["behind", "before"]))
def test_a_straight_curve_has_its_closed_form(
    watts: list[int], standing: int, percent: int, side: str
) -> None:
    points = ((0, standing), (100, standing + percent), (400, standing + 4 * percent))
    if side == "before":
        # The meter shows load + loss; below the loss at no load nothing is known.
        watts = [w + standing * 1000 for w in watts]
    text = site(points, metered=f'"{side}"')
    found = lost(text, *((10 * n, w * BILLION // 1000) for n, w in enumerate(watts)))
    seconds = 10 * (len(watts) - 1)
    shown = sum(Fraction(a + b, 2000) * 10 for a, b in pairwise(watts))
    share = Fraction(percent, 100)
    load = shown if side == "behind" else (shown - standing * seconds) / (1 + share)
    expected = (standing * seconds + share * load) * NJ_PER_KWS
    amount = found.amount(T0, T0 + seconds * S)
    assert abs(amount.value - expected) <= 1 + expected / 10**12


@settings(max_examples=30, deadline=None)
@given(loads_kw, st.integers(1, 20_000))
def test_more_load_loses_more(watts: list[int], more: int) -> None:
    watts = [min(w, 300_000) for w in watts]
    less, greater = (
        lost(site(), *((10 * n, (w + extra) * BILLION // 1000) for n, w in enumerate(watts)))
        for extra in (0, more)
    )
    span = T0, T0 + 10 * (len(watts) - 1) * S
    assert less.amount(*span).value < greater.amount(*span).value


@settings(max_examples=25, deadline=None)
@given(loads_kw, st.integers(1, 60_000_000))
def test_parts_of_the_time_add_up(watts: list[int], cut_us: int) -> None:
    found = lost(site(), *((10 * n, w * BILLION // 1000) for n, w in enumerate(watts)))
    end_us = T0 + 10 * (len(watts) - 1) * S
    cut_us = T0 + cut_us % (end_us - T0)
    whole = found.amount(T0, end_us).value
    if T0 < cut_us < end_us:
        parts = found.amount(T0, cut_us).value + found.amount(cut_us, end_us).value
        assert abs(whole - parts) <= 2 + whole / 10**12


def swinging(seed: int) -> list[Fraction]:
    """A load of every second of 20 minutes, kW: steps, swings and rest."""
    chance = random.Random(seed)
    found: list[Fraction] = []
    while len(found) < 1200:
        low, high = sorted((chance.randrange(0, 320), chance.randrange(0, 320)))
        swing = chance.choice((1, 2, 7, 60))
        found += [
            Fraction(high if (s // swing) % 2 else low) for s in range(chance.randrange(9, 200))
        ]
    return found[:1200]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("error", [-0.004, 0.004])
def test_bounds_of_a_counter_hold_what_a_swinging_load_loses(seed: int, error: float) -> None:
    """A register shows the mean load alone: at it the loss is less than the mean of the losses."""
    load = swinging(seed)
    counted, readings = Fraction(0), [(0, 0)]
    for second, kw in enumerate(load, 1):
        counted += kw * (1 + Fraction(error)) / 3600
        if second % 15 == 0:
            readings.append((second, int(counted * 1000) * BILLION // 1000))
    text = site(quantity="energy", accuracy_percent=0)
    amount = lost(text, *readings).amount(T0, T0 + 1200 * S)
    true = sum(at(CURVE, kw) for kw in load) * NJ_PER_KWS
    assert amount.low is not None
    assert amount.high is not None
    assert amount.low <= true <= amount.high
    # A curve that bends upwards: the mean of the load says too little, and the bounds know it.
    assert amount.value < true * Fraction(1002, 1000)
    assert amount.value < amount.high * Fraction(98, 100)


@pytest.mark.parametrize("seed", range(4))
def test_bounds_of_a_power_hold_the_error_of_the_meter(seed: int) -> None:
    chance = random.Random(seed)
    load = [Fraction(chance.randrange(20_000, 300_000), 1000) for _ in range(121)]
    true = sum(along(CURVE, a, b) for a, b in pairwise(load)) * 10 * NJ_PER_KWS
    for error in (-0.005, 0.005):
        shown = [
            (10 * n, int(kw * (1 + Fraction(error)) * 1000) * BILLION // 1000)
            for n, kw in enumerate(load)
        ]
        amount = lost(site(accuracy_percent=0), *shown).amount(T0, T0 + 1200 * S)
        assert amount.low is not None
        assert amount.high is not None
        assert amount.low <= true <= amount.high
        assert amount.low < amount.value < amount.high


def test_the_error_of_the_curve_widens_the_bounds_and_without_one_there_are_none() -> None:
    readings = [(0, 100 * BILLION), (10, 100 * BILLION)]
    spans = T0, T0 + 10 * S
    none, exact, rough = (
        lost(site(**({} if p is None else {"accuracy_percent": p})), *readings).amount(*spans)
        for p in (None, 0, 10)
    )
    assert (none.low, none.high) == (None, None)
    assert none.value == exact.value == rough.value == 65 * NJ_PER_KWS
    assert rough.low is not None
    assert rough.high is not None
    assert exact.low is not None
    assert exact.high is not None
    assert abs(rough.low - exact.low * 0.9) < 1e6
    assert abs(rough.high - exact.high * 1.1) < 1e6


def test_outside_of_the_points_nothing_is_known() -> None:
    """Neither above the last point, nor below the first one where that is not at 0."""
    watts = [100, 100, 321, 100, 100]
    found = lost(site(), *((10 * n, w * BILLION) for n, w in enumerate(watts)))
    assert found.known == [(T0, T0 + 10 * S), (T0 + 30 * S, T0 + 40 * S)]
    assert {why for _, why in found.doubts} == {"above_curve"}
    with pytest.raises(ValueError, match="not known in all of this time"):
        found.amount(T0, T0 + 40 * S)
    low = lost(site(CURVE[1:]), *((10 * n, w * BILLION) for n, w in enumerate([79, 100, 100])))
    assert low.known == [(T0 + 10 * S, T0 + 20 * S)]
    assert {why for _, why in low.doubts} == {"below_curve"}
    # A meter that may be off beyond the last point has a value, and no bounds.
    edge = lost(site(accuracy_percent=0), (0, 320 * BILLION), (10, 320 * BILLION))
    amount = edge.amount(T0, T0 + 10 * S)
    assert amount == (33 * 10 * NJ_PER_KWS, None, None)


def test_each_curve_holds_for_its_time() -> None:
    text = site(until="2026-01-15T08:00:10Z") + (
        '[[loss]]\nname = "ups"\npoints = [[0, 0], [320, 32]]\nbetween = ["m"]\n'
        "from = 2026-01-15T08:00:10Z\n"
    )
    found = lost(text, *((5 * n, 100 * BILLION) for n in range(5)))
    assert found.known == [(T0, T0 + 20 * S)]
    assert found.amount(T0, T0 + 20 * S).value == (65 + 100) * NJ_PER_KWS
