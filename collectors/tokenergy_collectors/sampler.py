"""Reads the boards and puts what matters into the spool; copes with boards that do not answer.

In: boards, asked when the schedule says so. Out: rows of `power` and `state`, and events. A board
that is lost leaves a gap; it is looked for again by its UUID, ever more rarely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import pynvml

from tokenergy_collectors.boards import Board
from tokenergy_collectors.clock import Clock
from tokenergy_collectors.live.board import LiveBoard
from tokenergy_collectors.live.view import LiveView
from tokenergy_collectors.thin import Reading, Thinner

_FIRST_RETRY_US = 1_000_000
_LAST_RETRY_US = 30_000_000

Tell = Callable[[str, str | None, str], None]
"""Takes an event: kind, device_id, detail."""


class Sink(Protocol):
    """Where rows go: the spool, or nowhere for who only looks on."""

    def add(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Take rows of a table."""


@dataclass(slots=True)
class _Watched:
    """A board, its thinner, and while it is lost when to look for it again."""

    board: Board
    live: LiveBoard | None = None
    thinner: Thinner = field(default_factory=Thinner)
    lost: bool = False
    retry_us: int = 0
    wait_us: int = _FIRST_RETRY_US


class Sampler:
    """Reads all boards of a node.

    Args:
        boards: the boards, opened.
        clock: for stamps.
        offset_us: what turns monotonic time into stamps.
        spool: takes the rows.
        tell: takes the events.
        live: shown every reading, where somebody wants to look on.
    """

    def __init__(
        self,
        boards: list[Board],
        clock: Clock,
        offset_us: int,
        spool: Sink,
        tell: Tell,
        live: LiveView | None = None,
    ) -> None:
        shown = {} if live is None else live.boards
        self._watched = [_Watched(board, shown.get(board.device_id)) for board in boards]
        self._clock = clock
        self._offset_us = offset_us
        self._spool = spool
        self._tell = tell

    def sample(self, *, energy: bool) -> None:
        """Read the power of all boards once, and their energy counters if asked to."""
        for watched in self._watched:
            before_us = self._clock.monotonic_us()
            if not watched.lost:
                self._read(watched, before_us, energy)
            elif before_us >= watched.retry_us:
                self._find(watched, before_us)

    def read_state(self, *, processes: bool) -> None:
        """Read the slow gauges of all boards once, and their processes if asked to."""
        for watched in self._watched:
            if watched.lost:
                continue
            gauges = watched.board.state()
            pids = watched.board.processes() if processes else None
            if pids is None and all(value is None for value in gauges.values()):
                continue
            ts_us = self._clock.monotonic_us() + self._offset_us
            self._spool.add("state", [(ts_us, watched.board.device_id, *gauges.values(), pids)])
            if watched.live is not None:
                watched.live.set_state(ts_us, gauges, None if pids is None else len(pids))

    def flush(self) -> None:
        """Write the readings that are held back."""
        for watched in self._watched:
            self._keep(watched.board, watched.thinner.flush())

    def _read(self, watched: _Watched, before_us: int, energy: bool) -> None:
        try:
            power_mw, energy_mj = watched.board.read(energy=energy)
        except pynvml.NVMLError as error:
            self._lose(watched, before_us, str(error))
            return
        if power_mw is None and energy_mj is None:
            return
        thinner, epoch = watched.thinner, watched.thinner.epoch
        ts_us = (before_us + self._clock.monotonic_us()) // 2 + self._offset_us
        if watched.live is not None:
            watched.live.reading(ts_us, power_mw, energy_mj)
        kept = thinner.add(ts_us, power_mw, energy_mj)
        if kept:
            self._keep(watched.board, kept)
        if thinner.epoch != epoch:
            self._tell("counter_reset", watched.board.device_id, f"counter fell to {energy_mj} mJ")

    def _lose(self, watched: _Watched, now_us: int, why: str) -> None:
        """Note a board that does not answer, once, and look for it again after a while."""
        if watched.lost:
            watched.wait_us = min(2 * watched.wait_us, _LAST_RETRY_US)
        else:
            watched.lost, watched.wait_us = True, _FIRST_RETRY_US
            self._keep(watched.board, watched.thinner.flush())
            self._tell("lost", watched.board.device_id, why)
        watched.retry_us = now_us + watched.wait_us

    def _find(self, watched: _Watched, now_us: int) -> None:
        """Look for a lost board; its counter is read at once, since that bridges the gap."""
        try:
            watched.board.reopen()
            watched.board.read(energy=False)
        except pynvml.NVMLError as error:
            self._lose(watched, now_us, str(error))
            return
        watched.lost = False
        self._tell("found", watched.board.device_id, "answers again")
        self._read(watched, self._clock.monotonic_us(), True)

    def _keep(self, board: Board, kept: list[Reading]) -> None:
        self._spool.add(
            "power",
            [
                (r.ts_us, board.device_id, r.power_mw, board.sensor, r.energy_mj, r.epoch)
                for r in kept
            ],
        )
