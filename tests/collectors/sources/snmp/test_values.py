"""What objects say becomes numbers exactly: held against decimals."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.sources.meters.values import NoReadingError
from tokenergy_collectors.sources.snmp.values import RANGES, Value, decode

N = 10**9


@given(st.sampled_from(list(RANGES)), st.data())
def test_whole_numbers_are_read_back(type_, data):
    number = data.draw(st.integers(*RANGES[type_]))
    assert decode(Value(type_, number), type_, invalid=()) == (number * N, N, None)
    with pytest.raises(NoReadingError, match="means no reading"):
        decode(Value(type_, number), type_, invalid=(number,))


@given(st.decimals(-(10**20), 10**20, allow_nan=False, places=6), st.sampled_from(["", " ", "\0"]))
def test_a_text_is_its_decimal(number, end):
    found = decode(Value("OctetString", f"{number:f}{end}".encode()), "OctetString")
    assert found == (int(number * N), 1000, None)


@pytest.mark.parametrize(
    ("text", "value_n", "step_n"),
    [
        (b"41", 41 * N, N), (b"+41.", 41 * N, N), (b" .5\r\n", N // 2, N // 10),
        (b"-0.05", -50_000_000, 10_000_000), (b"1.0000000005", N, 1),
        (b"0.00000000051", 1, 1), (b"007", 7 * N, N),
    ],
)  # fmt: skip
def test_the_step_of_a_text_is_that_of_its_last_digit(text, value_n, step_n):
    assert decode(Value("OctetString", text), "OctetString") == (value_n, step_n, None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "says nothing"), (b" \0", "says nothing"), (b"230 V", "reads '230 V', which is no"),
        (b"1e3", "'1e3'"), (b"nan", "'nan'"), (b"-", "'-'"), (b".", "'.'"), (b"1,5", "'1,5'"),
        (b"0x10", "'0x10'"), (b"1_000", "'1_000'"), (b"\xff\xfe", "which is no decimal number"),
        ("٣".encode(), "which is no decimal number"), (b"9" * 41, "which is no decimal number"),
        (b"9" * 30, "which is too large"), (b"\x1b[31m", r"'\\x1b\[31m'"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_number_is_no_reading(text, why):
    with pytest.raises(NoReadingError, match=why):
        decode(Value("OctetString", text), "OctetString")


def test_texts_may_mean_no_reading_too():
    with pytest.raises(NoReadingError, match=r"reads -0\.1, which means no reading"):
        decode(Value("OctetString", b"-0.10"), "OctetString", invalid=(5, -0.1))
    assert decode(Value("OctetString", b"-0.11"), "OctetString", invalid=(-0.1,))
    assert Decimal(repr(-0.1)) == Decimal("-0.10")


@pytest.mark.parametrize("type_", RANGES)
def test_the_usual_signs_of_no_reading(type_):
    least, most = RANGES[type_]
    refused, taken = (least, most) if least else (most, least)
    assert decode(Value(type_, taken), type_)
    with pytest.raises(NoReadingError, match=r"\((all ones|the smallest Integer32)\)"):
        decode(Value(type_, refused), type_)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Value("NoSuchObject", None), "the device has no such object"),
        (Value("NoSuchInstance", None), "the device has no such instance of the object"),
        (Value("EndOfMibView", None), "the device has no such object"),
        (Value("Counter32", 5), "has type Counter32, not Gauge32"),
        (Value("TimeTicks", None), "has type TimeTicks, not Gauge32"),
        (Value("Null", None), "has type Null, not Gauge32"),
    ],
)
def test_what_is_no_value_of_the_type_is_no_reading(found, why):
    with pytest.raises(NoReadingError, match=f"^{why}$"):
        decode(found, "Gauge32")
