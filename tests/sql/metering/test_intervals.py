"""Sets of time against sets of whole microseconds."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tokenergy_sql.metering.intervals import common, joined, length

PARTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6).map(joined)


def moments(parts):
    return {us for from_us, until_us in parts for us in range(from_us, until_us)}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8))
def test_joined_intervals_are_the_same_time_in_order(parts):
    found = joined(parts)
    assert moments(found) == moments(parts)
    assert all(a[1] < b[0] for a, b in pairwise(found))


@given(PARTS, PARTS)
def test_common_time_and_length_are_those_of_sets(one, other):
    assert moments(common(one, other)) == moments(one) & moments(other)
    assert length(one) == len(moments(one))
