"""A counter that loses energy when it is read fast: read as we do it is exact, else it is not."""

from __future__ import annotations

from pathlib import Path

import pynvml
import pytest

from tests.support.emulated import Walk, small_profile
from tests.support.faults import Outcome
from tokenergy_collectors.emulate.profile.profile import Profile

S = 1_000_000
FAULT = {
    "kind": "undercount",
    "node": "n1",
    "devices": [0, 1, 2, 3],
    "at_s": 0,
    "for_s": 300,
    "faster_than_s": 0.99,
    "share": 0.5,
}


def as_toml(fault: dict[str, object]) -> str:
    lines = (f'{k} = "{v}"' if isinstance(v, str) else f"{k} = {v}" for k, v in fault.items())
    return "[[faults]]\n" + "\n".join(lines) + "\n"


def test_our_readings_lose_nothing(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path, as_toml(FAULT))
    outcome.assert_sound()
    for job in outcome.jobs.values():
        assert abs(job.error or 1) < 1e-6
    assert outcome.events("counter_reset", "stale", "counter_lost") == []


@pytest.mark.parametrize(("period_us", "lost"), [(S // 10, 0.5), (S, 0.0)])
def test_a_naive_fast_reader_loses_half(period_us: int, lost: float) -> None:
    profile = small_profile()
    values = profile.model_dump() | {"faults": [FAULT | {"for_s": 60}]}
    walk = Walk(Profile.model_validate(values))
    with walk.node:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        board = walk.node.boards[0]
        before_mj = board.energy_mj(0)
        first = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        for at_us in range(period_us, 30 * S + 1, period_us):
            walk.to(at_us)
            last = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        true_mj = board.energy_mj(30 * S) - before_mj
        pynvml.nvmlShutdown()
    assert last - first == pytest.approx((1 - lost) * true_mj, rel=1e-3)
