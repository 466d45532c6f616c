"""The trials: emulated servers before and after a change, on the same boards.

In: a kind of load, how much more each HEAD costs. Out: an emulated profile with two jobs a board,
one after the other, and the request logs beside it. The same arguments give the same files.

A regression of p makes all that a server draws 1 + p times as much: what it draws while it waits,
for a prompt token, and for a generated token. So the true ratio is 1 + p at every operating point.
Boards are off by up to 5 %, each in its own way, and rise and fall with one time constant: with
two, every swing of the load would draw more than was planted.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from tokenergy_collectors.emulate.profile.profile import Profile, load_profile

Load = Literal["steady", "varied", "shifted", "half", "batching", "batching-shifted"]
"""`steady`: requests come at random, at one mean rate; `varied`: that rate drifts; `shifted`: HEAD
has 8 % more requests and 10 % longer prompts; `half`: HEAD has half as many requests; `batching`,
`batching-shifted`: as `steady` and `shifted`, but no energy per token is planted: power depends on
the batch as on an H100, so energy is not linear in the tokens. They are run alone only."""

LOADS: tuple[Load, ...] = ("steady", "varied", "shifted", "half", "batching-shifted", "batching")
ALONE: tuple[Load, ...] = ("batching", "batching-shifted")
BOARDS = 8
"""Boards of a node, each with a BASE and a HEAD."""

_CLASS_PPM = 50_000
_START = datetime(2026, 1, 15, 8, tzinfo=UTC)
_RATE, _CONTEXT, _GENERATED = 3.0, 1_000, 200
"""Requests a second, and mean tokens of one."""

_IDLE_W, _LOAD_W = 120.0, 105.0
_PAUSE_S = 60
_DRIFT_S = 600


def profile(load: Load, planted: Sequence[float], seconds: int, seed: int, folder: Path) -> Profile:
    """Write a profile and its request logs to a folder; return it.

    Args:
        load: kind of load.
        planted: how much more each HEAD costs, as a share.
        seconds: how long each job runs.
        seed: of the boards and the requests.
        folder: where the files go.
    """
    head = (
        f'name = "gate-{load}"\nstart = {_START:%Y-%m-%dT%H:%M:%SZ}\n'
        f"duration_s = {2 * (seconds + _PAUSE_S)}\nseed = {seed}\n"
    )
    boards = (
        '[boards.b]\nlike = "h100"\nrise_us = 50_000\nfall_us = 50_000\n'
        f"counter_update_us = 100_000\ncounter_gain_spread_ppm = {_CLASS_PPM}\n"
    )
    texts = [head, boards]
    for number, more in enumerate(planted):
        if number % BOARDS == 0:
            count = min(BOARDS, len(planted) - number)
            texts.append(f'[nodes.n{number // BOARDS:02}]\nboards = "b"\ncount = {count}\n')
        for side, cost in (("base", 1.0), ("head", 1 + more)):
            texts.append(_job(load, side, number, cost, seconds, seed, folder))
    path = folder / "gate.toml"
    path.write_text("\n".join(texts), "utf-8")
    return load_profile(path)


def _job(
    load: Load, side: str, number: int, cost: float, seconds: int, seed: int, folder: Path
) -> str:
    """Return the text of a job, and write its request log."""
    rng = np.random.default_rng([seed, LOADS.index(load), number, side == "head"])
    prompt_j, generated_j = _costs(seed, number)
    log = f"{side}-{number}.csv"
    with (folder / log).open("w", newline="") as file:
        rows = requests(load, side, seconds, rng)
        csv.writer(file).writerows([("offset_ms", "context", "generated"), *rows])
    planted = (
        f"prompt_token_j = {prompt_j * cost:.7f}, generated_token_j = {generated_j * cost:.7f}, "
        if load not in ALONE
        else ""
    )
    start_s = _PAUSE_S // 2 + (seconds + _PAUSE_S) * (side == "head")
    return (
        f'[[jobs]]\nid = "{side}-{number}"\n'
        f"devices = {{ n{number // BOARDS:02} = [{number % BOARDS}] }}\n"
        f"start_s = {start_s}\nend_s = {start_s + seconds}\n"
        f'workload = {{ type = "inference", model = "m", log = "{log}", max_num_seqs = 64, '
        "step_us = 14_000, per_sequence_us = 80, per_prompt_token_us = 55, "
        f"{planted}"
        f"idle_w = {_IDLE_W * cost:.4f}, load_w = {_LOAD_W * cost:.4f} }}\n"
    )


def _costs(seed: int, number: int) -> tuple[float, float]:
    """Return J per prompt token and per generated token of a board's servers."""
    rng = np.random.default_rng([seed, number])
    return round(float(rng.uniform(0.01, 0.025)), 5), round(float(rng.uniform(0.04, 0.1)), 5)


def requests(
    load: Load, side: str, seconds: int, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    """Return requests: offset (ms), prompt tokens, generated tokens."""
    more_rate, more_context = 1.0, 1.0
    if side == "head" and load in ("shifted", "batching-shifted"):
        more_rate, more_context = 1.08, 1.1
    if side == "head" and load == "half":
        more_rate = 0.5
    drift = np.exp(rng.normal(0, 0.15, seconds // _DRIFT_S + 2)) if load == "varied" else None
    rows, at_s = [], 0.0
    while at_s < seconds:
        rate = _RATE * more_rate
        if drift is not None:
            rate *= float(np.interp(at_s / _DRIFT_S, np.arange(len(drift)), drift))
        at_s += rng.exponential(1 / rate)
        prompt, answer = (
            1 + int(rng.exponential(mean)) for mean in (_CONTEXT * more_context, _GENERATED)
        )
        rows.append((int(at_s * 1e3), prompt, answer))
    return rows
