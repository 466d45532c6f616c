"""Bounds at the edges of jobs on boards whose sensor looks at a quarter of the time.

Power hides from the sensor as well as it can, or shows itself all it can, and meters are exact, so
that no class of theirs covers for what edges leave open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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


SPACINGS_MS = (20, 130)
BOARDS = 40
"""Of each load and spacing."""


@dataclass
class Told:
    """Rows of a node's boards, and the true energy of each one's job."""

    device: list[dict[str, Any]] = field(default_factory=list)
    power: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    true_nj: dict[str, int] = field(default_factory=dict)


def node_of(load: str, spacing_ms: int) -> str:
    return f"n{list(LOADS).index(load)}-{spacing_ms}"


def tell(told: Told, board: int, load: str, spacing_ms: int, rng: np.random.Generator) -> None:
    """Add one board and its job."""
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
    readings_nj = energy_nj(power_mw, shown_us) - energy_nj(power_mw, begun_us)
    mw = (readings_nj // (WINDOW_MS * MS)).tolist()
    node = node_of(load, spacing_ms)
    device, job = f"{node} board {board:02}", f"{node} job {board:02}"
    about = {"name": BOARD, "limit_mw": LIMIT_MW, "sensor_kind": "instant", "emulated": True}
    periods = {"learned_us": PERIOD_MS * MS, "update_us": spacing_ms * MS}
    place = {"device_id": device, "node": node}
    told.device.append({"ts_us": T0, "index": board, **place, **about, **periods})
    told.power += [
        {"ts_us": ts, "device_id": device, "power_mw": one, "sensor": "instant", "epoch": 0}
        for ts, one in zip(stamps.tolist(), mw, strict=True)
    ]
    start_us, end_us = edges_us.tolist()
    held = {"start_us": start_us, "end_us": end_us, "share_ppm": 1_000_000}
    told.jobs.append({"job_id": job, **place, **held, "method": "declared", "recorded_us": T0})
    begin_nj, end_nj = energy_nj(power_mw, edges_us).tolist()
    told.true_nj[job] = end_nj - begin_nj


Bounds = dict[str, tuple[int, float, float]]
"""The true energy of each job and its bounds."""


@pytest.fixture(scope="module")
def bounds(tmp_path_factory: pytest.TempPathFactory) -> Bounds:
    """All boards in one lake, a node for each load and spacing."""
    builder = LakeBuilder(tmp_path_factory.mktemp("unseen") / "lake")
    true_nj: dict[str, int] = {}
    for spacing_ms in SPACINGS_MS:
        for number, load in enumerate(LOADS):
            rng, told = np.random.default_rng([number, spacing_ms]), Told()
            for board in range(BOARDS):
                tell(told, board, load, spacing_ms, rng)
            node = node_of(load, spacing_ms)
            builder.add("device", told.device, node)
            builder.add("power", told.power, node)
            builder.add("jobs", told.jobs, node)
            true_nj |= told.true_nj
    lake = builder.build(EXACT)
    assert_checks_pass(lake)
    return {
        row["job_id"]: (true_nj[row["job_id"]], row["e_gpu_low_nj"], row["e_gpu_high_nj"])
        for row in ask(lake, "SELECT job_id, e_gpu_low_nj, e_gpu_high_nj FROM job_index")
    }


@pytest.mark.parametrize("spacing_ms", SPACINGS_MS)
@pytest.mark.parametrize("load", LOADS)
def test_the_truth_lies_in_the_bounds_wherever_power_hides(
    bounds: Bounds, load: str, spacing_ms: int
) -> None:
    node = node_of(load, spacing_ms)
    own = {job: found for job, found in bounds.items() if job.startswith(f"{node} ")}
    assert len(own) == BOARDS
    assert not {job: (low, nj, high) for job, (nj, low, high) in own.items() if nj < low}
    assert not {job: (low, nj, high) for job, (nj, low, high) in own.items() if nj > high}
