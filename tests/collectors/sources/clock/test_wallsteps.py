"""Wall-clock times and stamps, with the clock set ahead and back."""

import pytest

from tokenergy_collectors.sources.clock.wallsteps import WallSteps

S = 1_000_000


def test_without_a_step_they_are_one():
    assert WallSteps().stamp_us(5 * S, 7 * S) == 5 * S
    assert WallSteps().stamp_us(9 * S, 7 * S) == 9 * S


@pytest.mark.parametrize(
    ("began_s", "shown_s"), [(50, 50), (99, 99), (101, 3701), (199, 3799), (201, -799), (900, -100)]
)
def test_a_server_first_heard_of_soon_after_it_began_is_placed(began_s, shown_s):
    steps = WallSteps()
    if began_s >= 100:
        steps.add(100 * S, 3600 * S)
    if began_s >= 200:
        steps.add(200 * S, -1000 * S)
    assert steps.stamp_us(shown_s * S, (began_s + 5) * S) == began_s * S


def test_a_time_that_cannot_have_been_after_a_step_was_before_it():
    steps = WallSteps()
    steps.add(100 * S, -3600 * S)
    assert steps.stamp_us(50 * S, 103 * S) == 50 * S
    assert steps.stamp_us(-3498 * S, 103 * S) == 102 * S
