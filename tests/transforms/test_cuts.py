"""Cuts: where segments begin and end."""

from __future__ import annotations

import numpy as np
import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_transforms.batch import Readings
from tokenergy_transforms.cuts import Allocation, observed_spans, parse_window, segments

HOUR_US = 3_600_000_000
S = 1_000_000
T0 = 1_768_464_000_000_000


def cut(
    stamps: list[int], allocations: list[Allocation], window_us: int = S
) -> list[tuple[int, int]]:
    ts = np.array(stamps, np.int64) + T0
    none, no_counter = np.empty(0, np.int64), np.zeros(2, np.int64)
    offsets = np.array([0, len(ts)], np.int64)
    few = none.astype(np.int32)
    powers = np.zeros(len(ts), np.int32)
    loaded = Readings(["A"], ts, powers, offsets, none, none, few, no_counter)
    absolute = [
        Allocation(a.start_us + T0, None if a.end_us is None else a.end_us + T0)
        for a in allocations
    ]
    observed = observed_spans(loaded, T0)
    device, start, end = segments(observed, [absolute], T0, window_us)
    assert (device == 0).all()
    return list(zip((start - T0).tolist(), (end - T0).tolist(), strict=True))


def test_windows_between_first_and_last_reading() -> None:
    assert cut([300_000, 2_500_000], []) == [(300_000, S), (S, 2 * S), (2 * S, 2_500_000)]


def test_observation_beyond_the_hour_fills_it() -> None:
    found = cut([-1, 10, HOUR_US + 5], [])
    assert (found[0], found[-1], len(found)) == ((0, S), (HOUR_US - S, HOUR_US), 3600)


def test_job_edges_cut_windows() -> None:
    found = cut([0, 3 * S], [Allocation(1_250_000, 2 * S)])
    assert found == [(0, S), (S, 1_250_000), (1_250_000, 2 * S), (2 * S, 3 * S)]


def test_a_job_before_and_after_all_readings_is_unknown_time() -> None:
    found = cut([10 * S, 12 * S], [Allocation(-5 * S, 20 * S)])
    assert found == [(0, 10 * S), (10 * S, 11 * S), (11 * S, 12 * S), (12 * S, 20 * S)]


def test_a_running_job_reaches_to_the_last_reading() -> None:
    assert cut([0, 2 * S], [Allocation(S, None)]) == [(0, S), (S, 2 * S)]
    assert cut([], [Allocation(S, None)]) == []


def test_a_held_device_without_readings_is_one_segment_a_job() -> None:
    jobs = [Allocation(5, 10), Allocation(20, HOUR_US + 9)]
    assert cut([], jobs) == [(5, 10), (20, HOUR_US)]
    # Nobody held it from 10 to 20, and nothing recorded it: a silence of the whole hour.
    assert cut([-1, HOUR_US + 5], jobs) == [(5, 10), (20, HOUR_US)]
    assert cut([-1, HOUR_US + 5], []) == []


def test_an_edge_of_a_job_makes_no_time_of_the_device() -> None:
    seen = [(33 * S, 34 * S), (34 * S, 35 * S)]
    stamps = [33 * S, 35 * S]
    assert cut(stamps, [Allocation(-31 * S, 0)]) == seen
    assert cut(stamps, [Allocation(-31 * S, 1)]) == [(0, 1), *seen]
    assert cut(stamps, [Allocation(36 * S, 37 * S)]) == [*seen, (36 * S, 37 * S)]
    # One job inside another, and one over the first reading.
    nested = [Allocation(S, 20 * S), Allocation(2 * S, 3 * S)]
    assert cut(stamps, nested) == [(S, 2 * S), (2 * S, 3 * S), (3 * S, 20 * S), *seen]
    assert cut(stamps, [Allocation(30 * S, 34 * S)]) == [(30 * S, 33 * S), *seen]


def test_nothing_known_is_nothing() -> None:
    assert cut([], []) == []
    assert cut([5], []) == []
    assert cut([HOUR_US], []) == []


@pytest.mark.parametrize(
    ("text", "window_us"),
    [("1s", S), ("500ms", S // 2), ("1ms", 1000), ("5m", 300 * S), ("1h", HOUR_US)],
)
def test_windows_are_read(text: str, window_us: int) -> None:
    assert parse_window(text) == window_us


@pytest.mark.parametrize("text", ["7s", "0s", "2h", "", "1", "-1s", "1.5s", "999us", "1 s"])
def test_other_windows_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected a duration"):
        parse_window(text)
