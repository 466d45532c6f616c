"""Which members of a family of tests run in `make test`, and which in `make test-long` alone.

A family tries one rule on many drawn histories or on every pair of two lists. `make test` takes as
many as are needed to meet every value once; the others have the mark `long`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest


def seeds(count: int, always: int = 1) -> list[Any]:
    """Return the seeds 0 to `count` - 1; those from `always` on are long."""
    return [pytest.param(seed, marks=_long(seed >= always)) for seed in range(count)]


def pairs(*axes: Sequence[Any], always: int | None = None) -> list[Any]:
    """Return every combination of one value of each axis; all are long but a diagonal.

    Args:
        axes: the values.
        always: length of the diagonal; None: that of the longest axis, so that every value of each
            axis is met.
    """
    lengths = [len(axis) for axis in axes]
    diagonal = {tuple(n % length for length in lengths) for n in range(always or max(lengths))}
    return [
        pytest.param(
            *(axis[at] for axis, at in zip(axes, places, strict=True)),
            marks=_long(places not in diagonal),
        )
        for places in itertools.product(*(range(length) for length in lengths))
    ]


def _long(yes: bool) -> Sequence[pytest.MarkDecorator]:
    return [pytest.mark.long] if yes else []
