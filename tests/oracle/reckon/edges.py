"""How far a meter lags at a job's edge: what is moved there, and what stays open.

Rules: docs/ledger.md, "How far a meter lags at a job's edge" and "Bounds at an edge".
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tests.oracle.reckon.blocks import NEAR_US, Booked
from tests.oracle.reckon.devices import Facts
from tests.oracle.reckon.lines import open_left_of, open_right_of
from tests.oracle.reckon.segments import HOUR_US, Segment

SECOND_US = 1_000_000


@dataclass(frozen=True)
class Edge:
    """What an edge moves from its right to its left, and how far it widens the bounds beside it."""

    moved_nj: int
    left_below: Fraction
    left_above: Fraction
    right_below: Fraction
    right_above: Fraction


@dataclass(frozen=True)
class _Seen:
    """What the meters show around an edge; see the table of docs/ledger.md for the names."""

    left: Segment | None
    right: Segment | None
    by_counter: bool
    k: Fraction
    off_us: int
    level_mw: int | None
    near_mw: Fraction
    peak_mw: Fraction
    top_mw: Fraction
    idle_mw: int
    since_us: int
    open: Fraction


def edge_at(cut: int, found: Booked, facts: Facts) -> Edge | None:
    """Return what an edge of a job does, if a segment of the hour touches it."""
    ends = {s.end: i for i, s in enumerate(found.segments)}
    starts = {s.start: i for i, s in enumerate(found.segments)}
    left_at, right_at = ends.get(cut), starts.get(cut)
    if left_at is None and right_at is None:
        return None
    edge = _lagging(left_at, right_at, found, facts)
    left = found.segments[left_at] if left_at is not None else None
    if left is not None and left.counter_nj is not None and (left.off_us or 0) <= NEAR_US:
        return edge
    on_left = Fraction(0) if left_at is None else open_left_of(left_at, found, facts)
    on_right = Fraction(0) if right_at is None else open_right_of(right_at, found, facts)
    return Edge(
        edge.moved_nj,
        edge.left_below + on_left,
        edge.left_above + on_left,
        edge.right_below + on_right,
        edge.right_above + on_right,
    )


def _lagging(left_at: int | None, right_at: int | None, found: Booked, facts: Facts) -> Edge:
    """Return what a lagging meter does to an edge."""
    seen = _look(left_at, right_at, found, facts)
    guess = _guess(seen, facts)
    moved = (
        min(guess, found.blocks[right_at].total_nj)
        if right_at is not None and _movable(left_at, right_at, found)
        else 0
    )
    if seen.by_counter or facts.seen == 1:
        least, most = _counter_lag(seen, facts) if seen.by_counter else _sample_lag(seen, facts)
        below, above = moved - least, most - moved
        return Edge(moved, _up(below), _up(above), _up(above), _up(below))
    p, window = facts.seen, facts.window_us or 0
    smear = p * seen.near_mw * facts.spacing_us / 2
    return Edge(
        moved,
        _up(p * moved + smear),
        _up(window * Fraction(5, 100) * facts.limit_mw + smear - p * moved),
        _up(window * (1 + p) * Fraction(105, 100) * seen.near_mw + smear - p * moved),
        _up(window * facts.limit_mw + smear + p * moved),
    )


def _up(amount: Fraction) -> Fraction:
    return max(Fraction(0), Fraction(amount))


def _look(left_at: int | None, right_at: int | None, found: Booked, facts: Facts) -> _Seen:
    left = found.segments[left_at] if left_at is not None else None
    right = found.segments[right_at] if right_at is not None else None
    off_us = (left.off_us if left else None) or 0
    both = "both" in (left.known if left else None, right.known if right else None)
    by_counter = both and off_us <= NEAR_US
    ratios = [found.k[i] for i in (left_at, right_at) if i is not None]
    k = next((ratio for ratio in ratios if ratio is not None), Fraction(1))
    after = right.most_mw if right else None
    before = _recent(left_at, found)
    around = max((mw for mw in (before, after) if mw is not None), default=None)
    before = after if before is None else before
    top = Fraction(105, 100) * facts.limit_mw
    hour = found.segments[0].start // HOUR_US * HOUR_US
    cut = left.end if left else right.start if right else hour
    # Within a second of an edge of the hour: the part of the power that is not known.
    unseen = 1 - Fraction(min(SECOND_US, cut - hour, hour + HOUR_US - cut), SECOND_US)
    blurred = by_counter and (facts.window_us or 0) > (
        facts.counter_us if facts.counter_us is not None else facts.window_us or 0
    )
    peak = top if before is None or blurred else Fraction(105, 100) * before
    peak = max(peak, top * unseen)
    near = max(Fraction(facts.limit_mw if around is None else around), top * unseen)
    readings = [s.least_mw for s in found.segments if s.least_mw is not None]
    return _Seen(
        left, right, by_counter, k, off_us, left.end_mw if left else None,
        near, peak, top, min(readings, default=0), cut - hour, unseen,
    )  # fmt: skip


def _recent(left_at: int | None, found: Booked) -> int | None:
    """Return the largest reading of the segments that end at the edge or up to 1 s before it."""
    if left_at is None:
        return None
    cut = found.segments[left_at].end
    near = [s for s in found.segments[: left_at + 1] if s.end >= cut - SECOND_US]
    return max((s.most_mw for s in near if s.most_mw is not None), default=None)


def _movable(left_at: int | None, right_at: int, found: Booked) -> bool:
    """Say whether the edge divides blocks of which the same is known, and both show energy."""
    if left_at is None or not found.divides[right_at]:
        return False
    left, right = found.segments[left_at], found.segments[right_at]
    if left.known != right.known or left.known not in ("both", "samples"):
        return False
    if found.blocks[left_at].integral_nj <= 0 or found.blocks[right_at].integral_nj <= 0:
        return False
    return left.known == "samples" or (left.off_us is not None and left.off_us <= NEAR_US)


def _guess(seen: _Seen, facts: Facts) -> int:
    if seen.level_mw is None:
        return 0
    if seen.by_counter:
        lag_us = min((facts.counter_us or 0) // 2, seen.since_us)
        return round(seen.level_mw * lag_us * seen.k)
    return seen.level_mw * min(facts.lag_us, seen.since_us)


def _counter_lag(seen: _Seen, facts: Facts) -> tuple[Fraction, Fraction]:
    period = 100_000 if facts.counter_us is None else facts.counter_us
    spread = Fraction(seen.off_us * seen.near_mw)
    peak = min(seen.peak_mw * max(seen.k, Fraction(1)), max(seen.top_mw, seen.peak_mw))
    return -spread, period * peak + spread


def _sample_lag(seen: _Seen, facts: Facts) -> tuple[Fraction, Fraction]:
    level = seen.near_mw if seen.level_mw is None else seen.level_mw
    idle, top = seen.idle_mw, seen.top_mw
    f = Fraction(level - idle) / max(top - idle, Fraction(1))
    f = min(Fraction(1), max(Fraction(0), f))
    smear = seen.near_mw * Fraction(facts.spacing_us, 2)
    renewed = facts.spacing_us if facts.renewed_us is None else facts.renewed_us
    window_least = facts.window_us or 0
    window_most = SECOND_US if facts.window_us is None else facts.window_us
    seen_part = 1 - seen.open
    least = Fraction(window_least, 2) * (top * f * f + idle * (1 - f * f)) * seen_part - smear
    most = Fraction(window_most, 2) * (top * f * (2 - f) + idle * (1 - f) ** 2) * seen_part
    most += Fraction(window_most, 2) * top * seen.open
    return least, most + renewed * seen.peak_mw + smear
