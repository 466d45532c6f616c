"""When a run was: from its file, or from the user; never from a guess."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.collectors.importers.benchmark.files import (
    NINE_US,
    PLAIN,
    RECORDS,
    SUMMARY,
    S,
    changed,
)
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.importers.benchmark.clock import Said, Span, span_of
from tokenergy_collectors.importers.benchmark.reading import read_run

TEN_PAST_US = NINE_US + 600 * S
"""2026-01-15T09:10:00Z."""


def test_records_say_it_themselves() -> None:
    assert span_of(read_run(RECORDS), Said(tz="Asia/Tokyo")) == Span(NINE_US, NINE_US + 12 * S)
    for option, said in (
        ("--start", Said(start="1768467600")),
        ("--end", Said(end="1768467612")),
    ):
        with pytest.raises(UserError, match=f"{option}: the file says when each request was"):
            span_of(read_run(RECORDS), said)


@pytest.mark.parametrize(
    "said",
    [
        Said(start="2026-01-15T09:10:00Z"),
        Said(start="1768468200"),
        Said(end="2026-01-15T10:10:12.5+01:00"),
        Said(start="2026-01-15T09:10:00Z", end="2026-01-15T09:10:12.5Z"),
        Said(start="2026-01-15T09:10:00Z", tz="Asia/Tokyo"),
    ],
)
def test_one_instant_and_the_duration_of_the_file(said: Said) -> None:
    assert span_of(read_run(PLAIN), said) == Span(TEN_PAST_US, TEN_PAST_US + 12_500_000)


def test_the_date_of_vllm_is_a_moment_late_and_says_so() -> None:
    end_us = TEN_PAST_US - 3_600 * S + 2 * S
    span = span_of(read_run(PLAIN), Said(tz="Europe/Berlin"))
    assert span == Span(end_us - 12_500_000, end_us, 2 * S)


def test_both_local_times_of_aiperf() -> None:
    assert span_of(read_run(SUMMARY), Said(tz="Europe/Berlin")) == Span(
        NINE_US, NINE_US + 12_250_000
    )


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (PLAIN, "does not say when the run began; its date 2026-01-15T09:10:02 is local .* --end"),
        (SUMMARY, "start_time 2026-01-15T10:00:00 is local time of an unknown zone: .* --tz"),
    ],
)
def test_no_zone_is_assumed(path: Path, message: str) -> None:
    with pytest.raises(UserError, match=message):
        span_of(read_run(path), Said())


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (Said(start="2026-01-15T09:10:00"), r"--start .*: has no time zone: expected an offset"),
        (Said(end="15.01.2026 09:10"), "--end: cannot read time"),
        (Said(end="1999-01-15T09:10:00Z"), "--end: time .* is outside the years 2000 to 2099"),
        (Said(tz="Mars/Olympus"), "unknown time zone 'Mars/Olympus'"),
        (
            Said(start="2026-01-15T09:10:00Z", end="2026-01-15T09:12:00Z"),
            "--start and --end are 120.0 s apart, and the file says that the run took 12.5 s",
        ),
        (
            Said(start="2026-01-15T09:10:00Z", end="2026-01-15T09:09:00Z"),
            "--start and --end are -60.0 s apart",
        ),
    ],
)
def test_what_the_user_may_not_say(said: Said, message: str) -> None:
    with pytest.raises(UserError, match=message):
        span_of(read_run(PLAIN), said)


@pytest.mark.parametrize(
    ("fields", "said", "message"),
    [
        ({"date": ...}, Said(tz="UTC"), "the file has no time of its end; give --start or --end"),
        ({"date": ...}, Said(), "the file does not say when the run began: give --start or --end"),
        ({"duration": 0}, Said(start="1768468200"), "the run ends where it begins"),
        (
            {"date": "20261025-023000"},
            Said(tz="Europe/Berlin"),
            "2026-10-25T02:30:00 came twice there",
        ),
        ({"date": "20260329-023000"}, Said(tz="Europe/Berlin"), "was skipped in Europe/Berlin"),
    ],
)
def test_times_that_are_none(
    tmp_path: Path, fields: dict[str, Any], said: Said, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        span_of(read_run(changed(PLAIN, tmp_path, **fields)), said)


def test_without_a_duration_both_ends_must_be_said(tmp_path: Path) -> None:
    run = read_run(changed(SUMMARY, tmp_path, benchmark_duration=..., start_time=...))
    with pytest.raises(UserError, match="the file has no duration; give both"):
        span_of(run, Said(end="1768467612"))
    with pytest.raises(UserError, match="no time of its start; give --start and --end"):
        span_of(run, Said(tz="UTC"))
    both = Said(start="1768467600", end="1768467612")
    assert span_of(run, both) == Span(NINE_US, NINE_US + 12 * S)
