"""Readings that cannot be: which are left out, where that is noted, and which counters go on."""

from __future__ import annotations

import numpy as np
import pytest

from tokenergy_collectors.lake.plausible import UNKNOWN_MOST_MW, most_power_mw
from tokenergy_transforms import anomalies
from tokenergy_transforms.batch import Anomalies, Readings
from tokenergy_transforms.plausible import is_doubtful, judged, without_high_power

S = 1_000_000
MOST = np.array([450_000], np.int64)
NEVER = np.empty(0, np.int64)


def counted(values: list[tuple[float, int, int]]) -> Readings:
    """Counter readings of one device: (s, J, epoch)."""
    ts = np.array([round(s * S) for s, _, _ in values], np.int64)
    mj = np.array([j * 1_000 for _, j, _ in values], np.int64)
    epochs = np.array([epoch for _, _, epoch in values], np.int32)
    none, ends = np.empty(0, np.int64), np.array([0, len(ts)], np.int64)
    nothing = np.zeros(2, np.int64)
    return Readings(["A"], none, none.astype(np.int32), nothing, ts, mj, epochs, ends)


def judge(
    values: list[tuple[float, int, int]], boots_us: np.ndarray = NEVER
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return (J, epoch) of the readings that are kept, and the spans marked (s)."""
    found = judged(counted(values), MOST, boots_us)
    kept = [
        (mj // 1_000, epoch)
        for mj, epoch in zip(found.counter_mj.tolist(), found.counter_epoch.tolist(), strict=True)
    ]
    spans = zip(found.anomalies.from_us.tolist(), found.anomalies.to_us.tolist(), strict=True)
    return kept, [(start // S, end // S) for start, end in spans]


LINE = [(k, 5_000_000 + 300 * k, 0) for k in range(10)]


def replaced(at: list[int], joules: int, epochs: tuple[int, int] = (0, 0)) -> list:
    """LINE with wrong values at some places; the file's epochs from there on, and after it."""
    rows = []
    for k, (s, j, _) in enumerate(LINE):
        epoch = epochs[1] if k > at[-1] else epochs[0] if k >= at[0] else 0
        rows.append((s, joules if k in at else j, epoch))
    return rows


GOOD = [j for _, j, _ in LINE]


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        (replaced([4], 204, (1, 1)), [4]),  # down; the collector's epoch grows at the fall
        (replaced([4], 204), [4]),  # a log has no epochs
        (replaced([4, 5], 204, (1, 1)), [4, 5]),
        (replaced([4], 9_000_000, (0, 1)), [4]),  # up: the fall comes after it
        (replaced([4, 5, 6], 9_000_000, (0, 1)), [4, 5, 6]),
        (replaced([4], 5_001_210 + 700), [4]),  # up by no more than it can in 1 s: only the fall
    ],
)
def test_a_glitch_is_left_out_and_the_counter_goes_on(rows: list, wrong: list[int]) -> None:
    kept, spans = judge(rows)
    assert kept == [(j, 0) for k, j in enumerate(GOOD) if k not in wrong]
    assert spans == [(wrong[0] - 1, wrong[-1] + 1)]


def test_a_restart_begins_an_epoch() -> None:
    rows = LINE[:5] + [(s, 300 * (s - 5), 1) for s in range(5, 40)]
    kept, spans = judge(rows)
    assert [epoch for _, epoch in kept] == [0] * 5 + [1] * 35
    assert spans == []


def test_a_restart_that_passes_the_old_value_is_no_glitch() -> None:
    """300 J were counted; after the restart the counter passes them a second later."""
    rows = [(0, 0, 0), (1, 300, 0), (2, 10, 0), (3, 310, 0), (4, 610, 0)]
    kept, _ = judge(rows)
    assert [epoch for _, epoch in kept] == [0, 0, 1, 1, 1]


def test_a_leap_that_stays_is_no_measurement() -> None:
    rows = LINE[:5] + [(s, j + 3_600_000, 0) for s, j, _ in LINE[5:]]
    kept, spans = judge(rows)
    assert [epoch for _, epoch in kept] == [0] * 5 + [1] * 5
    assert spans == [(4, 5)]


def test_an_epoch_without_a_fall_is_believed() -> None:
    rows = LINE[:5] + [(s, j, 1) for s, j, _ in LINE[5:]]
    kept, spans = judge(rows)
    assert [epoch for _, epoch in kept] == [0] * 5 + [1] * 5
    assert spans == []


def test_a_start_of_the_host_ends_an_epoch() -> None:
    rows = [(0, 1_000, 0), (20, 3_000, 0), (620, 10_000, 0), (621, 10_300, 0)]
    assert [epoch for _, epoch in judge(rows)[0]] == [0, 0, 0, 0]
    kept, _ = judge(rows, np.array([580 * S], np.int64))
    assert [epoch for _, epoch in kept] == [0, 0, 1, 1]


def test_sound_counters_are_not_judged() -> None:
    assert is_doubtful(counted(LINE), MOST) == (False, False)
    assert is_doubtful(counted([(0, 0, 0), (9, 100, 0)]), MOST) == (False, True)
    assert is_doubtful(counted(replaced([4], 204)), MOST) == (True, False)


def test_power_above_the_most_is_left_out() -> None:
    ts = np.arange(6, dtype=np.int64)
    power = np.array([1, 450_001, 450_000, 7, 7, 2**31 - 1], np.int32)
    none, nothing = np.empty(0, np.int64), np.zeros(3, np.int64)
    offsets = np.array([0, 3, 6], np.int64)
    loaded = Readings(["A", "B"], ts, power, offsets, none, none, none.astype(np.int32), nothing)
    found, device, at_us = without_high_power(loaded, np.array([450_000, 4_000_000]))
    assert found.power_mw.tolist() == [1, 450_000, 7, 7]
    assert found.offsets.tolist() == [0, 2, 4]
    assert (device.tolist(), at_us.tolist()) == ([0, 1], [1, 5])


def test_the_most_is_half_more_than_the_highest_limit() -> None:
    assert most_power_mw(300_000, 700_000) == 1_050_000
    assert most_power_mw(None, 320_000) == 480_000
    assert most_power_mw(None, None) == most_power_mw(0, 2**31 - 1) == UNKNOWN_MOST_MW


def test_spans_give_their_reason_to_the_segments_that_they_overlap() -> None:
    two = np.array([0, 0], np.int32)
    found = Anomalies(two, np.array([5, 30]), np.array([12, 30]), np.array([2, 4], np.int32))
    device = np.array([0, 0, 0, 0, 1], np.int32)
    start = np.array([0, 10, 12, 30, 0], np.int64)
    end = np.array([10, 12, 30, 40, 40], np.int64)
    assert anomalies.reasons_of(found, (device, start, end)).tolist() == [2, 2, 0, 4, 0]


def test_time_in_spans_is_exact() -> None:
    spans = np.array([2, 10]), np.array([5, 20])
    start, end = np.array([0, 3, 5, 4, 0]), np.array([2, 4, 10, 11, 30])
    assert anomalies.time_in(*spans, start, end).tolist() == [0, 1, 0, 2, 13]
