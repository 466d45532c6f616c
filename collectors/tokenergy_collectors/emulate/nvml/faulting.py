"""Lets a profile's faults happen: emulated NVML that fails on schedule.

In: the faults of a node, and its clock. Out: a library that answers as a board or a driver in that
trouble would. The truth is not touched. Every call first brings about what has become due, at the
very instants of the profile, so a fault does not depend on who asks when.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import pynvml

from tokenergy_collectors.base.clock import Clock, VirtualClock
from tokenergy_collectors.emulate.nvml.calls import Read
from tokenergy_collectors.emulate.nvml.library import FIELDS, NvmlLibrary, Rig
from tokenergy_collectors.emulate.physics.board import Board
from tokenergy_collectors.emulate.profile.fault_specs import (
    ClockJumpSpec,
    DriverReloadSpec,
    FaultSpec,
    LostSpec,
    NotSupportedSpec,
    SlowSpec,
    StaleSpec,
    UndercountSpec,
)

_INITS = ("nvmlInit_v2", "nvmlInitWithFlags")

_CALLS: dict[str, tuple[str, ...]] = {
    "usage": ("nvmlDeviceGetPowerUsage",),
    "counter": ("nvmlDeviceGetTotalEnergyConsumption",),
    "utilization": ("nvmlDeviceGetUtilizationRates",),
    "clock": ("nvmlDeviceGetClockInfo",),
    "temperature": ("nvmlDeviceGetTemperature", "nvmlDeviceGetTemperatureV"),
    "reasons": (
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetCurrentClocksThrottleReasons",
    ),
    "processes": ("nvmlDeviceGetComputeRunningProcesses_v3",),
}
"""Calls by the name of the reading that they tell; batched fields have numbers besides."""

_POWER = {
    "instant": Board.power_instant_mw,
    "average": Board.power_average_mw,
    "usage": Board.power_average_mw,
}


@runtime_checkable
class Steppable(Protocol):
    """A clock whose wall clock can be set."""

    def step_realtime(self, by_us: int) -> None:
        """Set the wall clock ahead (us), or back."""


@dataclass(slots=True)
class _Undercount:
    """A counter that loses energy when it is read fast: its latest reading, what it has lost."""

    faster_than_us: int = 0
    share: float = 0.0
    last_us: int | None = None
    last_mj: int = 0
    lost_mj: int = 0

    def read(self, true_mj: int, now_us: int) -> int:
        """Return what the counter shows."""
        if self.last_us is not None and now_us - self.last_us < self.faster_than_us:
            self.lost_mj += int(self.share * (true_mj - self.last_mj))
        self.last_us, self.last_mj = now_us, true_mj
        return true_mj - self.lost_mj


class FaultingLibrary(NvmlLibrary):
    """Emulated NVML with faults.

    Args:
        rig: the node.
        faults: its faults.
        clock: the clock that the node lives by; slow calls take time on it.

    Raises:
        TypeError: the wall clock is to jump and cannot.
    """

    def __init__(self, rig: Rig, faults: Iterable[FaultSpec], clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._down = False
        self._slow_us: dict[int, int] = {}
        self._withheld: set[tuple[int, str]] = set()
        self._frozen: dict[tuple[Board, str], int] = {}
        self._under: dict[Board, _Undercount] = {}
        self._due: list[tuple[int, Callable[[int], None]]] = []
        super().__init__(rig)
        for fault in faults:
            self._plan(fault)
        self._due.sort(key=lambda due: due[0], reverse=True)

    def _plan(self, fault: FaultSpec) -> None:
        """Put a fault's beginning and end on the list of what is to come."""
        if isinstance(fault, ClockJumpSpec):
            if not isinstance(self._clock, Steppable):
                raise TypeError(f"{self._clock!r}: expected a clock that can be set")
            step = self._clock.step_realtime
            self._due.append((fault.at_us, lambda _: step(fault.by_us)))
            return
        begin, end = self._switch(fault)
        self._due += [(fault.at_us, begin), (fault.end_us, end)]

    def _switch(self, fault: FaultSpec) -> tuple[Callable[[int], None], Callable[[int], None]]:
        """Return what begins a lasting fault and what ends it; both take the instant (us)."""
        match fault:
            case DriverReloadSpec():
                return self._unload, self._load
            case LostSpec(boards=boards):
                lost = int(pynvml.NVML_ERROR_GPU_IS_LOST)
                return self._each(boards, self.fail, lost), self._each(boards, self.fail, None)
            case NotSupportedSpec(boards=boards, readings=names):
                return (
                    self._each(boards, self._withhold, names, True),
                    self._each(boards, self._withhold, names, False),
                )
            case StaleSpec(boards=boards, counter=counter):
                return partial(self._freeze, boards, counter), self._each(boards, self._thaw)
            case SlowSpec(boards=boards, call_us=call_us):
                return self._each(boards, self._pace, call_us), self._each(boards, self._pace, 0)
            case UndercountSpec(boards=boards, faster_than_us=within_us, share=share):
                return (
                    self._each(boards, self._lose, within_us, share),
                    self._each(boards, self._lose, 0, share),
                )
            case _:
                raise TypeError(f"{fault!r} has no end")

    @staticmethod
    def _each(boards: Sequence[int], act: Callable[..., None], *more: Any) -> Callable[[int], None]:
        def call(at_us: int) -> None:
            del at_us
            for index in boards:
                act(index, *more)

        return call

    # What every call passes -----------------------------------------------------------------------

    def _define(self, name: str, function: Callable[..., int], *arguments: Any) -> None:
        init = name in _INITS

        def call(*given: Any) -> int:
            self._catch_up()
            if given and (index := self._index_of.get(given[0])) is not None:
                if index in self._slow_us:
                    self._wait(self._slow_us[index])
                    self._catch_up()
                if (index, name) in self._withheld:
                    return int(pynvml.NVML_ERROR_NOT_SUPPORTED)
            if self._down:
                away = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
                return int(away if init else pynvml.NVML_ERROR_UNINITIALIZED)
            return function(*given)

        super()._define(name, call, *arguments)

    def _catch_up(self) -> None:
        """Bring about what has become due, in the order of time."""
        if not self._due or self._due[-1][0] > self._now_us():
            return
        with self._lock:
            while self._due and self._due[-1][0] <= self._now_us():
                at_us, act = self._due.pop()
                act(at_us)

    def _wait(self, for_us: int) -> None:
        if isinstance(self._clock, VirtualClock):
            until_us = self._clock.monotonic_us() + for_us
            self._clock.sleep_until(until_us, threading.Event())
        else:
            time.sleep(for_us / 1e6)

    def _reading(self, name: str, read: Read) -> Read:
        """Return a reading that can stand still or count too little."""

        def bent(board: Board, now_us: int) -> int:
            frozen = self._frozen.get((board, name))
            if frozen is not None:
                return frozen
            if name == "counter" and board in self._under:
                return self._under[board].read(read(board, now_us), now_us)
            return read(board, now_us)

        return bent if name in (*_POWER, "counter") else read

    # The faults -----------------------------------------------------------------------------------

    def _unload(self, at_us: int) -> None:
        del at_us
        self._down, self._inits = True, 0
        self._make_handles()
        self._list_handles()

    def _load(self, at_us: int) -> None:
        self._down = False
        for board in self._rig.boards:
            board.reset_counter(at_us)
        self._under.clear()
        self._frozen.clear()

    def _withhold(self, index: int, names: Iterable[str], withheld: bool) -> None:
        board = self._rig.boards[index]
        for name in names:
            calls = {(index, call) for call in _CALLS.get(name, ())}
            self._withheld = self._withheld | calls if withheld else self._withheld - calls
            for key, answer in self._fields_of(board).items():
                if FIELDS[key[0]][0] != name:
                    continue
                if withheld:
                    self._fields[board].pop(key, None)
                else:
                    self._fields[board][key] = answer

    def _freeze(self, boards: Sequence[int], counter: bool, at_us: int) -> None:
        for board in (self._rig.boards[index] for index in boards):
            reads: dict[str, Read] = {**_POWER, **({"counter": Board.energy_mj} if counter else {})}
            for name, read in reads.items():
                self._frozen[board, name] = self._reading(name, read)(board, at_us)

    def _thaw(self, index: int) -> None:
        for name in (*_POWER, "counter"):
            self._frozen.pop((self._rig.boards[index], name), None)

    def _pace(self, index: int, call_us: int) -> None:
        if call_us:
            self._slow_us[index] = call_us
        else:
            self._slow_us.pop(index, None)

    def _lose(self, index: int, within_us: int, share: float) -> None:
        under = self._under.setdefault(self._rig.boards[index], _Undercount())
        under.faster_than_us, under.share = within_us, share
