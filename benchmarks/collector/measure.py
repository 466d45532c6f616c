"""CPU time, memory and readings of a program and all its children, over a stretch of time.

In: a command and an environment. Out: a `Cost`. CPU time comes from the process's own clock in
nanoseconds, readings from the emulated NVML, which counts them by process.
"""

from __future__ import annotations

import os
import pty
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_ENTRIES = 512
_ENTRY = struct.Struct("=qq")
_WARM_S = 12.0
_PROC = Path("/proc")
_SCHEDULER_CLOCK = 2


class Cost(NamedTuple):
    """What a program took: CPU seconds, wall seconds, readings, peak memory in MiB."""

    cpu_s: float
    wall_s: float
    readings: int
    peak_mib: float

    @property
    def cpu_ms_per_1000(self) -> float:
        """CPU milliseconds for a thousand readings."""
        return self.cpu_s * 1e6 / self.readings if self.readings else float("nan")

    @property
    def core_percent(self) -> float:
        """Share of one core, percent."""
        return 100 * self.cpu_s / self.wall_s


class Running:
    """A program that samples, in a terminal of its own that is read and thrown away.

    Args:
        command: the program.
        environment: its environment.
        calls: file in which the emulated NVML counts readings.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], calls: Path) -> None:
        calls.write_bytes(bytes(_ENTRY.size * _ENTRIES))
        self._calls = calls
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.environ.update(environment)
            os.environ["TOKENERGY_EMULATED_NVML_CALLS"] = str(calls)
            try:
                os.execv(command[0], list(command))  # noqa: S606 - no shell is what is wanted
            finally:
                os._exit(127)
        self._reader = threading.Thread(target=self._read_away, daemon=True)
        self._reader.start()
        self._begin: tuple[float, float, int] | None = None

    def begin(self) -> None:
        """Begin the stretch."""
        self._begin = (time.monotonic(), self._cpu_s(), self._readings())

    def end(self) -> Cost:
        """End the stretch and the program; return what the stretch took."""
        if self._begin is None or not self._members():
            self._stop()
            raise RuntimeError("the program ended before it was stopped")
        wall_s, cpu_s, readings = self._begin
        found = Cost(
            self._cpu_s() - cpu_s,
            time.monotonic() - wall_s,
            self._readings() - readings,
            sum(_peak_mib(pid) for pid in self._members()),
        )
        self._stop()
        return found

    def _stop(self) -> None:
        for pid in self._members():
            _signal(pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._reader.join()
        os.close(self._terminal)

    def _read_away(self) -> None:
        """Read what the program draws, so that it never has to wait."""
        with suppress(OSError):  # the terminal's other end is closed
            while os.read(self._terminal, 1 << 16):
                pass

    def _members(self) -> list[int]:
        """Return the program's processes: itself and its descendants."""
        parents: dict[int, list[int]] = {}
        for path in _PROC.glob("[0-9]*"):
            try:
                words = (path / "stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if words[0] != "Z":
                parents.setdefault(int(words[1]), []).append(int(path.name))
        alive = any(self._pid in children for children in parents.values())
        found = [self._pid] if alive else []
        for pid in found:
            found += parents.get(pid, [])
        return found

    def _cpu_s(self) -> float:
        return sum(_cpu_ns(pid) for pid in self._members()) / 1e9

    def _readings(self) -> int:
        members = set(self._members())
        counts = _ENTRY.iter_unpack(self._calls.read_bytes())
        return sum(readings for pid, readings in counts if pid in members)


def side_by_side(
    commands: Mapping[str, Sequence[str]],
    environment: Mapping[str, str],
    folder: Path,
    for_s: float,
) -> dict[str, Cost]:
    """Run programs at the same time, so that what disturbs one disturbs all; return their costs."""
    running = {
        name: Running(command, environment, folder / f"calls-{name}")
        for name, command in commands.items()
    }
    time.sleep(_WARM_S)
    for one in running.values():
        one.begin()
    time.sleep(for_s)
    return {name: one.end() for name, one in running.items()}


def peak_of(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Run a program to its end; return its peak memory in MiB."""
    running = subprocess.Popen(command, env=dict(environment), stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise RuntimeError(f"{command[0]} exited with {running.returncode}")
    return used.ru_maxrss / 1024


def _cpu_ns(pid: int) -> int:
    """Return a process's CPU time, threads that have ended included: its clock, as in Linux."""
    try:
        return time.clock_gettime_ns((~pid << 3) | _SCHEDULER_CLOCK)
    except OSError:
        return 0


def _peak_mib(pid: int) -> float:
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
