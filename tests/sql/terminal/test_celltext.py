"""Numbers in the cells of a query: rounded to digits, and never to fewer whole ones."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_sql.terminal.celltext import cell_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "True"),
        (1578106880, "1578106880"),
        (0.5, "0.5"),
        (12.0, "12.0"),
        (0.00912299, "0.009123"),
        (14397.0564, "14397"),
        (999.96, "1000"),
        (-1234.5678, "-1235"),
        (1e300, "1e+300"),
        (float("inf"), "inf"),
        (Decimal("8429087240000000"), "8429087240000000"),
        (Decimal("0.12346"), "0.1235"),
        ("0.123456", "0.123456"),
        ([0.123456, None, "a"], "[0.1235, None, 'a']"),
        ({"x": 2 / 3}, "{'x': 0.6667}"),
    ],
)
def test_a_value(value: object, text: str) -> None:
    assert cell_text(value) == text


@given(st.floats(-1e300, 1e300), st.integers(1, 17))
def test_a_number_is_off_by_no_more_than_half_of_its_last_digit(value: float, digits: int) -> None:
    shown = float(cell_text(value, digits))
    assert abs(Decimal(shown) - Decimal(value)) <= abs(Decimal(value)) * Decimal(10) ** (
        1 - digits
    ) / 2 * Decimal("1.000001")


@given(st.one_of(st.integers(), st.floats(), st.decimals(allow_nan=False)))
def test_all_digits_are_those_of_python(value: object) -> None:
    assert cell_text(value, None) == str(value)


@given(st.integers())
def test_whole_numbers_are_never_rounded(value: int) -> None:
    assert cell_text(value, 1) == str(value)
