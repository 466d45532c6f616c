"""What stands still: told from what is level, left out, and taken up again."""

import pytest

from tokenergy_collectors.sampler.stale import StaleFilter

S = 1_000_000


class Judge:
    """A judge, fed ten times a second; the counter is read every second from the start on."""

    def __init__(self, update_us=100_000):
        self.events = []
        self.standstill = StaleFilter(update_us, lambda *event: self.events.append(event))
        self.now_us = 0
        self.true_mj = 1_000_000

    def run(self, seconds, power_mw, true_mw=None, *, counter=True, util=None, moves=True):
        """Feed a reading, constant or called each time, and return what came out."""
        out = []
        for _ in range(round(seconds * 10)):
            told_mw = power_mw() if callable(power_mw) else power_mw
            energy_mj = self.true_mj if counter and self.now_us % S == 0 else None
            if util is not None and self.now_us % S == 0:
                self.standstill.busy(self.now_us, util)
            out.append(self.standstill.filter(self.now_us, told_mw, energy_mj))
            self.now_us += S // 10
            if moves:
                self.true_mj += (told_mw if true_mw is None else true_mw) // 10
        return out

    def kinds(self):
        return [kind for kind, _ in self.events]


def powers(out):
    return [power for power, _ in out]


def test_a_level_reading_with_a_counter_that_agrees_is_none():
    judge = Judge()
    assert set(powers(judge.run(60, 80_000))) == {80_000}
    assert set(powers(judge.run(60, 80_000, 74_000))) == {80_000}
    assert judge.events == []


@pytest.mark.parametrize("true_mw", [40_000, 120_000, 700_000])
def test_a_counter_that_tells_another_power_is_believed(true_mw):
    judge = Judge()
    out = judge.run(20, 80_000, true_mw)
    assert powers(out)[:50] == [80_000] * 50
    assert set(powers(out)[51:]) == {None}
    [(kind, detail)] = judge.events
    assert kind == "stale"
    assert detail.startswith("power has stayed at 80.000 W for 5.0 s; the energy counter gives ")
    assert detail.endswith(f"{true_mw / 1e3:.3f} W")
    assert [e for _, e in out if e is not None] == sorted({e for _, e in out if e is not None})
    again = judge.run(1, 80_001)
    assert powers(again) == [80_001] * 10
    assert judge.kinds() == ["stale", "stale_over"]


def test_a_long_level_time_does_not_hide_what_comes_after():
    judge = Judge()
    judge.run(600, 80_000)
    out = powers(judge.run(12, 80_000, 300_000))
    assert out.count(80_000) <= 101
    assert judge.kinds() == ["stale"]


def test_twenty_periods_where_they_are_longer():
    judge = Judge(update_us=S)
    out = powers(judge.run(30, 80_000, 300_000))
    assert 195 <= out.count(80_000) <= 205


@pytest.mark.parametrize(("update_us", "least_s"), [(100_000, 2), (None, 5), (500_000, 10)])
def test_without_a_counter_a_busy_board_is_stale_sooner(update_us, least_s):
    judge = Judge(update_us)
    out = powers(judge.run(20, 80_000, counter=False, util=60))
    assert out.count(80_000) == least_s * 10
    assert judge.events == [
        ("stale", f"power has stayed at 80.000 W for {least_s}.0 s; the board is busy")
    ]


def test_with_a_counter_that_agrees_a_busy_board_is_stale_all_the_same():
    judge = Judge()
    assert powers(judge.run(20, 80_000, util=60)).count(80_000) == 50


@pytest.mark.parametrize("util", [None, 0, 4])
def test_without_a_counter_an_idle_board_may_stand_still(util):
    judge = Judge()
    assert set(powers(judge.run(60, 80_000, counter=False, util=util))) == {80_000}
    assert judge.events == []


def test_a_board_that_was_idle_in_between_was_not_busy_all_the_while():
    judge = Judge()
    for _ in range(5):
        judge.run(1, 80_000, counter=False, util=60)
        judge.run(1, 80_000, counter=False, util=0)
    assert judge.events == []


def test_a_counter_that_stands_still_is_not_repeated_and_told_after_5_seconds():
    judge = Judge()
    flicker = iter(range(80_000, 90_000))
    judge.run(3, lambda: next(flicker))
    out = judge.run(10, lambda: next(flicker), moves=False)
    assert len([e for _, e in out if e is not None]) == 1
    assert None not in powers(out)
    assert judge.kinds() == ["stale"]
    judge.run(1, lambda: next(flicker))
    judge.run(2, lambda: next(flicker))
    assert judge.kinds() == ["stale", "stale_over"]


def test_power_and_counter_that_come_to_a_stand_together_are_both_stale():
    judge = Judge()
    judge.run(3, 80_000)
    out = judge.run(20, 200_000, moves=False)
    assert powers(out).count(200_000) in range(48, 62)
    assert sorted(judge.kinds()) == ["stale", "stale"]


def test_a_counter_that_never_moved_says_nothing_about_a_level_reading():
    judge = Judge()
    out = judge.run(30, 80_000, moves=False)
    assert set(powers(out)) == {80_000}
    assert len([e for _, e in out if e is not None]) == 1
    assert judge.kinds() == ["stale"]  # the counter


def test_an_equal_counter_within_a_joule_is_a_reading():
    events = []
    standstill = StaleFilter(None, lambda *event: events.append(event))
    assert standstill.filter(0, 4_000, 5) == (4_000, 5)
    assert standstill.filter(249_000, 4_000, 5) == (4_000, 5)
    assert standstill.filter(250_000, 4_000, 5) == (4_000, None)


def test_without_power_a_counter_counts_as_standing_after_a_second():
    standstill = StaleFilter(None, lambda *_: None)
    assert standstill.filter(0, None, 5) == (None, 5)
    assert standstill.filter(900_000, None, 5) == (None, 5)
    assert standstill.filter(S, None, 5) == (None, None)


def test_a_counter_that_falls_begins_the_comparison_anew():
    judge = Judge()
    judge.run(4, 80_000)
    judge.true_mj = 0
    judge.run(20, 80_000)
    assert judge.events == []


def test_a_coarse_counter_that_is_read_twice_within_its_period_does_not_stand_still():
    """Two edges may lie as close as that; what it says at the second one is what it says."""
    told = []
    coarse = StaleFilter(100_000, lambda *event: told.append(event), counter_us=300_000)
    assert coarse.filter(0, 500_000, 1_000) == (500_000, 1_000)
    assert coarse.filter(50_000, 500_001, 1_000) == (500_001, 1_000)
    assert coarse.filter(600_000, 500_002, 1_000) == (500_002, 1_000)
    assert coarse.filter(600_001, 500_003, 1_000) == (500_003, None)
    unknown = StaleFilter(None, lambda *event: told.append(event))
    assert unknown.filter(0, 500_000, 1_000) == (500_000, 1_000)
    assert unknown.filter(200_000, 500_001, 1_000) == (500_001, 1_000)
    assert unknown.filter(200_001, 500_002, 1_000) == (500_002, None)
    assert told == []
