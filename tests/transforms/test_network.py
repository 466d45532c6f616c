"""Sorting networks sort: what sorts all patterns of zeros and ones sorts anything (Knuth 5.3.4)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from tokenergy_transforms.cpu.network import LANES, sort_columns, sort_tall, sort_twelve


@pytest.mark.parametrize(
    ("rows", "sort"),
    [
        (12, sort_twelve),
        (16, sort_columns),
        *((rows, partial(sort_tall, used=rows)) for rows in (1, 2, 5, 12, 16)),
    ],
)
def test_all_patterns_of_zeros_and_ones(rows: int, sort: Callable[[np.ndarray], None]) -> None:
    patterns = (np.arange(2**rows)[:, None] >> np.arange(rows)) & 1
    lacking = -len(patterns) % LANES
    patterns = np.vstack([patterns, np.zeros((lacking, rows), patterns.dtype)])
    for tile in patterns.astype(np.int32).reshape(-1, LANES, rows):
        flat = np.ascontiguousarray(tile.T).reshape(-1)
        sort(flat)
        found = flat.reshape(rows, LANES).T
        assert (found == np.sort(tile, axis=1)).all()


def test_tall_tiles_of_any_height() -> None:
    rng = np.random.default_rng(0)
    for rows in range(1, 131):
        tile = rng.integers(-(2**31), 2**31, (rows + 3, LANES), np.int32)
        flat = tile.reshape(-1).copy()
        sort_tall(flat, rows)
        found = flat.reshape(rows + 3, LANES)
        assert (found[:rows] == np.sort(tile[:rows], axis=0)).all()
        assert (found[rows:] == tile[rows:]).all()
