"""Switches to another power reading when a board stops reporting one, and back when it returns.

In: one board's readings and gauges. Out: the best power reading that the board reports now, and the
events `sensor`, `counter_lost`, `counter_found` and `gauges`.
"""

from __future__ import annotations

from collections.abc import Mapping

from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.source import EmitBoardEvent

_AWAY_US = 500_000
"""A reading must be missing this long before another one is tried: a single gap is common."""

_AGAIN_US = 1_000_000
_BETTER_US = 10_000_000


class SensorFallback:
    """Follows which readings one board reports.

    Args:
        board: the board, as found at start; its sensor then is the best one, and is tried again.
        emit: takes events.
    """

    def __init__(self, board: Board, emit: EmitBoardEvent) -> None:
        self._board = board
        self._emit = emit
        self._best = board.sensor
        self._probe_us = 0
        self._away_us: int | None = None
        self._counter_lost = False
        self._missing: frozenset[str] | None = None
        self.waits = False
        """Whether to ask `due` even after a reading with a value: a better sensor may be back."""

    def due(self, now_us: int, power_mw: int | None) -> bool:
        """Return whether to try other sensors: this one fails, or a better one may work again.

        Args:
            now_us: monotonic time.
            power_mw: the latest reading; None if the board reported none.
        """
        if power_mw is not None:
            self._away_us = None
            self.waits = wanting = self._board.sensor != self._best
        else:
            self.waits = True
            if self._away_us is None:
                self._away_us = now_us
            wanting = now_us - self._away_us >= _AWAY_US or self._board.sensor == "none"
        # A board that reported no power at start has no better sensor to return to.
        return wanting and self._best != "none" and now_us >= self._probe_us

    def probe(self, now_us: int) -> bool:
        """Switch to the best sensor that answers now; return whether that is another one.

        Raises:
            pynvml.NVMLError: the board does not answer.
        """
        board, before = self._board, self._board.sensor
        board.probe_power()
        self.waits = degraded = board.sensor != self._best
        self._probe_us = now_us + (_BETTER_US if degraded else _AGAIN_US)
        if board.sensor == before:
            return False
        self._emit("sensor", f"power sensor is now {board.sensor} instead of {before}")
        return True

    def counter(self, energy_mj: int | None) -> None:
        """Note a reading of the energy counter (mJ; None: not reported) of a board that has one."""
        if (energy_mj is None) == self._counter_lost:
            return
        self._counter_lost = energy_mj is None
        if self._counter_lost:
            self._emit("counter_lost", "the board no longer reports its energy counter")
        else:
            detail = f"the board reports its energy counter again: {energy_mj} mJ"
            self._emit("counter_found", detail)

    def gauges(self, found: Mapping[str, object]) -> None:
        """Note which gauges the board reports; report changes after the first call."""
        missing = frozenset(name for name, value in found.items() if value is None)
        if self._missing is not None and missing != self._missing:
            away = ", ".join(sorted(missing)) or "none"
            self._emit("gauges", f"not reported: {away}")
        self._missing = missing
