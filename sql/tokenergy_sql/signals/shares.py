"""Shares a whole among parts in proportion to weights, so that the parts add up to it exactly."""

from __future__ import annotations

from collections.abc import Sequence


def shared(whole: int, weights: Sequence[int], otherwise: Sequence[int]) -> list[int]:
    """Return the parts of a whole: whole x (weights up to i) // weights, less the same up to i - 1.

    Args:
        whole: at least 0.
        weights: of the parts, at least 0.
        otherwise: weights that count where the first are all 0, such as lengths of time.
    """
    if not any(weights):
        weights = otherwise
    total, so_far, before = sum(weights), 0, 0
    found = []
    for weight in weights:
        so_far += weight
        now = whole * so_far // total if total else 0
        found.append(now - before)
        before = now
    return found


def overlap(from_us: int, until_us: int, other_from_us: int, other_until_us: int) -> int:
    """Return how long two intervals share, microseconds."""
    return max(0, min(until_us, other_until_us) - max(from_us, other_from_us))
