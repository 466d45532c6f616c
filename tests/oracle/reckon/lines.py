"""What the counter's line leaves open at an edge that no reading of the counter divides.

Rules: docs/ledger.md, "Between readings of a counter".
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from tests.oracle.reckon.blocks import Booked
from tests.oracle.reckon.devices import Facts
from tests.oracle.reckon.segments import HOUR_US, Segment

RARE_US = 1_000_000


def open_left_of(i: int, found: Booked, facts: Facts) -> Fraction:
    """Return what is open where segment i ends: where the samples end that precede its end."""
    at = _sampled(i, -1, found.segments)
    return Fraction(0) if at is None else _open(at, True, found, facts)


def open_right_of(i: int, found: Booked, facts: Facts) -> Fraction:
    """Return what is open where segment i starts: where the samples begin that follow its start."""
    at = _sampled(i, 1, found.segments)
    return Fraction(0) if at is None else _open(at, False, found, facts)


def _sampled(i: int, step: int, segments: list[Segment]) -> int | None:
    while segments[i].known == "counter":
        near = _neighbour(i, step, segments)
        if near is None:
            return None
        i += step
    return i if segments[i].known == "both" else None


def _neighbour(i: int, step: int, segments: list[Segment]) -> Segment | None:
    """Return the segment beside one, if they touch."""
    if not 0 <= i + step < len(segments):
        return None
    left, right = sorted((segments[i], segments[i + step]), key=lambda s: s.start)
    return segments[i + step] if left.end == right.start else None


def _open(i: int, whole: bool, found: Booked, facts: Facts) -> Fraction:
    """Return what is open at the end of segment i of a block (`whole`), or at its start."""
    segments, block = found.segments, found.blocks[i]
    members = block.members
    passed = [m for m in members if m < i or (whole and m == i)]
    off = [segments[m].off_us or 0 for m in members]
    first = _neighbour(members[0], -1, segments)
    if not passed and (first is None or first.counter_nj is None) and max(off) <= RARE_US:
        return Fraction(0)
    silences = Fraction(0)
    for a, b in pairwise(members):
        if b > a + 1:
            silences += _off_after(a, found, facts) + _off_before(b, found, facts)
    x = Fraction(sum(segments[m].energy_nj for m in passed), block.integral_nj)
    begin, end = _off_before(members[0], found, facts), _off_after(members[-1], found, facts)
    return (1 - x) * begin + x * end + silences


def _off_after(i: int, found: Booked, facts: Facts) -> Fraction:
    s = found.segments[i]
    return _off(s.end, s.off_us or 0, [s, _neighbour(i, 1, found.segments)], found, facts)


def _off_before(i: int, found: Booked, facts: Facts) -> Fraction:
    s, left = found.segments[i], _neighbour(i, -1, found.segments)
    if left is None or left.counter_nj is None:
        left, away = None, (s.off_us or 0) + s.length_us
    else:
        away = left.off_us or 0
    return _off(s.start, away, [left, s], found, facts)


def _off(at: int, away: int, beside: list[Segment | None], found: Booked, facts: Facts) -> Fraction:
    """Return the time to the nearest reading x the largest power that may be there."""
    top = Fraction(105 * facts.limit_mw // 100)  # 105 % counts in whole milliwatts
    read = [s.most_mw for s in found.segments if s.most_mw is not None]
    powers = [Fraction(105 * max(read) // 100) if read else top]
    hour = at // HOUR_US * HOUR_US if at % HOUR_US else found.segments[0].start // HOUR_US * HOUR_US
    if away >= min(at - hour, hour + HOUR_US - at):
        powers.append(top)
    lines = [s for s in beside if s is not None and s.counter_nj is not None]
    powers += [Fraction(s.counter_nj or 0, s.length_us) for s in lines]
    return away * max(powers)
