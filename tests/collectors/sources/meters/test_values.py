"""Numbers become billionths exactly, and are shown without what they do not say."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.sources.meters.values import (
    NoReadingError,
    show_billionths,
    show_number,
    to_billionths,
)


@pytest.mark.parametrize(
    ("number", "value_n"),
    [
        (2**64 - 2, (2**64 - 2) * 10**9),
        (0.1, 100_000_000),
        (Decimal("0.0000000015"), 2),
        (Decimal("-344.5"), -344_500_000_000),
        (Fraction(1, 3), 333_333_333),
    ],
)
def test_a_number_in_billionths(number, value_n):
    assert to_billionths(number) == value_n


def test_enormous_exponents_take_no_memory():
    assert to_billionths(Decimal("1e-999999999")) == 0
    with pytest.raises(NoReadingError, match="too large for a meter"):
        to_billionths(Decimal("1e999999999"))


def test_what_no_row_can_hold_is_no_reading():
    assert to_billionths(10**29 - 1) == (10**29 - 1) * 10**9
    with pytest.raises(NoReadingError, match="too large for a meter"):
        to_billionths(-(10**29))


@given(st.integers(1 - 10**38, 10**38 - 1))
def test_billionths_are_shown_to_the_last_digit(value_n):
    shown = show_billionths(value_n)
    assert to_billionths(Decimal(shown)) == value_n
    assert "." not in shown or shown[-1] not in "0."


def test_numbers_as_events_show_them():
    assert [show_number(one) for one in (65_535, 0.1, Decimal("1E+30"))] == [
        "65535",
        "0.1",
        "1e+30",
    ]
