"""What a board measures besides itself: its module and its memory.

In: opened boards. Out: which scopes answer, what the energy counter covers, and readings of those
scopes for the `host` table, about one per second. Only the GPU's own power counts as the board's.
On a module with a CPU next to the GPU, the module's power says nothing about the GPU, and all GPUs
of one module report the same value. So these readings are kept apart and never added up.

NVML does not say what the counter covers. On a board that also reports its module's power, the mean
power by the counter is compared with both. A counter of the module is recorded with the module.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pynvml

from tokenergy_collectors.base.clock import Clock
from tokenergy_collectors.lake.contract import BOUNDS, HOST
from tokenergy_collectors.sources.nvml.boards import SENSORS, Board
from tokenergy_collectors.sources.nvml.calls import or_none
from tokenergy_collectors.sources.nvml.fieldvalues import field_values

SCOPES = {"module": pynvml.NVML_POWER_SCOPE_MODULE, "memory": pynvml.NVML_POWER_SCOPE_MEMORY}

_ENERGY = pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION
_POLL_US = 20_000
_LEAST_S = 1.0
"""Least time between two readings of the counter: some boards under-count if read faster."""

_DISTINCT = 1.15
"""Least ratio of module to GPU power at which the two can be distinguished."""

_AGREES = 0.25
"""How far the counter's mean power may be from that of its scope, as a share of the latter."""

_MAX_POWER_MW = BOUNDS["power_mw"][1]
_MAX_ENERGY_MJ = (2**63 - 1) // 1_000
"""The largest counter that `host` can hold in microjoules."""


@dataclass(slots=True)
class _Means:
    """Readings of one board while learning: both powers, and the counter at both ends (us, mJ)."""

    board: Board
    power: tuple[int, int]
    """Field and scope of the GPU's own power."""

    gpu_mw: list[int] = field(default_factory=list)
    module_mw: list[int] = field(default_factory=list)
    counter: list[tuple[int, int]] = field(default_factory=list)

    def poll(self, clock: Clock, *, energy: bool) -> None:
        """Read both powers in one call, and with `energy` also the counter."""
        fields = [self.power, self.board.scopes["module"], *([(_ENERGY, 0)] if energy else [])]
        values = or_none(partial(field_values, self.board.handle, fields))
        if values is None:
            return
        if values[0] is not None and values[1] is not None:
            self.gpu_mw.append(values[0])
            self.module_mw.append(values[1])
        if energy and values[2] is not None:
            self.counter.append((clock.monotonic_us(), values[2]))

    def scope(self) -> str | None:
        """Return what the counter covers (`gpu` or `module`); None if that is not clear."""
        if len(self.counter) < 2 or not self.gpu_mw:
            return None
        (t0, c0), (t1, c1) = self.counter[0], self.counter[-1]
        gpu, module = (sum(found) / len(found) for found in (self.gpu_mw, self.module_mw))
        if t1 <= t0 or c1 <= c0 or module < _DISTINCT * gpu:
            return None
        by_counter = (c1 - c0) * 1_000_000 / (t1 - t0)
        power, name = min((gpu, "gpu"), (module, "module"), key=lambda p: abs(by_counter - p[0]))
        return name if abs(by_counter - power) <= _AGREES * power else None


def learn_scopes(
    boards: Iterable[Board], clock: Clock, learn_s: float, stop: threading.Event
) -> None:
    """Learn what the boards measure besides themselves, and what their counters cover.

    Args:
        boards: the boards, opened.
        clock: the polling waits on it.
        learn_s: how long to watch (s), at least 1 s. 0 means not at all: the scopes are found, and
            counters are taken to cover their boards.
        stop: ends the watching.
    """
    boards = list(boards)
    for board in boards:
        board.scopes = _scopes_of(board)
    watched = [
        _Means(board, board.power_request.fields[0][:2])
        for board in boards
        if board.power_request is not None and board.has_energy and "module" in board.scopes
    ]
    if not watched or not learn_s:
        return
    start_us = due_us = clock.monotonic_us()
    end_us = start_us + round(max(learn_s, _LEAST_S) * 1_000_000)
    first = True
    while not stop.is_set():
        last = due_us >= end_us
        for one in watched:
            one.poll(clock, energy=first or last)
        if last:
            break
        first = False
        # Late polls are skipped, and the last one is exactly at the end.
        due_us = min(max(due_us + _POLL_US, clock.monotonic_us()), end_us)
        clock.sleep_until(due_us, stop)
    for one in watched:
        adopt(one.board, one.board.scopes, one.scope())


def adopt(board: Board, scopes: dict[str, tuple[int, int]], counter_scope: str | None) -> None:
    """Store in a board what was learned; it gives up a counter that covers the module."""
    board.scopes, board.counter_scope = scopes, counter_scope
    if not board.counts_itself:
        board.leave_counter()


def _scopes_of(board: Board) -> dict[str, tuple[int, int]]:
    """Return the field and scope of each additional meter that answers."""
    return {
        name: (number, scope)
        for name, scope in SCOPES.items()
        for number, _ in reversed(SENSORS)  # the preferred one comes last and wins
        if _value(board, (number, scope)) is not None
    }


def _value(board: Board, wanted: tuple[int, int]) -> int | None:
    values: list[int | None] | None = or_none(partial(field_values, board.handle, [wanted]))
    return None if values is None else values[0]


class ScopeReader:
    """Reads the additional meters of the boards into rows of `host`.

    Args:
        boards: the boards.
        node: name of the node in the rows.
        now_us: returns the stamp of now (us UTC).
        add: takes the rows.
    """

    def __init__(
        self,
        boards: Iterable[Board],
        node: str,
        now_us: Callable[[], int],
        add: Callable[[list[tuple[Any, ...]]], None],
    ) -> None:
        self._boards = [board for board in boards if board.scopes]
        self._node = node
        self._now_us = now_us
        self._add = add

    @property
    def needed(self) -> bool:
        """Whether any board has additional meters."""
        return bool(self._boards)

    def read(self) -> None:
        """Read each meter once, except on boards that are lost or slow."""
        for board in self._boards:
            if board.failure is None and not board.slow:
                self._add(self._rows(board))

    def _rows(self, board: Board) -> list[tuple[Any, ...]]:
        counts = not board.counts_itself
        wanted = [*board.scopes.values(), *([(_ENERGY, 0)] if counts else [])]
        values = or_none(partial(field_values, board.handle, wanted))
        if values is None:
            return []
        now_us = self._now_us()
        energy_mj = values.pop() if counts else None
        rows = []
        for name, power_mw in zip(board.scopes, values, strict=True):
            counted = name == "module" and energy_mj is not None and energy_mj <= _MAX_ENERGY_MJ
            energy_uj = 1_000 * energy_mj if counted and energy_mj is not None else None
            known_mw = power_mw if power_mw is not None and power_mw <= _MAX_POWER_MW else None
            if known_mw is not None or energy_uj is not None:
                row = HOST.make_row(
                    ts_us=now_us,
                    node=self._node,
                    domain=f"{name}:{board.device_id}",
                    energy_uj=energy_uj,
                    power_mw=known_mw,
                )
                rows.append(row)
        return rows
