from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.base.csvfile import BadValueError
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.timestamps import StampReader

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


@given(st.integers(0, 253_402_300_799_999_999))
def test_unix_seconds_are_exact_to_the_microsecond(ts_us: int) -> None:
    assert StampReader().read(str(Decimal(ts_us).scaleb(-6).__format__("f"))) == ts_us


@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)), min_size=1))
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
