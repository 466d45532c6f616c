"""Energy of ledger rows divided among slots: nothing is lost, and it lies as the samples do."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lakes import HOUR_US, T0, S
from tokenergy_sql.standing.booked import SPLIT, Booked
from tokenergy_sql.standing.grid import STEP_US, grid_of
from tokenergy_sql.standing.shape import Segments, board_loads

EDGE = st.integers(0, 3600)
BOARD = st.lists(EDGE, min_size=2, max_size=12, unique=True).map(sorted)


@settings(deadline=None, max_examples=150)
@given(
    boards=st.lists(BOARD, min_size=1, max_size=3),
    cuts=st.lists(st.integers(1, HOUR_US - 1), max_size=3),
    seed=st.integers(0, 10**6),
)
def test_the_slots_of_a_row_add_up_to_it(
    boards: list[list[int]], cuts: list[int], seed: int
) -> None:
    """Rows and segments of any lengths, energies and gaps, against sums in plain Python."""
    chance = np.random.default_rng(seed)
    grid = grid_of(T0, [T0 + cut for cut in cuts])
    rows = [(b, s, e) for b, edges in enumerate(boards) for s, e in itertools.pairwise(edges)]
    parts = [
        (b, s + (e - s) * i / 2, s + (e - s) * (i + 1) / 2) for b, s, e in rows for i in range(2)
    ]
    part = np.array(parts)
    energy = chance.integers(0, 10**13, len(parts)) * chance.integers(0, 2, len(parts))
    starts, ends = (np.rint(part[:, at] * S).astype(np.int64) + T0 for at in (1, 2))
    segments = Segments(part[:, 0].astype(np.int64), starts, ends, ends - starts, energy)
    values = {
        "start_us": np.array([T0 + s * S for _, s, _ in rows]),
        "end_us": np.array([T0 + e * S for _, _, e in rows]),
        **{name: chance.integers(0, 10**14, len(rows)) for name in SPLIT},
    }
    count = [sum(b == board for b, *_ in rows) for board in range(len(boards))]
    booked = Booked(
        [("n", str(b)) for b in range(len(boards))],
        np.cumsum([0, *count]),
        values,
        chance.integers(0, 2, len(rows)) > 0,
        np.ones(len(rows), bool),
    )
    found = board_loads(booked, [*range(len(boards))], segments, grid)
    for name in SPLIT:
        assert found.split[name].min() >= 0
        for board in range(len(boards)):
            whole = sum(int(v) for v, (b, *_) in zip(values[name], rows, strict=True) if b == board)
            assert found.split[name][board].sum() == whole
    assert (found.sampled_us <= grid.length).all()
    assert found.sampled_us.sum() == sum(int(e - s) * S for _, s, e in rows)


def test_energy_lies_where_the_samples_have_it_and_evenly_where_they_have_none() -> None:
    grid = grid_of(T0)
    # 30 s of a row: all of the samples' energy is in the last 10 s.
    segments = Segments(
        np.zeros(3, np.int64),
        T0 + np.arange(3) * 10 * S,
        T0 + np.arange(1, 4) * 10 * S,
        np.full(3, 10 * S),
        np.array([0, 0, 500]),
    )
    start = np.array([T0, T0 + 30 * S, T0 + 60 * S])
    values = {"start_us": start, "end_us": start + 30 * S}
    values |= {name: np.array([900, 900, 900]) for name in SPLIT}
    yes = np.array([True, False, True])
    booked = Booked([("n", "g")], np.array([0, 3]), values, yes, np.ones(3, bool))
    found = board_loads(booked, [0], segments, grid)
    assert found.split["energy_nj"][0, :9].tolist() == [0, 0, 900, 300, 300, 300, 300, 300, 300]
    assert found.split["device_us"][0, :9].tolist() == [300] * 9
    # A row whose shape no sample tells has no power.
    assert found.shaped_nj[0, :9].tolist() == [0, 0, 900, 0, 0, 0, 300, 300, 300]
    assert found.sampled_us[0, :4].tolist() == [10 * S, 10 * S, 10 * S, 0]
    assert STEP_US == 10 * S
