"""A counter that begins again at 0 becomes one that rises, and an epoch where nobody can know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.sources.rapl.unwrap import SLACK_US, Unwrapped

S = 1_000_000
RANGE_UJ = 10_000 * S
MOST_W = 1_000


def fed(*readings, most_w=MOST_W, range_uj=RANGE_UJ):
    counter = Unwrapped(most_w)
    whys = [counter.take(at_us, uj, range_uj) for at_us, uj in readings]
    return counter, whys


@given(
    st.integers(0, RANGE_UJ - 1),
    st.lists(st.tuples(st.integers(1, 9 * S), st.fractions(0, 1)), max_size=60),
)
def test_what_rises_is_the_true_energy_however_often_the_counter_begins_again(first_uj, steps):
    counter = Unwrapped(MOST_W)
    at_us, true_uj = 0, first_uj
    assert counter.take(at_us, true_uj % RANGE_UJ, RANGE_UJ) is None
    for time_us, load in steps:
        at_us += time_us
        true_uj += int(load * MOST_W * time_us)
        assert counter.take(at_us, true_uj % RANGE_UJ, RANGE_UJ) is None
    assert (counter.epoch, counter.energy_uj) == (0, true_uj)


@pytest.mark.parametrize(("time_us", "same"), [(RANGE_UJ // MOST_W, False), (9 * S, True)])
def test_a_silence_that_may_hide_a_range_begins_an_epoch(time_us, same):
    counter, whys = fed((0, 5 * S), (time_us, 6 * S))
    assert (counter.epoch, counter.energy_uj) == (int(not same), 6 * S)
    assert same or "not read for so long" in whys[1]


def test_the_longest_silence_leaves_room_for_old_values():
    last_us = RANGE_UJ // MOST_W - SLACK_US
    assert fed((0, 0), (last_us - 1, 1))[1] == [None, None]
    assert fed((0, 0), (last_us, 1))[1][1] is not None


def test_a_fall_that_no_power_explains_is_not_taken_for_a_range():
    counter, whys = fed((0, 5_000 * S), (S, 10 * S), (2 * S, 110 * S))
    assert whys == [None, "it fell by more than 1000 W can explain", None]
    assert (counter.epoch, counter.energy_uj) == (1, 110 * S)  # from where the epoch began


def test_a_rise_that_no_power_explains_is_not_energy():
    counter, whys = fed((0, 0), (S, 1_101 * S))
    assert "it rose by more than 1000 W" in whys[1]
    assert counter.epoch == 1
    assert fed((0, 0), (S, 1_100 * S))[0].epoch == 0  # 1000 W for the time and the slack


def test_another_range_is_another_counter():
    counter = Unwrapped(MOST_W)
    counter.take(0, 5, RANGE_UJ)
    assert "range" in counter.take(S, 6, RANGE_UJ + 1)
    assert counter.take(2 * S, 7, RANGE_UJ + 1) is None


def test_an_epoch_that_was_ended_is_told_once_and_only_after_a_reading():
    counter = Unwrapped(MOST_W)
    counter.end("before the first reading")
    assert counter.take(0, 5, RANGE_UJ) is None
    counter.end("it had gone")
    counter.end("it had gone for longer")
    assert counter.take(S, 6, RANGE_UJ) == "it had gone"
    assert counter.take(2 * S, 7, RANGE_UJ) is None
    assert (counter.epoch, counter.energy_uj) == (1, 7)
