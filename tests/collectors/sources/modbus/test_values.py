"""Words become numbers exactly: held against `struct` and decimals."""

import math
import struct
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, localcontext

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.modbus import CODES, words_of
from tokenergy_collectors.sources.meters.values import NoReadingError
from tokenergy_collectors.sources.modbus.values import decode

codes = st.sampled_from(list(CODES.items()))
orders = st.sampled_from(["big", "little"])


def billionths(number, rounding):
    """A number in billionths, by decimals: a float is a finite decimal of up to 1,075 digits."""
    with localcontext(prec=1200):
        exact = Decimal(number) * 10**9
        return int(exact.to_integral_value(rounding=rounding))


@given(codes, orders, st.data())
def test_whole_numbers_and_floats_are_read_back(code, order, data):
    type_, letter = code
    raw = data.draw(st.binary(min_size=struct.calcsize(letter), max_size=struct.calcsize(letter)))
    [number] = struct.unpack(f">{letter}", raw)
    words = words_of(letter, number, swapped=order == "little")
    if type_.startswith("float"):
        if not math.isfinite(number) or abs(number) >= 1e29:
            with pytest.raises(NoReadingError):
                decode(words, type_, order)
            return
        assert decode(words, type_, order).value_n == billionths(number, ROUND_HALF_EVEN)
    else:
        assert decode(words, type_, order, invalid=()).value_n == number * 10**9


@given(st.sampled_from(["float32", "float64"]), st.floats(-(2.0**93), 2.0**93, width=32))
def test_the_step_of_a_float_is_the_distance_to_the_next_one(type_, number):
    letter, bits = ("f", "I") if type_ == "float32" else ("d", "Q")
    [pattern] = struct.unpack(f">{bits}", struct.pack(f">{letter}", abs(number)))
    [beyond] = struct.unpack(f">{letter}", struct.pack(f">{bits}", pattern + 1))
    with localcontext(prec=1200):
        step = Decimal(beyond) - Decimal(abs(number))
    assert decode(words_of(letter, number), type_).resolution_n == billionths(step, ROUND_CEILING)


@given(codes, orders, st.data())
def test_a_number_that_is_invalid_is_no_reading_and_every_other_one_is(code, order, data):
    type_, letter = code
    size = struct.calcsize(letter)
    [number] = struct.unpack(f">{letter}", data.draw(st.binary(min_size=size, max_size=size)))
    assume(math.isfinite(number) and abs(number) < 1e29)
    words = words_of(letter, number, swapped=order == "little")
    assert decode(words, type_, order, invalid=()) is not None
    with pytest.raises(NoReadingError, match="means no reading"):
        decode(words, type_, order, invalid=(number,))


@pytest.mark.parametrize("letter", CODES.values())
def test_the_usual_signs_of_no_reading(letter):
    [type_] = [name for name, one in CODES.items() if one == letter]
    all_ones = [0xFFFF] * (struct.calcsize(letter) // 2)
    smallest = [0x8000, *all_ones[1:]] if letter in "fd" else [0x8000] + [0] * (len(all_ones) - 1)
    if letter in "HIQ":
        refused, taken = all_ones, smallest
    elif letter in "hiq":
        refused, taken = smallest, all_ones
        assert decode(taken, type_).value_n == -(10**9)
    else:
        refused, taken = all_ones, [0] * len(all_ones)
    assert decode(taken, type_) is not None
    with pytest.raises(NoReadingError):
        decode(refused, type_)


def test_a_float32_counter_says_when_it_no_longer_counts_single_units():
    assert decode(words_of("f", 2.0**24 - 1), "float32").resolution_n == 10**9
    assert decode(words_of("f", 2.0**24), "float32").resolution_n == 2 * 10**9
