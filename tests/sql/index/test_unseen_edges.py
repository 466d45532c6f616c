"""Bounds at the edges of jobs on boards whose sensor looks at a quarter of the time.

Power hides from the sensor as well as it can, or shows itself all it can, and meters are exact, so
that no class of theirs covers for what edges leave open.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.lakes import T0, LakeBuilder
from tests.support.ledger import ask, assert_checks_pass
from tokenergy_sql.index.calibration import Row
from tokenergy_sql.index.site import Site

MS = 1_000
PERIOD_MS, WINDOW_MS, END_MS = 100, 25, 8_000
IDLE_MW, LIMIT_MW = 100_000, 700_000
BOARD = "NVIDIA H100 80GB HBM3"
EXACT = Site(None, None, {}, (Row("board", BOARD, "sensor", 0, 0, 0, 0, 0, 0),))

Load = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""Millisecond of the sensor's period, whether the job runs, chance -> whether power is high."""

LOADS: dict[str, Load] = {
    "level": lambda at, on, rng: on,
    "seen": lambda at, on, rng: on & (at >= PERIOD_MS - WINDOW_MS),
    "seen, but for the last window": lambda at, on, rng: (
        np.roll(np.logical_or.accumulate(on[::-1])[::-1], -WINDOW_MS)
        & (at >= PERIOD_MS - WINDOW_MS)
    ),
    "unseen": lambda at, on, rng: on & (at < PERIOD_MS - WINDOW_MS),
    "before and after": lambda at, on, rng: ~on,
    "seen before and after, unseen within": lambda at, on, rng: on ^ (at >= PERIOD_MS - WINDOW_MS),
    "unseen before and after, seen within": lambda at, on, rng: on ^ (at < PERIOD_MS - WINDOW_MS),
    "always unseen": lambda at, on, rng: at < PERIOD_MS - WINDOW_MS,
    "any": lambda at, on, rng: np.repeat(rng.random(len(at) // 5) < 0.5, 5),
    "any window": lambda at, on, rng: np.repeat(rng.random(len(at) // 25) < 0.5, 25),
}


def energy_nj(power_mw: np.ndarray, at_us: np.ndarray) -> np.ndarray:
    """Energy since T0 at some stamps, of a power that is given by the millisecond."""
    whole = np.concatenate([[0], np.cumsum(power_mw * MS)])
    place, rest = np.divmod(at_us - T0, MS)
    return whole[place] + np.append(power_mw, 0)[place] * rest


@pytest.mark.parametrize("spacing_ms", [20, 130])
@pytest.mark.parametrize("load", LOADS)
def test_the_truth_lies_in_the_bounds_wherever_power_hides(
    tmp_path: Path, load: str, spacing_ms: int
) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    rng = np.random.default_rng([list(LOADS).index(load), spacing_ms])
    true_nj: dict[str, int] = {}
    for board in range(40):
        device = f"board {board:02}"
        start_ms = 2_000 + board * 5 % PERIOD_MS
        length_ms = int(rng.integers(150, 2_500)) if board % 3 else PERIOD_MS * (5 + board % 10)
        ms = np.arange(END_MS)
        windows_end = (start_ms, start_ms + length_ms, int(rng.integers(PERIOD_MS)))
        phase_ms = windows_end[board % 3] % PERIOD_MS
        at = (ms - phase_ms) % PERIOD_MS
        on = (ms >= start_ms) & (ms < start_ms + length_ms)
        high = LOADS[load](at, on, rng) & (ms > 500)
        power_mw = np.where(high, LIMIT_MW, IDLE_MW)
        edges_us = T0 + MS * np.array([start_ms, start_ms + length_ms])
        first_us = T0 + 300 * MS + int(rng.integers(spacing_ms * MS))
        stamps = np.arange(first_us, T0 + (END_MS - 200) * MS, spacing_ms * MS)
        if board % 2:  # as the collector does it
            stamps = np.unique(np.concatenate([stamps, edges_us]))
        shown_us = stamps - (stamps - T0 - phase_ms * MS) % (PERIOD_MS * MS)
        begun_us = shown_us - WINDOW_MS * MS
        readings = energy_nj(power_mw, shown_us) - energy_nj(power_mw, begun_us)
        builder.device(
            device,
            name=BOARD,
            limit_mw=LIMIT_MW,
            sensor_kind="instant",
            learned_us=PERIOD_MS * MS,
            update_us=spacing_ms * MS,
        )
        watts = (readings // (WINDOW_MS * MS)).tolist()
        builder.power(device, list(zip(stamps.tolist(), watts, strict=True)))
        builder.job(f"job {board:02}", device, *edges_us.tolist())
        begin_nj, end_nj = energy_nj(power_mw, edges_us).tolist()
        true_nj[f"job {board:02}"] = end_nj - begin_nj
    lake = builder.build(EXACT)
    assert_checks_pass(lake)
    bounds = {
        row["job_id"]: (row["e_gpu_low_nj"], row["e_gpu_high_nj"])
        for row in ask(lake, "SELECT job_id, e_gpu_low_nj, e_gpu_high_nj FROM job_index")
    }
    outside = {
        job: (float(low), nj, float(high))
        for job, nj in true_nj.items()
        for low, high in [bounds[job]]
        if not low <= nj <= high
    }
    assert not outside
