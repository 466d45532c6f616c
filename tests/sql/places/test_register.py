"""Registers in base units: exact, rounded down, with bounds that hold the truth."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sql.places.files import meter, places_of
from tokenergy_sql.places.exact import text_of
from tokenergy_sql.places.register import Register
from tokenergy_sql.places.units import BASE, BILLION, UNITS

ALWAYS = 10**15
N = BILLION


@pytest.mark.parametrize(
    ("unit", "shown", "base"),
    [
        ("W", 1, 1_000),
        ("kW", Fraction("412.5"), 412_500_000),
        ("MW", Fraction("0.000000001"), 1),
        ("mW", 7, 7),
        ("J", 1, 10**9),
        ("kJ", 2, 2 * 10**12),
        ("MJ", 1, 10**15),
        ("GJ", 1, 10**18),
        ("Wh", 1, 3_600 * 10**9),
        ("kWh", 1, 3_600_000 * 10**9),
        ("MWh", 1, 3_600_000_000 * 10**9),
        ("GWh", 9, 9 * 3_600_000_000_000 * 10**9),
        ("L", Fraction("0.5"), 500_000),
        ("mL", 3, 3_000),
        ("m3", 1, 10**9),
        ("L/s", 2, 2 * 10**6),
        ("L/min", 6, 100_000),
        ("L/h", 1, 277),  # 277.7 µL/s, rounded down
        ("m3/h", 1, 277_777),
        ("m3/s", 1, 10**9),
        ("°C", Fraction("21.5"), 294_650),
        ("C", Fraction("-40"), 233_150),
        ("K", Fraction("294.65"), 294_650),
        ("%", Fraction("98.5"), 985_000),
        ("1", Fraction("0.985"), 985_000),
    ],
)
def test_each_unit(unit: str, shown: Fraction, base: int) -> None:
    assert Register(UNITS[unit]).base(int(Fraction(shown) * N)) == base


def test_every_unit_and_quantity_is_tested_or_known() -> None:
    assert {unit.quantity for unit in UNITS.values()} == set(BASE)


@given(
    st.sampled_from(sorted(UNITS)),
    st.fractions(min_value=Fraction(1, 10**9), max_value=10**9),
    st.integers(min_value=-(10**30), max_value=10**30),
)
def test_a_conversion_is_exact(unit: str, scale: Fraction, value_n: int) -> None:
    register = Register(UNITS[unit], scale=scale)
    exact = register.exact(value_n)
    # Back again by another road: nothing is lost.
    assert (exact - UNITS[unit].offset) / UNITS[unit].factor / scale * N == value_n
    assert register.base(value_n) == math.floor(exact)


@given(st.lists(st.integers(min_value=0, max_value=10**24), min_size=2), st.fractions(0, 9))
def test_differences_of_the_rounded_register_telescope(values: list[int], scale: Fraction) -> None:
    register = Register(UNITS["kWh"], scale=scale)
    bases = [register.base(value) for value in sorted(values)]
    steps = [after - before for before, after in pairwise(bases)]
    assert sum(steps) == bases[-1] - bases[0]
    assert min(steps) >= 0


@given(
    st.sampled_from(["kW", "°C", "%", "m3/h"]),
    st.fractions(min_value=0, max_value=1000),
    st.fractions(min_value=0, max_value=5),
    st.fractions(min_value=0, max_value=2),
    st.sampled_from([Fraction(1), Fraction(1, 10), Fraction(1, 1000)]),
    st.fractions(min_value=-1, max_value=1),
    st.booleans(),
)
def test_bounds_hold_the_truth(
    unit: str,
    shown: Fraction,
    percent: Fraction,
    absolute: Fraction,
    step: Fraction,
    part: Fraction,
    floor: bool,
) -> None:
    register = Register(UNITS[unit], resolution=step, percent=percent, absolute=absolute)
    # The meter errs by a part of what its plate allows, and shows whole steps.
    counts = math.floor(shown / step) * step if floor else math.ceil(shown / step) * step
    error = part * (counts * percent / 100 + absolute)
    truth = (shown + error) * UNITS[unit].factor + UNITS[unit].offset
    bounds = register.bounds(int(counts * N))
    assert bounds is not None
    assert bounds[0] <= truth <= bounds[1]


def test_bounds_are_no_wider_than_told() -> None:
    register = Register(
        UNITS["W"], resolution=Fraction(1, 10), percent=Fraction(1), absolute=Fraction(2)
    )
    assert register.bounds(1000 * N) == (987_900, 1_012_100)
    assert Register(UNITS["W"]).bounds(1000 * N) is None
    # Per cent of degrees, not of kelvin.
    warm = Register(UNITS["°C"], resolution=Fraction(1, 1000), percent=Fraction(1))
    assert warm.bounds(20 * N) == (292_949, 293_351)


@pytest.mark.parametrize(
    ("scale", "exact"),
    [
        ("0.1", Fraction(1, 10)),
        ("0.001", Fraction(1, 1000)),
        ("1e-3", Fraction(1, 1000)),
        ("160", Fraction(160)),
        ('"4000/5"', Fraction(800)),
        ('"1/3"', Fraction(1, 3)),
        ('"0.1/3"', Fraction(1, 30)),
        ("0.123456789012345", Fraction(123456789012345, 10**15)),
        ('"0.12345678901234567890"', Fraction("0.12345678901234567890")),
    ],
)
def test_a_scale_is_taken_as_written(scale: str, exact: Fraction) -> None:
    found = places_of(meter("m", f"scale = {scale}")).meters.at(ALWAYS).meters["m"]
    assert found.register.scale == exact


@given(st.fractions(min_value=Fraction(1, 10**12), max_value=10**12))
def test_a_number_is_written_so_that_it_reads_the_same(value: Fraction) -> None:
    assert Fraction(text_of(value)) == value


def test_numbers_as_people_write_them() -> None:
    texts = [text_of(Fraction(text)) for text in ("0.1", "80", "1/3", "0.005", "12.5")]
    assert texts == ["0.1", "80", "1/3", "0.005", "12.5"]
