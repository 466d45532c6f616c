"""One board in the last minute: its latest reading, its gauges, and its energy curve.

In: every reading, from the sampling thread. Out: power while it is fresh, and energy between two
instants. A reading costs a multiplication and four stores; once a second a point is added to the
energy curve. One thread writes and others read without a lock: what they read is a number, or a
tuple that is replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tokenergy_collectors.live.curve import difference
from tokenergy_collectors.sources.nvml.boards import Board

WINDOW_US = 60_000_000
_MARK_EVERY_US = 1_000_000
_LEAST_GAP_US = 1_500_000
_TWICE_NJ_PER_MJ = 2_000_000
_FROZEN_MJ = 1_000
"""A counter that did not move while the readings add up to more than this is not used."""


class Limits(NamedTuple):
    """Ages above which a value is not shown (us), and the spacing above which it is a gap (us)."""

    power_us: int
    state_us: int
    processes_us: int
    counter_us: int
    gap_us: int


class Mark(NamedTuple):
    """A point of the energy curve.

    Attributes:
        ts_us: its time (us UTC).
        counter_mj: the counter, continued over restarts; None if it was not read.
        twice_nj: twice the integral of the readings up to then, without gaps.
        uncovered_us: time up to then in which power was unknown.
    """

    ts_us: int
    counter_mj: int | None
    twice_nj: int
    uncovered_us: int


class State(NamedTuple):
    """The latest gauges."""

    ts_us: int
    gauges: Mapping[str, int | None]


class LiveBoard:
    """Takes the readings of one board; all times are stamps of the collector (us UTC).

    Attributes:
        board: the board.
        limits: ages up to which values are shown.
        ts_us: stamp of the latest power reading; 0 before the first.
        power_mw: that reading.
        readings: how many readings it gave so far.
        gaps: how many spacings of its readings exceeded the gap limit so far.
        marks: the energy curve of a little more than a minute, oldest first.
        state: the latest gauges.
        processes: when the process list was last read, and its length.
    """

    __slots__ = (
        "_counter_mj",
        "_gap_us",
        "_keep_us",
        "_mark_us",
        "_raw_mj",
        "_twice_nj",
        "_twice_nj_at_raw",
        "_uncovered_us",
        "board",
        "gaps",
        "limits",
        "marks",
        "power_mw",
        "processes",
        "readings",
        "state",
        "ts_us",
    )

    def __init__(self, board: Board) -> None:
        self.readings = 0
        self.gaps = 0
        self._raw_mj: int | None = None
        self._counter_mj = 0
        self._twice_nj = 0
        self._twice_nj_at_raw = 0
        self._uncovered_us = 0
        self.forget()
        self.follow(board, Limits(0, 0, 0, 0, 0))

    def follow(self, board: Board, limits: Limits) -> None:
        """Set the board as it was opened, and the limits that now apply."""
        self.board = board
        self.limits = limits
        self._gap_us = max(limits.gap_us, _LEAST_GAP_US)
        self._keep_us = WINDOW_US + max(limits.counter_us, 2 * _MARK_EVERY_US)

    def forget(self) -> None:
        """Forget the last minute, as after a step of the stamps; totals stay."""
        self.ts_us = 0
        self.power_mw = 0
        self.marks: tuple[Mark, ...] = ()
        self._mark_us = 0
        self.state: State | None = None
        self.processes: tuple[int, int] | None = None

    def reading(self, ts_us: int, power_mw: int | None, energy_mj: int | None) -> None:
        """Take a reading; called at every tick."""
        spent_us = ts_us - self.ts_us
        if power_mw is None or not 0 <= spent_us <= self._gap_us:
            self._resume(ts_us, power_mw)
        else:
            self._twice_nj += (self.power_mw + power_mw) * spent_us
            # The stamp last: a thread that reads in between then sees a reading as too old, which
            # is harmless, and never as too new.
            self.power_mw = power_mw
            self.ts_us = ts_us
        self.readings += 1
        if energy_mj is not None or ts_us >= self._mark_us:
            self._mark(ts_us, energy_mj)

    def set_state(
        self, ts_us: int, gauges: Mapping[str, int | None], processes: int | None
    ) -> None:
        """Take the gauges, and the number of processes if they were read."""
        self.state = State(ts_us, gauges)
        if processes is not None:
            self.processes = (ts_us, processes)

    def fresh_mw(self, now_us: int) -> int | None:
        """Return the latest power (mW); None if it is older than its limit."""
        ts_us, power_mw = self.ts_us, self.power_mw
        return power_mw if ts_us and now_us - ts_us <= self.limits.power_us else None

    def fresh_gauges(self, now_us: int) -> Mapping[str, int | None]:
        """Return the latest gauges; empty if they are older than their limit."""
        state = self.state
        return state.gauges if state and now_us - state.ts_us <= self.limits.state_us else {}

    def fresh_processes(self, now_us: int) -> int | None:
        """Return the number of processes; None if it is older than its limit."""
        found = self.processes
        return found[1] if found and now_us - found[0] <= self.limits.processes_us else None

    def counter_mj(self, now_us: int) -> int | None:
        """Return the counter (mJ), which never falls; None if its latest reading is too old."""
        last = next((m for m in reversed(self.marks) if m.counter_mj is not None), None)
        return last.counter_mj if last and now_us - last.ts_us <= self.limits.counter_us else None

    def minute_mj(self, now_us: int) -> float | None:
        """Return the energy of the minute before the latest mark (mJ); None if unknown."""
        curve = self._curve()
        if not curve or now_us - curve[-1].ts_us > self.limits.counter_us:
            return None
        end_us = curve[-1].ts_us
        return self.energy_mj(end_us - WINDOW_US, end_us)

    def span(self) -> tuple[int, int] | None:
        """Return the first and last instant for which energy can be known (us UTC)."""
        curve = self._curve()
        return (curve[0].ts_us, curve[-1].ts_us) if curve else None

    def energy_mj(self, start_us: int, end_us: int) -> float | None:
        """Return the energy between two instants (mJ); None if it is unknown.

        It is the counter's if there is one and it moves, else the integral of the readings, which
        is unknown over a gap. Between two marks energy is interpolated linearly.
        """
        marks, spacing_us = self.marks, max(self.limits.counter_us, 3 * _MARK_EVERY_US)
        counted = [(m.ts_us, m.counter_mj) for m in marks if m.counter_mj is not None]
        counter_mj = difference(counted, start_us, end_us, spacing_us)
        integral_mj = None
        if not difference([(m.ts_us, m.uncovered_us) for m in marks], start_us, end_us, spacing_us):
            twice_nj = difference([(m.ts_us, m.twice_nj) for m in marks], start_us, end_us)
            integral_mj = None if twice_nj is None else twice_nj / _TWICE_NJ_PER_MJ
        # A counter misses nothing between two readings, so it is preferred while it moves.
        frozen = counter_mj == 0 and integral_mj is not None and integral_mj > _FROZEN_MJ
        return integral_mj if counter_mj is None or frozen else counter_mj

    def _curve(self) -> list[Mark]:
        """Return the marks to compute energy from: those with a counter, if there are any."""
        marks = self.marks
        return [mark for mark in marks if mark.counter_mj is not None] or list(marks)

    def _resume(self, ts_us: int, power_mw: int | None) -> None:
        """Take a reading after a gap, or the first one."""
        if power_mw is None:
            return
        if self.ts_us and ts_us > self.ts_us:
            self.gaps += 1
            self._uncovered_us += ts_us - self.ts_us
        self.power_mw = power_mw
        self.ts_us = ts_us

    def _mark(self, ts_us: int, energy_mj: int | None) -> None:
        self._mark_us = ts_us + _MARK_EVERY_US
        if energy_mj is not None:
            self._count(energy_mj)
        counter_mj = None if energy_mj is None else self._counter_mj
        uncovered_us = self._uncovered_us + ts_us - (self.ts_us or ts_us)
        mark = Mark(ts_us, counter_mj, self._twice_nj, uncovered_us)
        marks, first = self.marks, 0
        while first < len(marks) and marks[first].ts_us < ts_us - self._keep_us:
            first += 1
        # A new tuple: threads that read the old one are not disturbed.
        self.marks = (*marks[first:], mark)

    def _count(self, energy_mj: int) -> None:
        """Continue the counter; if it fell, the integral of the readings bridges that second."""
        if self._raw_mj is None:
            self._counter_mj = energy_mj
        elif energy_mj >= self._raw_mj:
            self._counter_mj += energy_mj - self._raw_mj
        else:
            self._counter_mj += (self._twice_nj - self._twice_nj_at_raw) // _TWICE_NJ_PER_MJ
        self._raw_mj, self._twice_nj_at_raw = energy_mj, self._twice_nj
