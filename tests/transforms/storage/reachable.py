"""An exact second solution of the battery problem, in plain Python from its definition.

For a store of energy W that starts at s0, the states (grid power g, charge s) that can be reached
after each cell are a convex polygon. A cell moves every point (g, s) to (g, s + (g - P) step) and
cuts off what leaves 0 <= s <= W; the next g may differ by R step, within floor and cap. The store
suffices if the last polygon touches s = s0. The least W for one s0 is found by bisection, and is
convex in s0, so a golden section finds the best s0.
"""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]
_GOLDEN = 0.6180339887498949


def least_energy(
    load: Sequence[float], step: float, ramp: float, cap: float, floor: float, within: float = 1e-6
) -> float:
    """Return the least W, to a relative error of about `within`."""
    most = sum(abs(p) for p in load) * step + max(map(abs, load)) * step

    def least(s0: float) -> float:
        low, high = s0, s0 + most
        if suffices(load, step, ramp, cap, floor, low, s0):
            return low
        while high - low > within * high:
            middle = (low + high) / 2
            if suffices(load, step, ramp, cap, floor, middle, s0):
                high = middle
            else:
                low = middle
        return high

    a, b = 0.0, most
    c, d = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
    at_c, at_d = least(c), least(d)
    best = min(at_c, at_d)
    while b - a > within * best:
        if at_c <= at_d:
            b, d, at_d = d, c, at_c
            c = b - _GOLDEN * (b - a)
            at_c = least(c)
        else:
            a, c, at_c = c, d, at_d
            d = a + _GOLDEN * (b - a)
            at_d = least(d)
        best = min(best, at_c, at_d)
    return best


def suffices(
    load: Sequence[float],
    step: float,
    ramp: float,
    cap: float,
    floor: float,
    energy: float,
    s0: float,
) -> bool:
    """Return whether a store suffices."""
    shape: list[Point] = [(floor, s0), (cap, s0)]
    for place, power in enumerate(load):
        if place:
            shape = _hull([(g + d, s) for g, s in shape for d in (-ramp * step, ramp * step)])
            shape = _cut(_cut(shape, 0, 1.0, cap), 0, -1.0, -floor)
        shape = [(g, s + (g - power) * step) for g, s in shape]
        shape = _cut(_cut(shape, 1, 1.0, energy), 1, -1.0, 0.0)
        if not shape:
            return False
    return min(s for _, s in shape) <= s0 <= max(s for _, s in shape)


def _cut(shape: list[Point], axis: int, sign: float, bound: float) -> list[Point]:
    """Keep the part of a polygon with sign x coordinate <= bound."""
    kept: list[Point] = []
    for place, point in enumerate(shape):
        before = shape[place - 1]
        over, over_before = sign * point[axis] - bound, sign * before[axis] - bound
        if (over > 0) != (over_before > 0):
            t = over_before / (over_before - over)
            kept.append(tuple(a + t * (b - a) for a, b in zip(before, point, strict=True)))  # type: ignore[arg-type]
        if over <= 0:
            kept.append(point)
    return kept


def _hull(points: list[Point]) -> list[Point]:
    points = sorted(set(points))
    if len(points) < 3:
        return points

    def half(ordered: Sequence[Point]) -> list[Point]:
        found: list[Point] = []
        for g, s in ordered:
            while len(found) > 1:
                (a, b), (c, d) = found[-2], found[-1]
                if (c - a) * (s - b) - (d - b) * (g - a) > 0:
                    break
                found.pop()
            found.append((g, s))
        return found

    return half(points)[:-1] + half(points[::-1])[:-1]
