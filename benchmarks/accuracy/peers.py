"""The two simpler methods, on boards of their own with the same load.

In: a profile and one of its nodes. Out: for each job and board what a script finds by
    naive    power polled at 10 Hz through NVML, from the same field that our daemon reads, at a
             phase of the script's own; trapezoid over the readings between start and end, nothing
             for the time between an edge and the reading nearest to it inside
    counter  the energy counter read at the exact start and the exact end, as by tools that are
             called at both (Zeus): its difference
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np

from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.emulate.nvml import library as nvml
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.node import EmulatedNode
from tokenergy_collectors.sources.nvml.boards import Board, close_boards, open_boards

NAIVE_US = 100_000
"""Spacing of the script's readings."""

Key = tuple[str, str]
"""A job and a device."""


@dataclass(slots=True)
class Found:
    """What the methods find, in joules; None for a counter that is not there."""

    naive_j: float
    counter_j: float | None


@dataclass(slots=True)
class _Watched:
    """A board while a job runs on it: profile times in microseconds, powers in milliwatts."""

    board: Board
    start_us: int
    end_us: int
    stamps_us: list[int] = field(default_factory=list)
    powers_mw: list[int] = field(default_factory=list)
    counters_mj: list[int | None] = field(default_factory=list)

    def found(self) -> Found:
        """Return what the methods make of it."""
        powers_w = np.array(self.powers_mw) / 1e3
        naive_j = float(np.trapezoid(powers_w, np.array(self.stamps_us) / 1e6))
        first, last = self.counters_mj[0], self.counters_mj[-1]
        counted = None if first is None or last is None else (last - first) / 1e3
        return Found(naive_j, counted)


def measure(profile: Profile, node: str, seed: int) -> dict[Key, Found]:
    """Run both methods over a node's whole time, on a clock of their own.

    Args:
        profile: the cluster.
        node: one of its nodes.
        seed: of the script's phase.
    """
    clock, stop = VirtualClock(profile.start_us), threading.Event()
    origin_us = clock.monotonic_us()
    emulated = EmulatedNode(profile, node, clock)
    with nvml.install(emulated):
        boards, _ = open_boards()
        try:
            watched = _watched(profile, node, boards)
            for at_us, polled, edges in _events(watched, seed):
                clock.sleep_until(origin_us + at_us, stop)
                for one in edges:
                    one.counters_mj.append(one.board.read(energy=True)[1])
                for one in polled:
                    power_mw, _ = one.board.read(energy=False)
                    assert power_mw is not None
                    one.stamps_us.append(at_us)
                    one.powers_mw.append(power_mw)
        finally:
            close_boards()
    return {key: one.found() for key, one in watched.items()}


def _watched(profile: Profile, node: str, boards: list[Board]) -> dict[Key, _Watched]:
    return {
        (job.id, boards[index].device_id): _Watched(boards[index], job.start_us, job.end_us)
        for job in profile.jobs
        for index in job.devices.get(node, [])
    }


def _events(
    watched: dict[Key, _Watched], seed: int
) -> list[tuple[int, list[_Watched], list[_Watched]]]:
    """Return what is read when: the instant, boards whose power and whose counter is read."""
    rng = np.random.default_rng(seed)
    power: dict[int, list[_Watched]] = {}
    counter: dict[int, list[_Watched]] = {}
    for one in watched.values():
        phase_us = int(rng.integers(NAIVE_US))
        first_us = one.start_us + (phase_us - one.start_us) % NAIVE_US
        for at_us in range(first_us, one.end_us + 1, NAIVE_US):
            power.setdefault(at_us, []).append(one)
        for at_us in (one.start_us, one.end_us):
            counter.setdefault(at_us, []).append(one)
    return [(t, power.get(t, []), counter.get(t, [])) for t in sorted({*power, *counter})]
