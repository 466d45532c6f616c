"""Emulated boards for other processes: the feeder as a user starts it, and what is true of them."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.emulate.native import layout
from tokenergy_collectors.emulate.physics.power import CHUNK_US
from tokenergy_collectors.emulate.profile.profile import Profile, load_profile
from tokenergy_collectors.emulate.run.node import EmulatedNode
from tokenergy_collectors.emulate.workloads.timeline import CELL_US
from tokenergy_collectors.lake import Lake

COMMAND = [sys.executable, "-m", "tokenergy_collectors", "emulate"]


class Feeding:
    """A feeder in a process of its own, until the end of the `with` block.

    Attributes:
        environment: what a program needs to find the boards.
        origin_us: the monotonic clock at profile time zero.
        start_us: UTC at profile time zero.
    """

    def __init__(self, profile: Path, folder: Path, *options: str) -> None:
        self.state = folder / "boards"
        words = [*COMMAND, str(profile), "--state", str(self.state), *options]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.lines: list[str] = []
        self.environment = dict(os.environ)
        assert self.process.stdout is not None
        while "TOKENERGY_EMULATED_NVML" not in self.environment:
            line = self.process.stdout.readline()
            assert line, "the feeder ended"
            self.lines.append(line.rstrip("\n"))
            if line.startswith("export "):
                name, _, value = shlex.split(line)[1].partition("=")
                self.environment[name] = value
        header = np.fromfile(self.state, layout.HEADER, 1)[0]
        self.origin_us, self.start_us = int(header["origin_us"]), int(header["start_us"])

    def __enter__(self) -> Feeding:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)

    def run(self, *words: str | Path, timeout_s: float = 60) -> str:
        """Run a program on the boards; return what it prints."""
        done = subprocess.run(
            words,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def script(self, source: str, timeout_s: float = 60) -> str:
        """Run a Python program on the boards; return what it prints."""
        return self.run(sys.executable, "-c", source, timeout_s=timeout_s)


class Truth:
    """The same node once more: what is true at any instant of its first minutes.

    Args:
        profile: the profile that the feeder runs.
        node: its node.
        end_us: how far to go, profile time.
    """

    def __init__(self, profile: Profile, node: str, end_us: int) -> None:
        boards = EmulatedNode(profile, node, VirtualClock(profile.start_us)).boards
        self.identities = [board.identity for board in boards]
        borders = range(0, end_us + CHUNK_US, CHUNK_US)
        self._tables = [[b.tables(at, at + CHUNK_US) for b in boards] for at in borders]

    def energy_j(self, index: int, from_us: float, to_us: float) -> float:
        """Return the joules of a board between two instants."""
        return (self._energy_nj(index, int(to_us)) - self._energy_nj(index, int(from_us))) / 1e9

    def counter_mj(self, index: int, at_us: int) -> int:
        """Return the energy counter of a board."""
        base_mj = self._tables[0][index].base_mj
        return base_mj + self._energy_nj(index, at_us) // 1_000_000

    def watts(self, index: int, from_us: float, to_us: float) -> list[float]:
        """Return a board's true power in each cell between two instants."""
        mw = np.concatenate([row[index].power_mw for row in self._tables])
        return list(mw[int(from_us) // CELL_US : int(to_us) // CELL_US + 1] / 1e3)

    def readings_w(self, index: int, from_us: float, to_us: float, *, average: bool) -> list[float]:
        """Return the power readings that a board showed at some time between two instants."""
        first = self._tables[0][index]
        span = [int(at_us - first.phase_us) // first.update_us for at_us in (from_us, to_us)]
        found: dict[int, int] = {}
        for table in (row[index] for row in self._tables):
            mw = table.average_mw if average else table.instant_mw
            found |= dict(enumerate(mw, table.first))
        return [found[number] / 1e3 for number in range(span[0], span[1] + 1)]

    def shown_j(self, index: int, from_us: float, to_us: float) -> float:
        """Return the joules of a meter that takes each instant reading as true until the next."""
        table = self._tables[0][index]
        readings = self.readings_w(index, from_us, to_us, average=False)
        number = (int(from_us) - table.phase_us) // table.update_us
        borders = table.phase_us + table.update_us * np.arange(number, number + len(readings) + 1)
        spans_us = np.diff(np.clip(borders, from_us, to_us))
        return float(np.dot(readings, spans_us)) / 1e6

    def _energy_nj(self, index: int, at_us: int) -> int:
        table = self._tables[at_us // CHUNK_US][index]
        cell, inside_us = divmod(at_us - table.from_us, CELL_US)
        return int(table.energy_nj[cell]) + int(table.power_mw[cell]) * inside_us


def true_energy_j(
    profile: Path, lake: Path, fed: Feeding, board: int, start_s: float, end_s: float
) -> float:
    """Return the joules of a board of node n1 between two times of the wall clock."""
    clock = min(Lake(lake).read("clock").to_pylist(), key=lambda row: row["monotonic_us"])
    ahead_us = clock["ts_us"] - clock["monotonic_us"] + fed.origin_us
    truth = Truth(load_profile(profile), "n1", round((end_s + 1) * 1e6) - ahead_us)
    return truth.energy_j(board, start_s * 1e6 - ahead_us, end_s * 1e6 - ahead_us)
