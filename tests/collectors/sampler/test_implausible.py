"""Power that no board can draw: refused, and reported once an hour."""

from __future__ import annotations

from tokenergy_collectors.sampler.implausible import PlausiblePower

S = 1_000_000


def test_what_no_board_draws_is_refused_and_reported_once_an_hour() -> None:
    events: list[tuple[str, str]] = []
    power = PlausiblePower(lambda kind, detail: events.append((kind, detail)))
    limits = (100_000, 320_000)  # set low now, but it can be raised
    assert not power.refuses(0, None, *limits)
    assert not power.refuses(0, 480_000, *limits)
    assert power.refuses(S, 480_001, *limits)
    assert power.refuses(2 * S, 3_704_110, *limits)
    assert events == [("implausible_power", "the board shows 480.001 W; 480 W is believed")]
    assert power.refuses(3_601 * S, 3_704_110, *limits)
    assert len(events) == 2


def test_without_a_limit_only_the_impossible_is_refused() -> None:
    power = PlausiblePower(lambda _kind, _detail: None)
    assert not power.refuses(0, 3_999_999, None, None)
    assert power.refuses(0, 4_000_001, None, None)
    assert power.refuses(0, 4_000_001, 2**31 - 1, 0)
