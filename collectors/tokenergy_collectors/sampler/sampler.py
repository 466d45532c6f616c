"""Reads the boards and puts what matters into the spool; copes with boards that do not answer.

In: boards, asked when the schedule says so. Out: rows of `power` and `state`, and events. A board
that is lost leaves a gap; it is looked for again by its UUID, ever more rarely. `standstill`,
`slowness` and `withheld` cope with boards that answer, but not as they should.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pynvml

from tokenergy_collectors.base.clock import Clock
from tokenergy_collectors.sampler.fallback import Withheld
from tokenergy_collectors.sampler.slow import SLOW_US, Slowness
from tokenergy_collectors.sampler.stale import Standstill
from tokenergy_collectors.sampler.thin import Reading, Thinner
from tokenergy_collectors.sources.host import Output
from tokenergy_collectors.sources.host import Reading as Seen
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.source import Tell

_FIRST_RETRY_US = 1_000_000
_LAST_RETRY_US = 30_000_000
_THIN_EVERY_US = 500_000
"""Thinning is put off for so long: ten readings at a time cost a third of ten times one."""

_LIMIT_UNKNOWN_MW = 4_000_000


@dataclass(slots=True)
class _Watched:
    """A board, what follows its readings, and while it is lost when to look for it again."""

    board: Board
    standstill: Standstill
    withheld: Withheld
    slowness: Slowness
    thinner: Thinner = field(default_factory=Thinner)
    lost: bool = False
    heard_us: int = 0
    retry_us: int = 0
    wait_us: int = _FIRST_RETRY_US


class Sampler:
    """Reads all boards of a node.

    Args:
        boards: the boards, opened.
        clock: for stamps.
        offset_us: what turns monotonic time into stamps.
        output: takes the rows, and every reading.
        tell: takes the events.
    """

    def __init__(
        self,
        boards: list[Board],
        clock: Clock,
        offset_us: int,
        output: Output,
        tell: Tell,
    ) -> None:
        self._watched = [_watch(board, tell) for board in boards]
        self._unsorted = False
        self._clock = clock
        self._offset_us = offset_us
        self._output = output
        self._tell = tell
        self._thinned_us = 0
        self._fresh: list[tuple[_Watched, int, int | None, int | None]] = []
        """Readings not thinned yet: middle of the call (monotonic us), power (mW), counter (mJ)."""

    @property
    def answers(self) -> bool:
        """Whether any board answers now; True without boards."""
        return not self._watched or not all(watched.lost for watched in self._watched)

    def sample(self, *, energy: bool, edge_us: int | None = None) -> None:
        """Read the power of all boards once, and their energy counters if asked to.

        All boards are read before anything is done with the readings: the calls lie close
        together, and the end of one is the start of the next.

        Args:
            energy: read the counters too. A slow board that rests is then read all the same.
            edge_us: the next edge (monotonic), which no slow call may hold up; None for none.
        """
        if self._unsorted:
            # Slow boards come last: those before them are read when they should be.
            self._watched.sort(key=_call_us)
            self._unsorted = False
        before_us = self._clock.monotonic_us()
        for watched in self._watched:
            call_us = watched.slowness.call_us
            if watched.lost:
                if before_us >= watched.retry_us:
                    self._find(watched, before_us)
                    before_us = self._clock.monotonic_us()
            elif not call_us or (
                (energy or not watched.slowness.rests(before_us))
                and (edge_us is None or before_us + call_us < edge_us)
            ):
                before_us = self._read(watched, before_us, energy)
        if before_us - self._thinned_us >= _THIN_EVERY_US:
            self.thin()

    def read_state(self, *, processes: bool) -> None:
        """Read the slow gauges of all boards once, and their processes if asked to."""
        self.thin()
        rows: list[tuple[Any, ...]] = []
        for watched in self._watched:
            if watched.lost or watched.slowness.call_us:
                continue
            gauges = watched.board.state()
            found = watched.board.processes_by_device() if processes else {}
            pids = found.pop(watched.board.device_id, None)
            ts_us = self._clock.monotonic_us() + self._offset_us
            watched.withheld.gauges(gauges)
            watched.standstill.busy(ts_us, gauges["sm_util"])
            if pids is not None or any(value is not None for value in gauges.values()):
                rows.append((ts_us, watched.board.device_id, *gauges.values(), pids))
            # A MIG instance has processes, and no gauges of its own.
            no_gauges = [None] * len(gauges)
            rows += [
                (ts_us, one, *no_gauges, told) for one, told in found.items() if told is not None
            ]
        if rows:
            self._output.add("state", rows)

    def flush(self) -> None:
        """Write the readings that are held back."""
        self.thin()
        for watched in self._watched:
            self._keep(watched.board, watched.thinner.flush())

    def thin(self) -> None:
        """Thin what was read since the last time; what is to be kept goes to the spool."""
        self._thinned_us = self._clock.monotonic_us()
        fresh = self._fresh.copy()
        self._fresh.clear()
        rows: list[tuple[Any, ...]] = []
        seen: list[Seen] = []
        for watched, at_us, power_mw, energy_mj in fresh:
            ts_us = at_us + self._offset_us
            power_mw, energy_mj = watched.standstill.judge(ts_us, power_mw, energy_mj)
            if power_mw is None and energy_mj is None:
                continue
            board, thinner, epoch = watched.board, watched.thinner, watched.thinner.epoch
            seen.append(Seen(board.device_id, ts_us, power_mw, energy_mj))
            for r in thinner.add(ts_us, power_mw, energy_mj):
                row = (r.ts_us, board.device_id, r.power_mw, board.sensor, r.energy_mj, r.epoch)
                rows.append(row)
            if thinner.epoch != epoch:
                detail = f"counter fell to {energy_mj} mJ"
                self._tell("counter_reset", board.device_id, detail)
        self._output.readings(seen)
        if rows:
            self._output.add("power", rows)

    def _read(self, watched: _Watched, before_us: int, energy: bool) -> int:
        """Read one board; return when that was over (monotonic)."""
        board = watched.board
        try:
            power_mw, energy_mj = board.read(energy=energy)
            after_us = self._clock.monotonic_us()
            if (power_mw is None or watched.withheld.waits) and watched.withheld.due(
                before_us, power_mw
            ):
                self._settle(watched)  # what was read so far was told by another sensor
                if watched.withheld.probe(before_us):
                    power_mw, _ = board.read(energy=False)
                    after_us = self._clock.monotonic_us()
        except pynvml.NVMLError as error:
            self._lose(watched, before_us, str(error))
            return self._clock.monotonic_us()
        watched.heard_us = after_us
        if after_us - before_us >= SLOW_US or watched.slowness.call_us:
            watched.slowness.took(before_us, after_us)
            board.slow = watched.slowness.call_us > 0
            self._unsorted = True
        if energy and board.has_energy:
            watched.withheld.counter(energy_mj)
        self._fresh.append((watched, (before_us + after_us) // 2, power_mw, energy_mj))
        return after_us

    def _lose(self, watched: _Watched, now_us: int, why: str) -> None:
        """Note a board that does not answer, once, and look for it again after a while."""
        if watched.lost:
            watched.wait_us = min(2 * watched.wait_us, _LAST_RETRY_US)
        else:
            watched.lost, watched.wait_us = True, _FIRST_RETRY_US
            self._settle(watched)
            self._tell("lost", watched.board.device_id, why)
        watched.retry_us = now_us + watched.wait_us

    def _find(self, watched: _Watched, now_us: int) -> None:
        """Look for a lost board; its counter is read at once, since that bridges the gap."""
        try:
            watched.board.reopen()
            watched.withheld.probe(now_us)
        except pynvml.NVMLError as error:
            self._lose(watched, now_us, str(error))
            return
        watched.lost, watched.board.failure = False, None
        self._tell("found", watched.board.device_id, "answers again")
        watched.standstill.reset()
        self._doubt_counter(watched, now_us)
        self._read(watched, self._clock.monotonic_us(), True)
        self.thin()

    def _doubt_counter(self, watched: _Watched, now_us: int) -> None:
        """Begin a new epoch where a counter that began anew could not be told by its fall.

        It could have come back to what it showed before only if that is less than the board can
        draw in the time it was away.
        """
        before_mj = watched.thinner.counter_mj
        limit_mw = watched.board.limit_mw or _LIMIT_UNKNOWN_MW
        most_nj = 2 * limit_mw * (now_us - watched.heard_us)
        if before_mj is not None and before_mj * 1_000_000 <= most_nj:
            watched.thinner.begin_epoch()
            why = f"counter showed {before_mj} mJ before: it may have begun anew"
            self._tell("counter_reset", watched.board.device_id, why)

    def _settle(self, watched: _Watched) -> None:
        """Write everything of a board that was read so far."""
        self.thin()
        self._keep(watched.board, watched.thinner.flush())

    def _keep(self, board: Board, kept: list[Reading]) -> None:
        device_id, sensor = board.device_id, board.sensor
        rows = [(r.ts_us, device_id, r.power_mw, sensor, r.energy_mj, r.epoch) for r in kept]
        self._output.add("power", rows)


def _watch(board: Board, tell: Tell) -> _Watched:
    def tell_of(kind: str, detail: str) -> None:
        tell(kind, board.device_id, detail)

    standstill = Standstill(board.update_us, tell_of, board.counter_us)
    return _Watched(board, standstill, Withheld(board, tell_of), Slowness(tell_of))


def _call_us(watched: _Watched) -> tuple[int, int]:
    return watched.slowness.call_us, watched.board.index
