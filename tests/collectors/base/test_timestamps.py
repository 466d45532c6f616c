from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.instants import END_US, FIRST_US, is_instant
from tokenergy_collectors.base.timestamps import BadInstantError, StampReader, checked_instant

NOON_US = 1_706_704_496_789_000


@pytest.mark.parametrize(
    "text",
    [
        "1706704496.789",
        "2024-01-31T12:34:56.789Z",
        "2024-01-31T12:34:56,789+00:00",
        "2024-01-31 14:04:56.789+0130",
        "2024-01-31 11:34:56.789-01",
        "2024/01/31 12:34:56.789",
        " 2024-01-31T12:34:56.7890009 ",
    ],
)
def test_every_form_of_one_instant(text: str) -> None:
    assert StampReader().read(text) == NOON_US


def test_zone_is_for_stamps_without_an_offset() -> None:
    clock = StampReader("Europe/Berlin")
    assert clock.read("2024/01/31 13:34:56.789") == NOON_US
    assert clock.read("2024-01-31T12:34:56.789Z") == NOON_US
    assert clock.read("1706704496.789") == NOON_US
    assert clock.read("2024-01-31 13:34") == NOON_US - 56_789_000


@given(st.integers(FIRST_US, END_US - 1))
def test_unix_seconds_are_exact_to_the_microsecond(ts_us: int) -> None:
    assert StampReader().read(str(Decimal(ts_us).scaleb(-6).__format__("f"))) == ts_us


@given(st.lists(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)), min_size=1))
def test_civil_stamps_agree_with_datetime(moments: list[datetime]) -> None:
    clock = StampReader()
    for moment in moments * 2:
        since = moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        expected = since // timedelta(microseconds=1)
        assert clock.read(f"{moment:%Y/%m/%d %H:%M:%S.%f}".zfill(26)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "-5", "1706704496789", "1e9", "nan", "999999999999", "24:00:00"),
        *("2024-02-30 00:00:00", "2024/01-31 12:34:56", "2024-01-31 24:00:00"),
        *("2024-01-31 12:34:60", "2024-01-31 12:34:56+25:00", "2024-01-31"),
    ],
)
def test_unreadable_stamps_are_named(text: str) -> None:
    with pytest.raises(BadValueError, match="expected Unix seconds") as caught:
        StampReader().read(text)
    assert repr(text) in str(caught.value)


def test_autumn_fold_follows_the_order_of_the_rows() -> None:
    clock = StampReader("Europe/Berlin")
    start_us = clock.read("2024-10-27T00:59:59Z")
    local = ["01:30:00", "02:00:00", "02:59:59.5", "02:00:00", "02:30:00", "02:29:59.9", "03:00:00"]
    stamps = [clock.read(f"2024/10/27 {text}") for text in local]
    minutes = [(ts_us - start_us) / 60e6 for ts_us in stamps]
    assert minutes == pytest.approx([-90, -60, 0, 0, 30, 30, 60], abs=0.02)


def test_jitter_inside_the_fold_is_no_second_fold() -> None:
    clock = StampReader("Europe/Berlin")
    first = clock.read("2024/10/27 02:30:00.100")
    assert clock.read("2024/10/27 02:30:00.050") == first - 50_000


def test_skipped_hour_and_unknown_zone_are_refused() -> None:
    with pytest.raises(BadValueError, match="skipped in Europe/Berlin"):
        StampReader("Europe/Berlin").read("2024/03/31 02:30:00")
    for name in ("Mars/Olympus", "../etc/passwd", "", "Europe"):
        with pytest.raises(UserError, match="unknown time zone"):
            StampReader(name)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize(
    "text",
    [
        *("0", "1", "-62135596800", "946684799", "4102444800.0", "253402300799"),
        *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", "0001/01/01 00:00:00.000"),
        *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-05:00", "9999/12/31 23:59:59.000"),
        *("0000-00-00T00:00:00Z", "0000-01-01T00:00:00Z", "1970-01-01 00:00:00"),
        *("1999-12-31T23:59:59.999999Z", "2100-01-01T00:00:00Z", "2000-01-01T00:00:00+00:01"),
    ],
)
def test_times_outside_the_years_2000_to_2099_are_refused(zone: str, text: str) -> None:
    clock = StampReader(zone)
    for _ in range(2):  # the second time from the cache, if it was kept there
        with pytest.raises(BadValueError, match=r"outside the years|does not exist") as caught:
            clock.read(text)
        assert repr(text) in str(caught.value)


def test_the_first_and_the_last_instant() -> None:
    clock = StampReader()
    assert clock.read("2000-01-01T00:00:00Z") == FIRST_US == 946_684_800 * 10**6
    assert clock.read("2099-12-31T23:59:59.999999Z") == END_US - 1
    assert [is_instant(ts_us) for ts_us in (FIRST_US - 1, FIRST_US, END_US - 1, END_US)] == [
        *(False, True),
        *(True, False),
    ]
    with pytest.raises(BadInstantError, match="'then'"):
        checked_instant(END_US, "then")


def test_the_reader_knows_how_fine_stamps_are_written() -> None:
    clock = StampReader()
    clock.read("2024/01/31 12:34:56")
    assert (clock.has_fractions, clock.is_finer_than_seconds) == (False, False)
    clock.read("2024/01/31 12:34:56.000")
    assert (clock.has_fractions, clock.is_finer_than_seconds) == (True, False)
    clock.read("1706704496.25")
    assert clock.is_finer_than_seconds
