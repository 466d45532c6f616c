"""Copes with readings that a board stops telling: falls back to others, and goes back again.

In: one board's readings and gauges. Out: the best power reading that the board tells now, and the
events `sensor`, `counter_lost`, `counter_found` and `gauges`.
"""

from __future__ import annotations

from collections.abc import Mapping

from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.source import TellOf

_AWAY_US = 500_000
"""One reading that is missing changes nothing."""

_AGAIN_US = 1_000_000
_BETTER_US = 10_000_000


class SensorFallback:
    """Follows what one board tells and what it does not.

    Args:
        board: the board, as found at start: what it told then it is asked for again.
        tell: takes events.
    """

    def __init__(self, board: Board, tell: TellOf) -> None:
        self._board = board
        self._tell = tell
        self._best = board.sensor
        self._probe_us = 0
        self._away_us: int | None = None
        self._counter_lost = False
        self._missing: frozenset[str] | None = None
        self.waits = False
        """Whether a reading may be `due` for a change though it was told."""

    def due(self, now_us: int, power_mw: int | None) -> bool:
        """Tell whether to look for another power reading: this one ended, or a better one may do.

        Args:
            now_us: monotonic time.
            power_mw: what was just read.
        """
        if power_mw is not None:
            self._away_us = None
            self.waits = wanting = self._board.sensor != self._best
        else:
            self.waits = True
            if self._away_us is None:
                self._away_us = now_us
            wanting = now_us - self._away_us >= _AWAY_US or self._board.sensor == "none"
        return wanting and self._best != "none" and now_us >= self._probe_us

    def probe(self, now_us: int) -> bool:
        """Use the best power reading that answers now; return whether it is another one.

        Raises:
            pynvml.NVMLError: the board does not answer.
        """
        board, before = self._board, self._board.sensor
        board.probe_power()
        self.waits = degraded = board.sensor != self._best
        self._probe_us = now_us + (_BETTER_US if degraded else _AGAIN_US)
        if board.sensor == before:
            return False
        self._tell("sensor", f"power: {board.sensor} instead of {before}")
        return True

    def counter(self, energy_mj: int | None) -> None:
        """Take note of a reading of the counter of a board that has one."""
        if (energy_mj is None) == self._counter_lost:
            return
        self._counter_lost = energy_mj is None
        if self._counter_lost:
            self._tell("counter_lost", "the energy counter is not told any more")
        else:
            self._tell("counter_found", f"the energy counter is told again: {energy_mj} mJ")

    def gauges(self, found: Mapping[str, object]) -> None:
        """Take note of which gauges are told; the first time is how the board is."""
        missing = frozenset(name for name, value in found.items() if value is None)
        if self._missing is not None and missing != self._missing:
            away = ", ".join(sorted(missing)) or "none"
            self._tell("gauges", f"not told: {away}")
        self._missing = missing
