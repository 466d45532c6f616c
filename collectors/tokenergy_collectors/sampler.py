"""Reads the boards and puts what matters into the spool; copes with boards that do not answer.

In: boards, asked when the schedule says so. Out: rows of `power` and `state`, and events. A board
that is lost leaves a gap; it is looked for again by its UUID, ever more rarely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pynvml

from tokenergy_collectors.boards import Board
from tokenergy_collectors.clock import Clock
from tokenergy_collectors.spool import Spool
from tokenergy_collectors.thin import Reading, Thinner

_FIRST_RETRY_US = 1_000_000
_LAST_RETRY_US = 30_000_000
_TICKS = 10

Tell = Callable[[str, str | None, str], None]
"""Takes an event: kind, device_id, detail."""


@dataclass(slots=True)
class _Watched:
    """A board, its thinner, and while it is lost when to look for it again."""

    board: Board
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
    """

    def __init__(
        self, boards: list[Board], clock: Clock, offset_us: int, spool: Spool, tell: Tell
    ) -> None:
        self._watched = [_Watched(board) for board in boards]
        self._clock = clock
        self._offset_us = offset_us
        self._spool = spool
        self._tell = tell
        self._fresh: list[tuple[_Watched, int, int | None, int | None]] = []
        """Readings not thinned yet: middle of the call (monotonic us), power (mW), counter (mJ)."""

    def sample(self, *, energy: bool) -> None:
        """Read the power of all boards once, and their energy counters if asked to.

        All boards are read before anything is done with the readings: the calls lie close
        together, and the end of one is the start of the next. What is done with them, thinning, is
        put off for some ticks: ten at a time cost a third of ten times one.
        """
        clock, fresh = self._clock, self._fresh
        before_us = clock.monotonic_us()
        for watched in self._watched:
            if watched.lost:
                if before_us >= watched.retry_us:
                    self._find(watched, before_us)
                    before_us = clock.monotonic_us()
                continue
            try:
                power_mw, energy_mj = watched.board.read(energy=energy)
            except pynvml.NVMLError as error:
                self._lose(watched, before_us, str(error))
                before_us = clock.monotonic_us()
                continue
            after_us = clock.monotonic_us()
            fresh.append((watched, (before_us + after_us) // 2, power_mw, energy_mj))
            before_us = after_us
        if len(fresh) >= _TICKS * len(self._watched):
            self.thin()

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

    def flush(self) -> None:
        """Write the readings that are held back."""
        self.thin()
        for watched in self._watched:
            self._keep(watched.board, watched.thinner.flush())

    def thin(self) -> None:
        """Thin what was read since the last time; what is to be kept goes to the spool."""
        fresh = self._fresh.copy()
        self._fresh.clear()
        rows: list[tuple[Any, ...]] = []
        for watched, at_us, power_mw, energy_mj in fresh:
            if power_mw is None and energy_mj is None:
                continue
            board, thinner, epoch = watched.board, watched.thinner, watched.thinner.epoch
            for r in thinner.add(at_us + self._offset_us, power_mw, energy_mj):
                row = (r.ts_us, board.device_id, r.power_mw, board.sensor, r.energy_mj, r.epoch)
                rows.append(row)
            if thinner.epoch != epoch:
                detail = f"counter fell to {energy_mj} mJ"
                self._tell("counter_reset", board.device_id, detail)
        if rows:
            self._spool.add("power", rows)

    def _lose(self, watched: _Watched, now_us: int, why: str) -> None:
        """Note a board that does not answer, once, and look for it again after a while."""
        if watched.lost:
            watched.wait_us = min(2 * watched.wait_us, _LAST_RETRY_US)
        else:
            watched.lost, watched.wait_us = True, _FIRST_RETRY_US
            self.thin()
            self._keep(watched.board, watched.thinner.flush())
            self._tell("lost", watched.board.device_id, why)
        watched.retry_us = now_us + watched.wait_us

    def _find(self, watched: _Watched, now_us: int) -> None:
        """Look for a lost board; its counter is read at once, since that bridges the gap."""
        try:
            watched.board.reopen()
            first = watched.board.read(energy=True)
        except pynvml.NVMLError as error:
            self._lose(watched, now_us, str(error))
            return
        watched.lost = False
        self._tell("found", watched.board.device_id, "answers again")
        self._fresh.append((watched, self._clock.monotonic_us(), *first))

    def _keep(self, board: Board, kept: list[Reading]) -> None:
        device_id, sensor = board.device_id, board.sensor
        rows = [(r.ts_us, device_id, r.power_mw, sensor, r.energy_mj, r.epoch) for r in kept]
        self._spool.add("power", rows)
