"""The power before a segment is that at the end of the last one with readings on its board."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_sql.index.bookedrows import before_mw

SEGMENTS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 900)), max_size=8)
"""Of each segment whether it has readings, and the power at its end."""


@given(st.lists(SEGMENTS, max_size=5))
def test_power_before_each_segment(boards: list[list[tuple[int, int]]]) -> None:
    expected = []
    for board in boards:
        last = -1
        for covered, end in board:
            expected.append(last)
            last = end if covered else last
    flat = [segment for board in boards for segment in board]
    hour: Any = SimpleNamespace(
        offsets=np.cumsum([0, *map(len, boards)]),
        covered_us=np.array([covered for covered, _ in flat], np.int64),
        end_mw=np.array([end for _, end in flat], np.int32),
    )
    found = before_mw(hour)
    assert found.dtype == np.int32
    assert found.tolist() == expected
