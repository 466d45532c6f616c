"""Repetitions left out: the recorded readings give the same curve."""

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.sampler.deduplicate import KEEP_EVERY_US, Deduplicator, Reading
from tokenergy_collectors.sampler.epochs import CounterEpochs

readings = st.lists(
    st.tuples(
        st.integers(1, 2_500_000),
        st.sampled_from([80_000, 80_001, 400_000]),
        st.none() | st.integers(0, 5),
    ),
    min_size=1,
    max_size=60,
)


class Recording:
    """What the sampler does with the readings of one device: numbers epochs, drops repetitions."""

    def __init__(self):
        self.epochs, self.deduplicator = CounterEpochs(), Deduplicator()

    def add(self, ts_us, power_mw, energy_mj):
        if not self.deduplicator.is_later(ts_us):
            return []
        self.epochs.add(energy_mj)
        return self.deduplicator.add(Reading(ts_us, power_mw, energy_mj, self.epochs.epoch))

    def flush(self):
        return self.deduplicator.flush()


def recorded(rows):
    recording = Recording()
    kept = [reading for row in rows for reading in recording.add(*row)]
    return kept + recording.flush()


def stamped(steps):
    ts_us, rows = 0, []
    for dt_us, power, energy in steps:
        ts_us += dt_us
        rows.append((ts_us, power, energy))
    return rows


def at(curve, ts_us):
    """The piecewise linear curve through (stamp, power) at a stamp inside it, exactly."""
    for (t0, p0), (t1, p1) in pairwise(curve):
        if t0 <= ts_us <= t1:
            return p0 + Fraction((p1 - p0) * (ts_us - t0), t1 - t0)
    assert curve[0] == (ts_us, curve[0][1])
    return curve[0][1]


@given(readings)
def test_the_curve_is_the_same_at_every_original_stamp(steps):
    rows = stamped(steps)
    curve = [(r.ts_us, r.power_mw) for r in recorded(rows)]
    assert [at(curve, ts_us) for ts_us, _, _ in rows] == [power for _, power, _ in rows]


@given(readings)
def test_counters_are_all_kept_and_stamps_rise(steps):
    rows = stamped(steps)
    kept = recorded(rows)
    assert [(r.ts_us, r.energy_mj) for r in kept if r.energy_mj is not None] == [
        (ts_us, energy) for ts_us, _, energy in rows if energy is not None
    ]
    assert all(a.ts_us < b.ts_us for a, b in pairwise(kept))


@given(readings)
def test_no_gap_is_made_that_was_not_there(steps):
    rows = stamped(steps)
    stamps = [r.ts_us for r in recorded(rows)]
    for left, right in pairwise(stamps):
        if right - left > KEEP_EVERY_US:
            assert not any(left < ts_us < right for ts_us, _, _ in rows)


def test_a_level_run_is_kept_once_a_second():
    kept = recorded([(t, 80_000, None) for t in range(0, 10_000_001, 50_000)])
    assert [r.ts_us for r in kept] == list(range(0, 10_000_001, KEEP_EVERY_US))
    counted = [(t, 80_000, 1 if t % 1_000_000 == 0 else None) for t in range(0, 5_000_001, 50_000)]
    assert [r.ts_us for r in recorded(counted)] == list(range(0, 5_000_001, 1_000_000))


def test_a_step_stays_a_step():
    rows = [(0, 1, None), (10, 1, None), (20, 1, None), (30, 9, None), (40, 9, None)]
    assert [(r.ts_us, r.power_mw) for r in recorded(rows)] == [(0, 1), (20, 1), (30, 9), (40, 9)]


def test_a_reading_that_is_not_later_is_left_out():
    rows = [(10, 1, 5), (10, 1, 5), (10, 2, None), (9, 3, 1), (11, 1, None)]
    kept = recorded(rows)
    assert [(r.ts_us, r.power_mw, r.energy_mj, r.epoch) for r in kept] == [
        (10, 1, 5, 0),
        (11, 1, None, 0),
    ]


def test_a_counter_that_falls_begins_an_epoch():
    rows = [(1, 5, 100), (2, 5, 100), (3, 5, None), (4, 5, 7), (5, 6, None), (6, 6, 3)]
    assert [(r.ts_us, r.epoch) for r in recorded(rows)] == [(1, 0), (2, 0), (4, 1), (5, 1), (6, 2)]


def test_power_that_is_unknown_for_once_is_told_so():
    rows = [(1, 5, None), (2, 5, None), (3, None, 9), (4, 5, None)]
    assert [(r.ts_us, r.power_mw) for r in recorded(rows)] == [(1, 5), (2, 5), (3, None), (4, 5)]


def test_flush_gives_the_held_reading_once():
    recording = Recording()
    assert [r.ts_us for r in recording.add(1, 5, None)] == [1]
    assert recording.add(2, 5, None) == []
    assert [r.ts_us for r in recording.flush()] == [2]
    assert recording.flush() == []


def test_an_epoch_that_is_begun_counts_once_whatever_the_counter_shows():
    for after_mj in (3, 100, 200):
        epochs = CounterEpochs()
        assert not epochs.add(100)
        assert epochs.counter_mj == 100
        epochs.begin()
        assert epochs.counter_mj is None
        assert not epochs.add(after_mj)
        assert (epochs.epoch, epochs.counter_mj) == (1, after_mj)
