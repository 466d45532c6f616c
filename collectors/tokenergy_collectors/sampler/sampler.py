"""Reads the boards and records their readings; handles boards that do not answer.

In: boards, read when the schedule says so. Out: rows of `power` and `state`, and events. A lost
board leaves a gap; the sampler looks for it by its UUID, with growing waits. `stale`, `slow` and
`fallback` handle boards that answer, but not as they should.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pynvml

from tokenergy_collectors.base.backoff import Backoff
from tokenergy_collectors.base.clock import Clock
from tokenergy_collectors.lake.contract import IMPLAUSIBLE_SENSOR, POWER, STATE
from tokenergy_collectors.sampler.deduplicate import Deduplicator, Reading
from tokenergy_collectors.sampler.epochs import CounterEpochs
from tokenergy_collectors.sampler.fallback import SensorFallback
from tokenergy_collectors.sampler.implausible import PlausiblePower
from tokenergy_collectors.sampler.slow import SLOW_US, SlowCalls
from tokenergy_collectors.sampler.stale import StaleFilter
from tokenergy_collectors.sources.host import Output, PowerReading
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.source import EmitEvent

_FIRST_RETRY_US = 1_000_000
_LAST_RETRY_US = 30_000_000
_RECORD_EVERY_US = 500_000
"""How long readings wait to be recorded: ten at once cost a third of ten single ones."""

_LIMIT_UNKNOWN_MW = 4_000_000
"""Taken for the power limit of a board that reports none: enough for any board."""


@dataclass(slots=True)
class _Watched:
    """A board with everything that follows its readings; `retry_us` applies while it is lost."""

    board: Board
    stale: StaleFilter
    fallback: SensorFallback
    slow: SlowCalls
    plausible: PlausiblePower
    epochs: CounterEpochs = field(default_factory=CounterEpochs)
    deduplicator: Deduplicator = field(default_factory=Deduplicator)
    backoff: Backoff = field(default_factory=lambda: Backoff(_FIRST_RETRY_US, _LAST_RETRY_US))
    lost: bool = False
    answered_us: int = 0
    retry_us: int = 0


class Sampler:
    """Reads all boards of a node.

    Args:
        boards: the boards, opened.
        clock: for stamps.
        offset_us: monotonic time plus this is a stamp (us UTC).
        output: takes the rows, and every reading.
        emit: takes the events.
    """

    def __init__(
        self,
        boards: list[Board],
        clock: Clock,
        offset_us: int,
        output: Output,
        emit: EmitEvent,
    ) -> None:
        self._watched = [_watch(board, emit) for board in boards]
        self._unsorted = False
        self._clock = clock
        self._offset_us = offset_us
        self._output = output
        self._emit = emit
        self._recorded_us = 0
        self._fresh: list[tuple[_Watched, int, int | None, int | None]] = []
        """Not recorded yet: board, middle of the call (monotonic us), power (mW), counter (mJ)."""

    @property
    def answers(self) -> bool:
        """Whether any board answers now; True without boards."""
        return not self._watched or not all(watched.lost for watched in self._watched)

    def sample(self, *, energy: bool, edge_us: int | None = None) -> None:
        """Read the power of all boards once, and their energy counters if asked to.

        All boards are read before their readings are processed, so that the calls follow each
        other closely, and the end of one call is the start of the next.

        Args:
            energy: read the counters too. This also reads slow boards that rest.
            edge_us: the next edge (monotonic), which no slow call may delay; None if none is near.
        """
        if self._unsorted:
            # Slow boards come last, so that they do not delay the others.
            self._watched.sort(key=_call_us)
            self._unsorted = False
        before_us = self._clock.monotonic_us()
        for watched in self._watched:
            call_us = watched.slow.call_us
            if watched.lost:
                if before_us >= watched.retry_us:
                    self._find(watched, before_us)
                    before_us = self._clock.monotonic_us()
            elif not call_us or (
                (energy or not watched.slow.rests(before_us))
                and (edge_us is None or before_us + call_us < edge_us)
            ):
                before_us = self._read(watched, before_us, energy)
        if before_us - self._recorded_us >= _RECORD_EVERY_US:
            self.record()

    def read_state(self, *, processes: bool) -> None:
        """Read the gauges of all boards once, and with `processes` their processes."""
        self.record()
        rows: list[tuple[Any, ...]] = []
        for watched in self._watched:
            if watched.lost or watched.slow.call_us:
                continue
            gauges = watched.board.state()
            found = watched.board.processes_by_device() if processes else {}
            pids = found.pop(watched.board.device_id, None)
            ts_us = self._clock.monotonic_us() + self._offset_us
            watched.fallback.gauges(gauges)
            watched.stale.busy(ts_us, gauges["sm_util"])
            if pids is not None or any(value is not None for value in gauges.values()):
                device_id = watched.board.device_id
                rows.append(STATE.make_row(ts_us=ts_us, device_id=device_id, **gauges, pids=pids))
            # A MIG instance has processes, and no gauges of its own.
            rows += [
                STATE.make_row(ts_us=ts_us, device_id=instance, pids=pids)
                for instance, pids in found.items()
                if pids is not None
            ]
        if rows:
            self._output.add("state", rows)

    def flush(self) -> None:
        """Record all readings, also those that are held back."""
        self.record()
        for watched in self._watched:
            self._keep(watched.board, watched.deduplicator.flush())

    def record(self) -> None:
        """Record what was read since the last call, without repeated readings."""
        self._recorded_us = self._clock.monotonic_us()
        fresh = self._fresh.copy()
        self._fresh.clear()
        rows: list[tuple[Any, ...]] = []
        seen: list[PowerReading] = []
        for watched, at_us, power_mw, energy_mj in fresh:
            ts_us = at_us + self._offset_us
            board, epochs = watched.board, watched.epochs
            limits_mw = (board.limit_mw, board.limit_max_mw)
            refused = watched.plausible.refuses(ts_us, power_mw, *limits_mw)
            if refused:
                power_mw = None
            power_mw, energy_mj = watched.stale.filter(ts_us, power_mw, energy_mj)
            if power_mw is None and energy_mj is None and not refused:
                continue
            seen.append(PowerReading(board.device_id, ts_us, power_mw, energy_mj))
            if not watched.deduplicator.is_later(ts_us):
                continue
            fell = epochs.add(energy_mj)
            sensor = IMPLAUSIBLE_SENSOR if refused else board.sensor
            reading = Reading(ts_us, power_mw, energy_mj, epochs.epoch, sensor)
            rows += _rows(board, watched.deduplicator.add(reading))
            if fell:
                detail = f"the energy counter fell to {energy_mj} mJ"
                self._emit("counter_reset", board.device_id, detail)
        self._output.readings(seen)
        if rows:
            self._output.add("power", rows)

    def _read(self, watched: _Watched, before_us: int, energy: bool) -> int:
        """Read one board; return when the call ended (monotonic)."""
        board = watched.board
        try:
            power_mw, energy_mj = board.read(energy=energy)
            after_us = self._clock.monotonic_us()
            # A board that is on draws something: 0 is a field without a value behind it.
            if (not power_mw or watched.fallback.waits) and watched.fallback.due(
                before_us, power_mw or None
            ):
                self._settle(watched)  # what was read so far came from another sensor
                if watched.fallback.probe(before_us):
                    power_mw, _ = board.read(energy=False)
                    after_us = self._clock.monotonic_us()
        except pynvml.NVMLError as error:
            self._lose(watched, before_us, str(error))
            return self._clock.monotonic_us()
        watched.answered_us = after_us
        if after_us - before_us >= SLOW_US or watched.slow.call_us:
            watched.slow.took(before_us, after_us)
            board.slow = watched.slow.call_us > 0
            self._unsorted = True
        if energy and board.has_energy:
            watched.fallback.counter(energy_mj)
        self._fresh.append((watched, (before_us + after_us) // 2, power_mw, energy_mj))
        return after_us

    def _lose(self, watched: _Watched, now_us: int, why: str) -> None:
        """Report once that a board does not answer; plan when to look for it again."""
        watched.retry_us = now_us + round(watched.backoff.failed())
        if not watched.lost:
            watched.lost = True
            self._settle(watched)  # nothing that was read before is held back until it returns
            self._emit("lost", watched.board.device_id, why)

    def _find(self, watched: _Watched, now_us: int) -> None:
        """Look for a lost board; read its counter at once, since that bridges the gap."""
        try:
            watched.board.reopen()
            watched.fallback.probe(now_us)
        except pynvml.NVMLError as error:
            self._lose(watched, now_us, str(error))
            return
        watched.lost, watched.board.failure = False, None
        watched.backoff.worked()
        self._emit("found", watched.board.device_id, "the board answers again")
        watched.stale.reset()
        self._doubt_counter(watched, now_us)
        self._read(watched, self._clock.monotonic_us(), True)
        self.record()

    def _doubt_counter(self, watched: _Watched, now_us: int) -> None:
        """Begin a new epoch if the counter may have restarted without a visible fall.

        A restarted counter can exceed its old value only if the board could draw that much energy
        while it was away: at most twice its power limit for that time.
        """
        before_mj = watched.epochs.counter_mj
        limit_mw = watched.board.limit_mw or _LIMIT_UNKNOWN_MW
        most_nj = 2 * limit_mw * (now_us - watched.answered_us)
        if before_mj is not None and before_mj * 1_000_000 <= most_nj:
            watched.epochs.begin()
            why = f"the energy counter showed {before_mj} mJ before and may have restarted"
            self._emit("counter_reset", watched.board.device_id, why)

    def _settle(self, watched: _Watched) -> None:
        """Record everything that was read of a board so far."""
        self.record()
        self._keep(watched.board, watched.deduplicator.flush())

    def _keep(self, board: Board, kept: list[Reading]) -> None:
        self._output.add("power", _rows(board, kept))


def _rows(board: Board, kept: list[Reading]) -> list[tuple[Any, ...]]:
    """Return rows of `power`."""
    return [
        POWER.make_row(
            ts_us=reading.ts_us,
            device_id=board.device_id,
            power_mw=reading.power_mw,
            sensor=reading.sensor,
            energy_mj=reading.energy_mj,
            epoch=reading.epoch,
        )
        for reading in kept
    ]


def _watch(board: Board, emit: EmitEvent) -> _Watched:
    def emit_of_board(kind: str, detail: str) -> None:
        emit(kind, board.device_id, detail)

    stale = StaleFilter(board.update_us, emit_of_board, board.counter_us)
    fallback = SensorFallback(board, emit_of_board)
    plausible = PlausiblePower(emit_of_board)
    return _Watched(board, stale, fallback, SlowCalls(emit_of_board), plausible)


def _call_us(watched: _Watched) -> tuple[int, int]:
    return watched.slow.call_us, watched.board.index
