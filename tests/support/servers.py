"""Servers with a planted energy per prompt token and per generated token, second by second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

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
    seed: int = 1

    def seeded(self, seed: int) -> Server:
        """Return the same server with another load."""
        return replace(self, seed=seed)


def load_of(server: Server) -> tuple[Ints, Ints]:
    """Return prompt and generated tokens of each second."""
    rng = np.random.default_rng(server.seed)

    def swings(share: float) -> Floats:
        """A factor that changes every minute or so."""
        levels = 1 + share * rng.uniform(-1, 1, server.seconds // 45 + 2)
        return np.repeat(levels, 45)[: server.seconds]

    rate, mix = swings(server.swing), swings(server.mix_swing)
    prompt, generated = 4_000 * rate, 500 * rate * mix
    if server.swing:
        prompt, generated = rng.poisson(prompt), rng.poisson(generated)
    return np.rint(prompt).astype(np.int64), np.rint(generated).astype(np.int64)


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
    builder: LakeBuilder, name: str, server: Server, *, start_us: int = T0, share_ppm: int = 10**6
) -> None:
    """Add a server to a lake: its board, readings, job and counters."""
    builder.device(name, node=name)
    shown_mw = np.rint(power_of(server) * 1e3).astype(int).tolist()
    readings = {}
    for k, mw in enumerate(shown_mw):
        # Both ends of a second, so that power is a step function.
        readings[start_us + k * S] = readings[start_us + (k + 1) * S - 1] = mw
    builder.power(name, sorted(readings.items()), node=name)
    end_us = start_us + server.seconds * S
    builder.job(name, name, start_us, end_us, node=name, share_ppm=share_ppm)
    for kind, tokens in zip(("prompt_computed", "generated"), load_of(server), strict=True):
        total = np.concatenate([[0], np.cumsum(tokens)]).tolist()
        values = [
            (start_us + k * S, total[k]) for k in range(0, server.seconds + 1, server.every_s)
        ]
        builder.tokens(name, values, kind=kind, source_id=name, node=name)
