"""A device that is away is asked again after waits that double; what was read before counts."""

import threading
from itertools import pairwise
from typing import NamedTuple

from tests.collectors.sources.meters.rig import S
from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.sources.meters.reader import AwayError, MeterReader, Outcome
from tokenergy_collectors.sources.meters.values import MeterValue


class Named(NamedTuple):
    meter: str
    place: str = "here"


class Device(MeterReader):
    """Reads `a`, then fails before `b` while it is away."""

    def __init__(self, clock):
        super().__init__("d", "d", 1.0, clock.monotonic_us)
        self.is_away, self.tries, self.forgotten = False, [], 0

    def points(self):
        return [Named("a"), Named("b")]

    def ask(self, found):
        self.tries.append(self.monotonic_us())
        found.append(Outcome(Named("a"), 1, MeterValue(5)))
        if self.is_away:
            raise AwayError("gone", connected=True)
        found.append(Outcome(Named("b"), 2, MeterValue(6)))

    def away(self):
        self.forgotten += 1


def waits(clock, device, seconds):
    """The seconds between tries while it is read each second."""
    device.tries.clear()
    for _ in range(seconds):
        device.read()
        clock.sleep_until(clock.monotonic_us() + S, threading.Event())
    return [(two - one) // S for one, two in pairwise(device.tries)]


def test_what_was_read_before_the_error_counts_and_the_rest_is_lost():
    device = Device(VirtualClock(0))
    assert [one.why for one in device.read()] == ["", ""]
    device.is_away = True
    a, b = device.read()
    assert (a.value, b) == (MeterValue(5), Outcome(Named("b"), 0, None, "gone"))
    assert device.read() is None  # too early


def test_waits_double_and_begin_anew_once_it_has_answered():
    clock = VirtualClock(0)
    device = Device(clock)
    assert waits(clock, device, 4) == [1, 1, 1]
    assert device.forgotten == 0
    device.is_away = True
    assert waits(clock, device, 200) == [1, 2, 4, 8, 16, 32, 60, 60]
    assert device.forgotten == 9
    device.is_away = False
    waits(clock, device, 61)
    assert waits(clock, device, 4) == [1, 1, 1]
    device.is_away = True
    assert waits(clock, device, 10)[:3] == [1, 2, 4]
