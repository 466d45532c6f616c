"""The trials: emulated inference servers with planted energies per token, and their loads.

In: a kind of load, a number of jobs. Out: an emulated profile with one board a job, and the request
logs beside it. The same arguments give the same files.

Boards rise and fall with one time constant: with two, every swing of the load would draw more than
was planted, and the planted energies would not be the true ones.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tokenergy_collectors.emulate.profile.profile import Profile, load_profile

Load = Literal["varied", "real", "constant", "batching"]
"""`varied`: rate and mix of requests change every few minutes; `real`: two published request logs;
`constant`: equal requests at equal distances; `batching`: varied, nothing planted: decode power
saturates with the batch, as on an H100."""

JOBS: dict[Load, int] = {"varied": 100, "real": 24, "constant": 16, "batching": 24}

BOARDS = 8
"""Boards of a node: a job each."""

SECONDS = 3_300
"""How long a job runs."""

_SEED = 20_261_129
_START = datetime(2026, 1, 15, 8, tzinfo=UTC)
_RATE, _CONTEXT, _GENERATED = 3.0, 1_000, 200
"""Requests a second, and mean tokens of one, around which loads vary."""

_CLASS_PPM = 50_000
"""Cards are off by up to this, either way: anywhere in the class that the bounds allow for."""

_STEP = {"step_us": 14_000, "per_sequence_us": 80, "per_prompt_token_us": 55}


def profile(load: Load, jobs: int, folder: Path) -> Profile:
    """Write the profile of a kind of load and its request logs to a folder; return it."""
    boards = (
        '[boards.b]\nlike = "h100"\nrise_us = 50_000\nfall_us = 50_000\n'
        f"counter_update_us = 100_000\ncounter_gain_spread_ppm = {_CLASS_PPM}\n"
    )
    nodes, texts = [], []
    for number in range(jobs):
        node = f"{load}-{number // BOARDS:02}"
        if number % BOARDS == 0:
            count = min(BOARDS, jobs - number)
            nodes.append(f'[nodes.{node}]\nboards = "b"\ncount = {count}\n')
        texts.append(_job(load, number, node, folder))
    head = (
        f'name = "{load}"\nstart = {_START:%Y-%m-%dT%H:%M:%SZ}\nduration_s = 3_400\n'
        f"seed = {_SEED}\n"
    )
    path = folder / f"{load}.toml"
    path.write_text("\n".join([head, boards, *nodes, *texts]), "utf-8")
    return load_profile(path)


def _job(load: Load, number: int, node: str, folder: Path) -> str:
    """Return the text of a job, and write its request log."""
    rng = np.random.default_rng([_SEED, list(JOBS).index(load), number])
    keys: dict[str, Any] = {"type": "inference", "model": "m", "max_num_seqs": 64, **_STEP}
    if load != "batching":
        keys["prompt_token_j"] = round(float(rng.uniform(0.01, 0.025)), 5)
        keys["generated_token_j"] = round(float(rng.uniform(0.04, 0.1)), 5)
    if load == "real":
        keys["log"] = ("azure_conv", "azure_code")[number % 2]
        keys["rate"] = round(float(rng.uniform(0.4, 1.2)), 2)
    else:
        keys["log"] = f"{load}-{number}.csv"
        rows = _equal(rng) if load == "constant" else _varied(rng)
        with (folder / keys["log"]).open("w", newline="") as file:
            csv.writer(file).writerows([("offset_ms", "context", "generated"), *rows])
    table = ", ".join(
        f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
        for key, value in keys.items()
    )
    board = number % BOARDS
    return (
        f'[[jobs]]\nid = "{load}-{number}"\ndevices = {{ {node} = [{board}] }}\n'
        f"start_s = 30\nend_s = {30 + SECONDS}\nworkload = {{ {table} }}\n"
    )


def _varied(rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """Return requests whose rate, prompts and answers change every one to four minutes."""
    rows, at_s = [], 0.0
    until_s, rate, context, generated = 0.0, 1.0, 1.0, 1.0
    while at_s < SECONDS:
        if at_s >= until_s:
            until_s = at_s + rng.uniform(60, 240)
            rate, context, generated = (rng.uniform(0.4, 1.6) for _ in range(3))
        at_s += rng.exponential(1 / (_RATE * rate))
        prompt, answer = (
            1 + int(rng.exponential(mean)) for mean in (_CONTEXT * context, _GENERATED * generated)
        )
        rows.append((int(at_s * 1e3), prompt, answer))
    return rows


def _equal(rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """Return equal requests at equal distances."""
    rate = _RATE * rng.uniform(0.5, 1.5)
    tokens = (round(_CONTEXT * rng.uniform(0.5, 1.5)), round(_GENERATED * rng.uniform(0.5, 1.5)))
    return [(int(k / rate * 1e3), *tokens) for k in range(int(SECONDS * rate))]
