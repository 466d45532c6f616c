"""The trials: boards, sensors, loads and lengths, and what runs before and after a job.

In: a kind of sensor, a duration, a number of trials. Out: an emulated profile with one node
per workload and one board per trial. The same arguments give the same profile and the same noise.

A trial is one board with errors of its own. Four boards share a job, so that their load is the same
and their sensors are not. Jobs start at a random instant. Before and after it there is, in turn, an
idle board or another job that draws 85 % of the limit up to (or from) exactly the same instant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tokenergy_collectors.emulate.profile.catalogue import SENSORS, shipped
from tokenergy_collectors.emulate.profile.profile import Profile

DURATIONS_S = (2, 10, 60, 600)
TRIALS = 32
BOARDS_A_JOB = 4
WORKLOADS = ("inference", "training", "periodic", "constant")

COUNTER_GAIN_PPM = 10_000
"""A card's counter is off by up to 1 % either way. Assumed: half the spread of the power reading.
Counter and reading share a measuring chain; no publication separates their errors."""

_BEFORE_S = 4.0
_AFTER_S = 2.0
_SEED = 20_260_115
_START = datetime(2026, 1, 15, 8, tzinfo=UTC)
_MULTIPLES = (1.0, 1.0, 2.0, 1.01, 1.0, 3.0, 0.5, 0.999)
"""Frequencies of the periodic load, in units of the sensor's own: locked, or nearly so."""

_FASTEST_HZ = 100
"""What the emulator can show: two of its 5 ms cells a period."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of sensor: its name in the catalogue, a board that has it, and the counter.

    Attributes:
        sensor: as in `docs/emulator.md`.
        board: the shipped board it is like.
        counter: whether the board has an energy counter.
        rate_hz: at which the daemon samples it: its default, or once an update where that is more.
    """

    sensor: str
    board: str
    counter: bool
    rate_hz: float

    @property
    def key(self) -> str:
        """A name for folders and nodes."""
        words = self.sensor.replace("/", "of").replace(" ", "")
        return words + ("" if self.counter else "-nocounter")


KINDS = tuple(
    Kind(sensor, board, counter, rate_hz)
    for counter in (True, False)
    for sensor, board, rate_hz in (
        ("20 ms", "v100", 50.0),
        ("100/100", "rtx4090", 20.0),
        ("25/100", "h100", 20.0),
        ("1 s average", "h100", 20.0),
    )
)


def profile(
    kind: Kind,
    duration_s: float,
    workloads: Sequence[str],
    trials: int,
    errors: Mapping[str, int] | None = None,
) -> Profile:
    """Return the profile of a kind of sensor and a duration; its nodes are named KEY-WORKLOAD-N.

    `errors` are keys of the board's table that say how far its meters are off; those of the
    shipped board if None.
    """
    jobs: list[dict[str, Any]] = []
    nodes = {}
    for workload in workloads:
        node = f"{kind.key}-{workload}-{duration_s:g}"
        nodes[node] = {"boards": "b", "count": trials}
        for group in range(-(-trials // BOARDS_A_JOB)):
            boards = list(range(group * BOARDS_A_JOB, min((group + 1) * BOARDS_A_JOB, trials)))
            jobs += _jobs(kind, duration_s, workload, group, {node: boards})
    return Profile.model_validate(
        {
            "name": f"accuracy-{kind.key}",
            "start": _START,
            "duration_s": _BEFORE_S + duration_s + _AFTER_S,
            "seed": _SEED,
            "boards": {"b": _board(kind) | dict(errors or {})},
            "nodes": nodes,
            "jobs": jobs,
        }
    )


def _board(kind: Kind) -> dict[str, Any]:
    """Return the board: the shipped one with another sensor, and a counter or none."""
    like = shipped()[kind.board]
    # The sensor's own keys must win over those of the shipped board.
    board = {"like": kind.board, "sensor": kind.sensor, **SENSORS[kind.sensor]}
    missing = {*like.get("unsupported", []), *SENSORS[kind.sensor].get("unsupported", [])}
    missing -= {"counter"}
    return board | {
        "unsupported": sorted(missing | (set() if kind.counter else {"counter"})),
        "counter_update_us": board.get("update_us", 100_000),
        "counter_gain_spread_ppm": COUNTER_GAIN_PPM,
    }


def _jobs(
    kind: Kind, duration_s: float, workload: str, group: int, devices: dict[str, list[int]]
) -> list[dict[str, Any]]:
    """Return a job on some boards, and those that come right before and after it, if any."""
    rng = np.random.default_rng([_SEED, KINDS.index(kind), round(duration_s), group])
    limit_w = float(shipped()[kind.board]["limit_w"])
    start_s = round(_BEFORE_S - float(rng.uniform(0, 1)), 6)
    end_s = round(start_s + duration_s, 6)
    phase = float(rng.uniform(0, 0.999))
    node = next(iter(devices))
    name = f"{node}/{group}"
    load = _load(kind, workload, group, limit_w, phase)
    found = [{"id": name, "start_s": start_s, "end_s": end_s, "workload": load}]
    hungry = _constant(0.85 * limit_w)
    if group % 2:
        found.append({"id": f"{name}/before", "start_s": 0.5, "end_s": start_s, "workload": hungry})
    if group % 4 >= 2:
        last_s = _BEFORE_S + duration_s + _AFTER_S
        found.append({"id": f"{name}/after", "start_s": end_s, "end_s": last_s, "workload": hungry})
    return [{**job, "devices": devices} for job in found]


def _load(kind: Kind, workload: str, group: int, limit_w: float, phase: float) -> dict[str, Any]:
    """Return a workload's table; powers are shares of the board's limit."""
    if workload == "constant":
        return _constant(0.7 * limit_w)
    if workload == "periodic":
        update_us = int(SENSORS[kind.sensor]["update_us"])
        multiple = _MULTIPLES[group % len(_MULTIPLES)]
        frequency_hz = min(1e6 / update_us * multiple, _FASTEST_HZ)
        return {
            "type": "periodic",
            "model": "m",
            "frequency_hz": frequency_hz,
            "phase": phase,
            "high_w": 0.85 * limit_w,
            "low_w": 0.2 * limit_w,
        }
    if workload == "training":
        return {
            "type": "training",
            "model": "m",
            "tokens_per_step": 1000,
            "load_s": 0.1 + 0.4 * phase,
            "step_s": 0.5 + 1.4 * phase,
            "allreduce_s": 0.05 + 0.25 * phase,
            "compute_w": 0.94 * limit_w,
            "allreduce_w": 0.54 * limit_w,
            "checkpoint_w": 0.26 * limit_w,
            "load_w": 0.19 * limit_w,
            "checkpoint_every_s": 120,
        }
    if workload == "inference":
        watts = [[1, 0.56], [8, 0.69], [128, 0.95], [512, 0.98]]
        return {
            "type": "inference",
            "model": "m",
            "log": "azure_conv",
            "rate": 2 + 0.5 * group,
            "load_s": 0.3 * phase,
            "step_us": 6_500,
            "per_sequence_us": 60,
            "per_prompt_token_us": 32,
            "load_w": 0.15 * limit_w,
            "idle_w": 0.17 * limit_w,
            "prefill_w": 0.98 * limit_w,
            "decode_w": [[batch, share * limit_w] for batch, share in watts],
        }
    raise ValueError(f"{workload!r}: allowed: {', '.join(WORKLOADS)}")


def _constant(power_w: float) -> dict[str, Any]:
    return {
        "type": "periodic",
        "model": "m",
        "frequency_hz": 1,
        "duty": 1,
        "high_w": power_w,
        "low_w": 1,
    }
