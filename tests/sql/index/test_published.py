"""Published figures, through our units and formulas: their watts, seconds and tokens, our joules.

A lake is built whose boards draw the published power for the published time and whose counters tell
the published tokens; what the index says of it must be the published figure, digit by digit.

Sources: ML.ENERGY Leaderboard v3, lm-arena-chat on H100, `public/data/models/*.json` of
github.com/ml-energy/leaderboard (avg_power_watts, output_throughput_tokens_per_sec,
energy_per_token_joules); InferenceX, measured power of 8 H100 at 8k/1k (joules, mean watts, joules
per query and per token). Both are of GPUs alone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S
from tests.support.ledger import ask, assert_checks_pass

SECONDS = 100
"""How long a rate is held: it cancels."""

ML_ENERGY = {
    "Llama-3.1-8B, 8": (1, 486.4380535594687, 1069.5688508868182, "0.4548"),
    "Llama-3.1-8B, 128": (1, 669.2439022030471, 7036.531577937304, "0.0951"),
    "Llama-3.1-8B, 512": (1, 688.2983232359837, 9805.587745326337, "0.0702"),
    "Llama-3.1-70B, 128": (4, 2183.755339171335, 3876.266556431646, "0.5634"),
    "Llama-3.1-405B FP8, 256": (8, 4874.811811328656, 2363.447101162978, "2.0626"),
}
"""Model and most sequences at once: GPUs, their power (W), output tokens/s, J per output token."""

X_GPUS, X_ENERGY_MJ, X_POWER_MW, X_QUERIES = 8, 204_019_925, 2_533_624, 40
X_TOKENS = 330_855
"""Prompt and output: the one whole number that gives the published J per token."""


def spread(total: int, parts: int) -> list[int]:
    """Divide a whole number into parts that add up to it."""
    edges = [total * k // parts for k in range(parts + 1)]
    return [right - left for left, right in pairwise(edges)]


def add(
    builder: LakeBuilder,
    job: str,
    powers_mw: list[int],
    length_us: int,
    tokens: dict[str, int],
    energies_mj: list[int] | None = None,
) -> None:
    """Add a job that holds boards of its own from their first reading to their last."""
    stamps = [*range(T0, T0 + length_us, S), T0 + length_us]
    for number, power_mw in enumerate(powers_mw):
        name = f"{job} GPU-{number}"
        builder.device(name, index=number, name="NVIDIA H100 80GB HBM3")
        counters = {T0: 0, T0 + length_us: energies_mj[number]} if energies_mj else None
        builder.power(name, [(ts, power_mw) for ts in stamps], counters=counters)
        builder.job(job, name, T0, T0 + length_us)
    for kind, count in tokens.items():
        builder.tokens(job, [(T0, 0), (T0 + length_us, count)], kind=kind, source_id=job)


X_LENGTH_US = round(X_ENERGY_MJ / X_POWER_MW * S)


@pytest.fixture(scope="module")
def booked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The index of all published runs, by their name."""
    builder = LakeBuilder(tmp_path_factory.mktemp("published") / "lake")
    for name, (gpus, power_w, tokens_a_second, _) in ML_ENERGY.items():
        tokens = {"generated": round(tokens_a_second * SECONDS)}
        add(builder, name, spread(round(power_w * 1000), gpus), SECONDS * S, tokens)
    add(
        builder,
        "InferenceX",
        spread(X_POWER_MW, X_GPUS),
        X_LENGTH_US,
        {"prompt_computed": X_TOKENS * 8 // 9, "generated": X_TOKENS - X_TOKENS * 8 // 9},
        spread(X_ENERGY_MJ, X_GPUS),
    )
    lake = builder.build()
    assert_checks_pass(lake)
    return {row["job_id"]: row for row in ask(lake, "FROM job_index")}


@pytest.mark.parametrize("name", ML_ENERGY)
def test_ml_energy(booked: dict[str, dict[str, Any]], name: str) -> None:
    gpus, power_w, tokens_a_second, published = ML_ENERGY[name]
    row = booked[name]
    digits = len(published.split(".")[1])
    assert f"{row['te_gpu_out']:.{digits}f}" == published
    assert row["te_gpu_out"] == pytest.approx(power_w / tokens_a_second, rel=2e-5)
    assert row["devices"] == gpus


def test_inferencex(booked: dict[str, dict[str, Any]]) -> None:
    """The counters tell the energy, the samples its shape."""
    row = booked["InferenceX"]
    assert row["method"] == "counter"
    assert f"{row['e_gpu_j']:.3f}" == "204019.925"
    assert f"{row['e_gpu_j'] / (X_LENGTH_US / S):.3f}" == "2533.624"
    assert f"{row['e_gpu_j'] / X_QUERIES:.3f}" == "5100.498"
    assert f"{row['te_gpu_total']:.6f}" == "0.616645"


def test_one_number_of_tokens_alone_gives_the_published_ratio() -> None:
    around = range(X_TOKENS - 5, X_TOKENS + 6)
    assert [n for n in around if f"{X_ENERGY_MJ / 1000 / n:.6f}" == "0.616645"] == [X_TOKENS]
