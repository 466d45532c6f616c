"""Makes a profile's faults happen: emulated NVML that fails on schedule.

In: the faults of a node, and its clock. Out: a library that answers as a board or a driver in that
state would. The truth does not change. Every call first applies the faults that are due, each at
the exact instant that the profile gives, so a fault does not depend on who calls when.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

from tokenergy_collectors.base.clock import Clock, VirtualClock
from tokenergy_collectors.emulate.nvml.calls import Read
from tokenergy_collectors.emulate.nvml.codes import (
    DRIVER_NOT_LOADED,
    GPU_IS_LOST,
    NOT_SUPPORTED,
    UNINITIALIZED,
)
from tokenergy_collectors.emulate.nvml.fields import FIELDS, fields_of
from tokenergy_collectors.emulate.nvml.library import Node, NvmlLibrary
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
"""Calls by the name of the reading that they return; batched fields are matched by number."""

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
    """A counter that loses energy when it is read too fast: its latest reading, its total loss."""

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
        node: the node.
        faults: its faults.
        clock: the node's clock; slow calls take time on it.

    Raises:
        TypeError: a fault sets the wall clock, and this clock cannot be set.
    """

    def __init__(self, node: Node, faults: Iterable[FaultSpec], clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._unloaded = False
        self._slow_us: dict[int, int] = {}
        self._unsupported: set[tuple[int, str]] = set()
        self._frozen: dict[tuple[Board, str], int] = {}
        self._undercounts: dict[Board, _Undercount] = {}
        self._pending: list[tuple[int, Callable[[int], None]]] = []
        super().__init__(node)
        for fault in faults:
            self._plan(fault)
        self._pending.sort(key=lambda action: action[0], reverse=True)

    def _plan(self, fault: FaultSpec) -> None:
        """Add a fault's beginning and end to the pending actions."""
        if isinstance(fault, ClockJumpSpec):
            if not isinstance(self._clock, Steppable):
                raise TypeError(f"{self._clock!r}: expected a clock that can be set")
            step = self._clock.step_realtime
            self._pending.append((fault.at_us, lambda _: step(fault.by_us)))
            return
        begin, end = self._switch(fault)
        self._pending += [(fault.at_us, begin), (fault.end_us, end)]

    def _switch(self, fault: FaultSpec) -> tuple[Callable[[int], None], Callable[[int], None]]:
        """Return what begins a lasting fault and what ends it; both take the instant (us)."""
        match fault:
            case DriverReloadSpec():
                return self._unload, self._load
            case LostSpec(boards=boards):
                return (
                    self._each(boards, self.fail, GPU_IS_LOST),
                    self._each(boards, self.fail, None),
                )
            case NotSupportedSpec(boards=boards, readings=names):
                return (
                    self._each(boards, self._remove_readings, names),
                    self._each(boards, self._restore_readings, names),
                )
            case StaleSpec(boards=boards, counter=counter):
                return partial(self._freeze, boards, counter), self._each(boards, self._thaw)
            case SlowSpec(boards=boards, call_us=call_us):
                return self._each(boards, self._slow, call_us), self._each(boards, self._slow, 0)
            case UndercountSpec(boards=boards, faster_than_us=within_us, share=share):
                return (
                    self._each(boards, self._undercount, within_us, share),
                    self._each(boards, self._undercount, 0, share),
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

    # Applied to every call ------------------------------------------------------------------------

    def _define(self, name: str, function: Callable[..., int], *arguments: Any) -> None:
        init = name in _INITS

        def call(*given: Any) -> int:
            self._apply_due()
            if given and (index := self._handles.index_of.get(given[0])) is not None:
                if index in self._slow_us:
                    self._wait(self._slow_us[index])
                    # Time has passed: another fault may have begun or ended meanwhile.
                    self._apply_due()
                if (index, name) in self._unsupported:
                    return NOT_SUPPORTED
            if self._unloaded:
                return DRIVER_NOT_LOADED if init else UNINITIALIZED
            return function(*given)

        super()._define(name, call, *arguments)

    def _apply_due(self) -> None:
        """Apply the pending actions that are due, in the order of time."""
        if not self._pending or self._pending[-1][0] > self._now_us():
            return
        # Several threads may call at once: each action must happen once.
        with self._lock:
            while self._pending and self._pending[-1][0] <= self._now_us():
                at_us, act = self._pending.pop()
                act(at_us)

    def _wait(self, for_us: int) -> None:
        if isinstance(self._clock, VirtualClock):
            until_us = self._clock.monotonic_us() + for_us
            self._clock.sleep_until(until_us, threading.Event())
        else:
            time.sleep(for_us / 1e6)

    def _reading(self, name: str, read: Read) -> Read:
        """Return a reading that can freeze, or a counter that can undercount."""

        def faulty(board: Board, now_us: int) -> int:
            frozen = self._frozen.get((board, name))
            if frozen is not None:
                return frozen
            if name == "counter" and board in self._undercounts:
                return self._undercounts[board].read(read(board, now_us), now_us)
            return read(board, now_us)

        return faulty if name in (*_POWER, "counter") else read

    # The faults -----------------------------------------------------------------------------------

    def _unload(self, at_us: int) -> None:
        del at_us
        self._unloaded, self._inits = True, 0
        self._handles.replace()
        self._refresh_handles()

    def _load(self, at_us: int) -> None:
        self._unloaded = False
        for board in self._node.boards:
            board.reset_counter(at_us)
        self._undercounts.clear()
        self._frozen.clear()

    def _remove_readings(self, index: int, names: Iterable[str]) -> None:
        fields = self._fields[self._node.boards[index]]
        for name in names:
            self._unsupported |= self._calls_of(index, name)
            for key in [key for key in fields if key[0] in FIELDS and FIELDS[key[0]][0] == name]:
                del fields[key]

    def _restore_readings(self, index: int, names: Iterable[str]) -> None:
        board = self._node.boards[index]
        for name in names:
            self._unsupported -= self._calls_of(index, name)
            # Only the fields that the board supports without the fault come back.
            for key, answer in fields_of(board, self._reading).items():
                if FIELDS[key[0]][0] == name:
                    self._fields[board][key] = answer

    @staticmethod
    def _calls_of(index: int, name: str) -> set[tuple[int, str]]:
        return {(index, call) for call in _CALLS.get(name, ())}

    def _freeze(self, boards: Sequence[int], counter: bool, at_us: int) -> None:
        for board in (self._node.boards[index] for index in boards):
            reads: dict[str, Read] = {**_POWER, **({"counter": Board.energy_mj} if counter else {})}
            for name, read in reads.items():
                self._frozen[board, name] = self._reading(name, read)(board, at_us)

    def _thaw(self, index: int) -> None:
        for name in (*_POWER, "counter"):
            self._frozen.pop((self._node.boards[index], name), None)

    def _slow(self, index: int, call_us: int) -> None:
        if call_us:
            self._slow_us[index] = call_us
        else:
            self._slow_us.pop(index, None)

    def _undercount(self, index: int, within_us: int, share: float) -> None:
        counter = self._undercounts.setdefault(self._node.boards[index], _Undercount())
        counter.faster_than_us, counter.share = within_us, share
