"""Servers with a planted energy per prompt token and per generated token, second by second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.support.lakes import T0, LakeBuilder, S

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Power = Callable[[Floats, Floats], Floats]
"""Watts above the base from prompt and generated tokens a second."""


@dataclass(frozen=True)
class Server:
    """One board that a job of one name holds, and its server's load.

    Attributes:
        prefill_j, decode_j: J per computed prompt token and per generated token.
        base_w: W of the board without tokens.
        swing: how far the request rate swings within minutes, as a share; 0: it never varies.
        mix_swing: the same of the tokens a request generates for each prompt token.
        noise: standard deviation of a second's power, as a share.
        gain: what the meter shows of what is true.
        power: watts above the base, if not linear in the tokens.
        seconds: how long the job runs.
        every_s: how often its counters are read.
        late_s: how often generated tokens are counted: as at the end of requests.
        seed: of the load and the noise.
    """

    prefill_j: float = 0.02
    decode_j: float = 0.3
    base_w: float = 120.0
    swing: float = 0.6
    mix_swing: float = 0.6
    noise: float = 0.01
    gain: float = 1.0
    power: Power | None = None
    seconds: int = 3_000
    every_s: int = 5
    late_s: int = 1
    seed: int = 1


def load_of(server: Server) -> tuple[Ints, Ints]:
    """Return prompt and generated tokens of each second."""
    rng = np.random.default_rng(server.seed)

    def swings(share: float) -> Floats:
        """A factor that changes every minute or so."""
        levels = 1 + share * rng.uniform(-1, 1, server.seconds // 45 + 2)
        return np.repeat(levels, 45)[: server.seconds]

    rate, mix = swings(server.swing), swings(server.mix_swing)
    mean = np.vstack([4_000 * rate, 500 * rate * mix])
    prompt, generated = rng.poisson(mean) if server.swing else np.rint(mean).astype(np.int64)
    return prompt, generated


def counted_of(server: Server) -> tuple[Ints, Ints]:
    """Return the prompt and generated tokens that are counted in each second."""
    prompt, generated = load_of(server)
    total = np.concatenate([[0], np.cumsum(generated)])
    seen = total[np.arange(server.seconds + 1) // server.late_s * server.late_s]
    return prompt, np.diff(seen)


def power_of(server: Server) -> Floats:
    """Return what the meter shows in each second, W."""
    prompt, generated = (tokens.astype(np.float64) for tokens in load_of(server))
    rng = np.random.default_rng([server.seed, 1])
    linear = server.prefill_j * prompt + server.decode_j * generated
    above = linear if server.power is None else server.power(prompt, generated)
    noisy = (server.base_w + above) * (1 + server.noise * rng.standard_normal(server.seconds))
    shown: Floats = server.gain * noisy
    return shown


def serve(
    builder: LakeBuilder,
    job_id: str,
    server: Server,
    *,
    kinds: tuple[str, ...] = ("prompt_computed", "generated"),
    share_ppm: int = 10**6,
    quantum: int = 1,
    silent_s: tuple[int, int] = (0, 0),
    counter_gain: float | None = None,
    **device: Any,
) -> None:
    """Add a server to a lake: its board, readings, job and counters, from T0 on.

    Args:
        builder: of the lake.
        job_id: of the job; also the name of its node and board.
        server: its load and power.
        kinds: what it counts.
        share_ppm: of the board.
        quantum: step in which the counters are printed.
        silent_s: from when to when generated tokens are not read.
        counter_gain: what the board's energy counter shows of its samples; None: it has none.
        device: further columns of the board.
    """
    builder.device(job_id, node=job_id, **device)
    shown_mw = np.rint(power_of(server) * 1e3).astype(int).tolist()
    readings = {}
    for k, mw in enumerate(shown_mw):
        # Both ends of a second, so that power is a step function.
        readings[T0 + k * S] = readings[T0 + (k + 1) * S - 1] = mw
    counters = {}
    if counter_gain is not None:
        total_mj = np.concatenate([[0], np.cumsum(shown_mw)]) * counter_gain
        counters = {T0 + k * S: int(mj) for k, mj in enumerate(total_mj)}
    builder.power(job_id, sorted(readings.items()), counters=counters, node=job_id)
    builder.job(job_id, job_id, T0, T0 + server.seconds * S, node=job_id, share_ppm=share_ppm)
    every = range(0, server.seconds + 1, server.every_s)
    for kind, tokens in zip(kinds, counted_of(server)[-len(kinds) :], strict=True):
        total = np.concatenate([[0], np.cumsum(tokens)]).tolist()
        lost = silent_s if kind == "generated" else (0, 0)
        read_at = [k for k in every if not lost[0] < k < lost[1]]
        values = [(T0 + k * S, total[k] // quantum * quantum) for k in read_at]
        builder.tokens(job_id, values, kind=kind, source_id=job_id, node=job_id, quantum=quantum)
