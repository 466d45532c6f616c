"""Numbers keep their meaning when they are shortened."""

from __future__ import annotations

import pytest

from tokenergy_sql.report.facts import bucket_us
from tokenergy_sql.report.format import (
    THIN,
    between,
    clean,
    compact,
    length,
    number,
    percent,
    shorten,
    significant,
    whole,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.41237, "0.412"),
        (0.9996, "1.00"),
        (9.996, "10.0"),
        (99.96, "100"),
        (999.6, f"1{THIN}000"),
        (1234.5, f"1{THIN}234"),
        (0.0001234, "0.000123"),
        (0.00001234, "1.23×10⁻⁵"),
        (-2.5, "−2.50"),
    ],
)
def test_significant(value: float, text: str) -> None:
    assert significant(value) == text


def test_unknown_is_never_a_number() -> None:
    for cell in (
        number(None, "why"),
        whole(None, "why"),
        percent(None, "why"),
        compact(None, "why"),
    ):
        assert cell.text is None
        assert cell.why == "why"
    assert between(None, 1.0, 2.0, "why").text is None
    assert between(1.0, 0.5, None, "why").high == "–"


def test_percent_says_100_only_where_it_is() -> None:
    assert percent(1.0).text == "100"
    assert percent(0.99999).text == ">99.9"
    assert percent(0.0).text == "0"
    assert percent(0.5).text == "50.0"


def test_small_words() -> None:
    assert length(10_000_000) == f"10{THIN}s"
    assert length(5_400_000_000) == f"1.5{THIN}h"
    assert compact(26_950_560).text == "26.95 million"
    assert compact(999).text == "999"
    assert shorten("abcdefghij", 5) == "ab…ij"
    assert clean("a\u202eb\x00") == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    ("span_s", "longest_s", "bucket_s"),
    [(60, 1, 1), (3600, 1, 10), (3600, 60, 60), (86_400, 1, 300), (86_400 * 1000, 1, 259_200)],
)
def test_buckets_are_few_and_cut_no_segment(span_s: int, longest_s: int, bucket_s: int) -> None:
    period = {"start_us": 0, "end_us": span_s * 10**6, "longest_us": longest_s * 10**6}
    assert bucket_us(period) == bucket_s * 10**6
