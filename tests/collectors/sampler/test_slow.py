"""Slow boards rest; edges are known beforehand."""

from tokenergy_collectors.base.edges import Edges
from tokenergy_collectors.sampler.slow import SlowCalls

S = 1_000_000


def test_quick_calls_change_nothing():
    events = []
    pace = SlowCalls(lambda *event: events.append(event))
    for at_us in range(0, 10 * S, S // 10):
        pace.took(at_us, at_us + 99_999)
        assert not pace.rests(at_us + 99_999)
    assert (events, pace.call_us) == ([], 0)


def test_a_slow_board_rests_three_calls_and_at_most_a_second():
    events = []
    pace = SlowCalls(lambda *event: events.append(event))
    pace.took(0, 200_000)
    assert pace.rests(799_999)
    assert not pace.rests(800_000)
    pace.took(S, 3 * S)
    assert pace.call_us == 2 * S
    assert pace.rests(3_999_999)
    assert not pace.rests(4 * S)
    assert events == [("slow", "a call took 0.200 s")]


def test_it_is_over_when_calls_were_quick_for_5_seconds():
    events = []
    pace = SlowCalls(lambda *event: events.append(event))
    pace.took(0, S)
    pace.took(3 * S, 3 * S + 1)
    pace.took(4 * S, 5 * S)
    pace.took(9 * S, 9 * S + 1)
    assert pace.call_us == S
    pace.took(10 * S, 10 * S + 1)
    assert pace.call_us == 0
    assert [kind for kind, _ in events] == ["slow", "slow_over"]


def test_the_next_edge_is_the_first_after_now():
    edges = Edges()
    assert edges.next_us(0) is None
    for at_us in (50, 20, 20, 30):
        edges.add(at_us)
    assert [edges.next_us(now_us) for now_us in (0, 19, 20, 29, 30, 49, 50)] == [
        20, 20, 30, 30, 50, 50, None,
    ]  # fmt: skip
