"""What a meter counted, against the truth behind its readings and against the definition."""

import math
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tokenergy_collectors.base.instants import END_US, FIRST_US
from tokenergy_sql.metering.course import course_of
from tokenergy_sql.metering.readings import Readings
from tokenergy_sql.places import SITE, Meter
from tokenergy_sql.places.register import Register
from tokenergy_sql.places.timeline import Span, Timeline
from tokenergy_sql.places.units import BILLION, UNITS

T0 = 1_768_435_200_000_000
S = 1_000_000
ALWAYS = (FIRST_US, END_US)


def meter(quantity="energy", unit="Wh", span=ALWAYS, interval_us=None, **register):
    register = {"percent": Fraction(0), **register}
    kept = Register(UNITS[unit], **register)
    return Span(
        *span,
        Meter("m", "[[meter]] 1", SITE, "utility", quantity, unit, (), None, interval_us, kept),
    )


def course(readings, *spans):
    return course_of(Timeline(spans), Readings.of(*((T0 + s * S, value) for s, value in readings)))


def amount(found, from_s, until_s):
    return found.amount(T0 + from_s * S, T0 + until_s * S)


STEPS = st.lists(st.tuples(st.integers(20, 40), st.integers(0, 5_000)), min_size=4, max_size=12)
"""80 s at least, so that three cuts have room; nothing that is drawn is thrown away."""


def use(steps, until_s):
    """Energy used until a second, in W s, when it is used at the watts of each step."""
    used = 0
    for seconds, watts in steps:
        here = min(seconds, until_s)
        used, until_s = used + here * watts, until_s - here
    return used


@settings(deadline=None)
@given(
    steps=STEPS,
    cuts=st.lists(st.integers(0, 60), min_size=3, max_size=3, unique=True).map(sorted),
    every=st.integers(1, 20),
    step_ws=st.integers(1, 4_000),
    room=st.none() | st.integers(3, 50_000),
)
def test_the_truth_is_within_the_bounds_of_a_register(steps, cuts, every, step_ws, room):
    """Read every so many seconds, in steps of so many watt seconds, with and without rollovers."""
    end_s = sum(seconds for seconds, _ in steps)
    a, b, c = (cut * (end_s // every * every) // 60 for cut in cuts)
    # No more than one rollover between two readings, nor half of one.
    most = every * max(watts for _, watts in steps)
    modulus = None if room is None else 2 * most // step_ws + room
    readings = []
    for s in range(0, end_s + 1, every):
        counts = use(steps, s) // step_ws
        readings.append((s, (counts % modulus if modulus else counts) * BILLION))
    rollover = {} if modulus is None else {"modulus": Fraction(modulus)}
    found = course(readings, meter(unit="J", scale=Fraction(step_ws), **rollover))
    truth_nj = [
        (use(steps, until) - use(steps, since)) * BILLION for since, until in ((a, b), (b, c))
    ]
    parts = [amount(found, a, b), amount(found, b, c)]
    for part, truth in zip(parts, truth_nj, strict=True):
        assert part.low <= truth <= part.high
    assert amount(found, a, c).value == parts[0].value + parts[1].value


@settings(deadline=None)
@given(
    readings=st.lists(
        st.tuples(st.integers(5, 30), st.integers(-50, 5_000)), min_size=3, max_size=10
    ),
    cuts=st.lists(st.integers(0, 10), min_size=2, max_size=2, unique=True).map(sorted),
)
def test_the_integral_of_a_momentary_value_is_that_of_straight_lines(readings, cuts):
    at, points = 0, []
    for step, watts in readings:
        at += step
        points.append((at, watts))
    a, b = (points[0][0] + cut * (at - points[0][0]) // 10 for cut in cuts)
    found = course(
        [(s, watts * BILLION) for s, watts in points],
        meter("power", "W", interval_us=30 * S),
    )
    whole = least = most = Fraction(0)
    for (s0, p0), (s1, p1) in pairwise(points):
        begin, end = max(s0, a), min(s1, b)
        if begin < end:
            at_begin, at_end = (p0 + Fraction((p1 - p0) * (s - s0), s1 - s0) for s in (begin, end))
            whole += (at_begin + at_end) / 2 * (end - begin)
            least += min(p0, p1) * (end - begin)
            most += max(p0, p1) * (end - begin)
    part = amount(found, a, b)
    assert abs(part.value - whole * BILLION) <= 1
    step_ws = b - a  # one watt of resolution for as long
    assert part.low == math.floor((least - step_ws) * BILLION)
    assert part.high == math.ceil((most + step_ws) * BILLION)


def test_a_momentary_value_is_not_known_across_a_gap():
    found = course([(0, 5), (10, 5), (41, 5), (50, 5)], meter("power", "W", interval_us=10 * S))
    assert found.known == [(T0, T0 + 10 * S), (T0 + 41 * S, T0 + 50 * S)]
    assert found.doubts == [((T0 + 10 * S, T0 + 41 * S), "gap")]


def test_a_register_bridges_a_gap_and_its_bounds_say_so():
    found = course(
        [(0, 0), (10, BILLION), (3010, 4 * BILLION)], meter(resolution=Fraction(1, 1000))
    )
    assert found.known == [(T0, T0 + 3010 * S)]
    wh = 3_600 * BILLION
    half = amount(found, 10, 1510)
    assert half.value == 1.5 * wh
    assert (half.low, half.high) == (0, 3.001 * wh)
    assert amount(found, 0, 3010).low == 3.999 * wh


def test_a_fall_is_added_to_nothing():
    found = course([(0, 7), (10, 9), (20, 2), (30, 4)], meter())
    assert [span for span, _ in found.doubts] == [(T0 + 10 * S, T0 + 20 * S)]
    assert found.known == [(T0, T0 + 10 * S), (T0 + 20 * S, T0 + 30 * S)]


def test_a_meter_that_was_replaced_goes_on_where_both_registers_are_declared():
    change = T0 + 15 * S
    old = meter(span=(FIRST_US, change), last=Fraction(12))
    new = meter(span=(change, END_US), first=Fraction(100))
    readings = [(0, 5), (10, 11), (20, 103), (30, 104)]
    counts = [(s, value * BILLION) for s, value in readings]
    found = course(counts, old, new)
    wh = 3_600 * BILLION
    assert amount(found, 0, 30).value == (6 + 1 + 3 + 1) * wh
    unknown = course(counts, meter(span=(FIRST_US, change)), meter(span=(change, END_US)))
    assert unknown.doubts == [((T0 + 10 * S, T0 + 20 * S), "replaced")]


def test_a_meter_without_an_accuracy_has_no_bounds():
    found = course([(0, 0), (10, BILLION)], meter(percent=None))
    assert amount(found, 0, 10) == (3_600 * BILLION, None, None)


def test_a_rollover_that_is_declared_and_does_not_happen_changes_nothing():
    readings = [(s, s * BILLION) for s in range(0, 100, 10)]
    plain = amount(course(readings, meter(percent=Fraction(1))), 5, 85)
    limits = {"modulus": Fraction(10**6), "max_per_h": Fraction(10**6)}
    assert amount(course(readings, meter(percent=Fraction(1), **limits)), 5, 85) == plain
