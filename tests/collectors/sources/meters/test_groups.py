"""A group that is refused is read in parts, and no point twice or not at all."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.sources.meters.groups import Groups, RefusedError
from tokenergy_collectors.sources.meters.reader import AwayError, Outcome


class Number(NamedTuple):
    meter: str
    place: str


def numbers(count):
    return [Number(str(at), str(at)) for at in range(count)]


def read(groups):
    found = []
    groups.read(found)
    return [(one.point.meter, one.why) for one in found]


@given(st.integers(1, 40), st.sets(st.integers(0, 39)), st.integers(1, 40))
def test_each_point_has_one_outcome(count, bad, most):
    asked = []

    def ask(group):
        asked.append(len(group))
        if len(group) > most:
            raise RefusedError("too many")
        if {int(one.meter) for one in group} & bad:
            raise RefusedError("bad")
        return [Outcome(one, 0, None, "read") for one in group]

    points = numbers(count)
    groups = Groups([points[:7], points[7:]] if count > 7 else [points], ask, lambda: 0)
    expected = [(one.meter, "bad" if int(one.meter) in bad else "read") for one in points]
    assert read(groups) == expected
    asked.clear()
    assert read(groups) == expected
    assert sum(asked) == count  # nothing is asked again in the same way


def test_a_device_that_refuses_everything_is_asked_once():
    asked = []

    def ask(group):
        asked.append(len(group))
        raise RefusedError("busy", of_the_device=True)

    assert read(Groups([numbers(5)], ask, lambda: 0)) == [(str(at), "busy") for at in range(5)]
    assert asked == [5]


def test_parts_are_kept_for_an_hour():
    now_us, asked = [0], []

    def ask(group):
        asked.append(len(group))
        if len(group) > 2:
            raise RefusedError("too many")
        return [Outcome(one, 0, None, "") for one in group]

    groups = Groups([numbers(4)], ask, lambda: now_us[0])
    for at_us, expected in ((0, [4, 2, 2]), (3_599_999_999, [2, 2]), (3_600_000_000, [4, 2, 2])):
        now_us[0] = at_us
        asked.clear()
        read(groups)
        assert asked == expected
    asked.clear()
    groups.forget()
    read(groups)
    assert asked == [4, 2, 2]


def test_what_was_read_before_nobody_answered_counts():
    def ask(group):
        if group[0].meter == "2":
            raise AwayError("gone", connected=True)
        return [Outcome(one, 0, None, "read") for one in group]

    points, found = numbers(4), []
    with pytest.raises(AwayError):
        Groups([points[:2], points[2:]], ask, lambda: 0).read(found)
    assert [one.point.meter for one in found] == ["0", "1"]
