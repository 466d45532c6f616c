"""Scores: what a job's figures claim is compared with the truth, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_sql.demo.score import score


def test_a_ratio_that_is_not_claimed_cannot_be_wrong(tmp_path: Path) -> None:
    """The counter tells the energy; power is known at no time, so there is no energy per token."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    stamps = range(T0, T0 + 61 * S, S)
    builder.power("A", [], counters={t: (t - T0) * 300 // 1000 for t in stamps})
    builder.job("j", "A", T0, T0 + 60 * S)
    builder.tokens("j", [(T0 + 10 * S * n, 100 * n) for n in range(7)])
    truth = tmp_path / "truth.json"
    rows = [
        {
            "row": "allocation", "job_id": "j", "energy_nj": 300 * 60 * 10**9,
            "start_us": T0, "end_us": T0 + 60 * S,
        },
        {"row": "tokens", "job_id": "j", "generated": 600},
    ]  # fmt: skip
    truth.write_text(json.dumps({"rows": rows}))
    (found,) = score(builder.build(), [truth])
    assert found.te_low is None
    assert found.passed
