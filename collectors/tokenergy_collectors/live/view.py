"""The live view of a collector: the last minute of its boards, token counters and jobs.

In: readings, gauges, scrapes, allocations and events, as sources record them. Out: the state that
an endpoint or a terminal shows. It survives a reload, and never reads a board itself.

The sampling thread feeds the boards without a lock (see `board`). Everything else arrives a few
times a second at most, and replaces the previous value as a whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from tokenergy_collectors.base.clock import Clock
from tokenergy_collectors.lake.contract import EVENT, HOST, METER, STATE, TOKENS
from tokenergy_collectors.live.board import WINDOW_US, Limits, LiveBoard
from tokenergy_collectors.live.catalogue import DISK, UPLOADS, Family
from tokenergy_collectors.live.health import EventCounts
from tokenergy_collectors.live.jobs import Allocation, JobFigures, allocations_of, job_figures
from tokenergy_collectors.live.meters import LiveMeters
from tokenergy_collectors.live.tokens import Series, SeriesKey, follow
from tokenergy_collectors.settings.config import Config, keys_of
from tokenergy_collectors.sources.host import PowerReading
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.rate import rate_hz
from tokenergy_collectors.sources.nvml.settings import GpuKeys
from tokenergy_collectors.sources.plan import Health
from tokenergy_collectors.sources.tokens.settings import TokenKeys
from tokenergy_collectors.spool.counts import RecordCounts
from tokenergy_collectors.upload.uploader import UploadCounters

_PERIODS = 3
_STEP_US = 1_000_000
_KEEP_JOBS_US = 2 * WINDOW_US
_GAUGES = [name for name in STATE.column_names if name not in ("ts_us", "device_id", "pids")]


class LiveView:
    """The current state of one node.

    Args:
        clock: for the age of values.
        counts: the recorder's counts.

    Attributes:
        counts: the recorder's counts.
        events: events by kind.
        node: the node's name.
        boards: its boards by `device_id`, in index order.
        log_bytes: returns the size of the log that is not sealed yet (bytes); None without a log.
        extras: metrics of parts that not every collector has, with functions that return them.
        health: returns the state of each periodic reading.
        meters: meters of the host and of the building.
        start_us: when the view was made: about the start of the process (us UTC).
    """

    def __init__(self, clock: Clock, counts: RecordCounts | None = None) -> None:
        self.counts = counts or RecordCounts()
        self.events = EventCounts()
        self.node = ""
        self.boards: dict[str, LiveBoard] = {}
        self.log_bytes: Callable[[], int] | None = None
        self.extras: dict[Family, Callable[[], float | None]] = {}
        self.health: Callable[[], list[Health]] = list
        self.meters = LiveMeters()
        self.start_us = clock.realtime_us()
        self._clock = clock
        self._offset_us = clock.realtime_us() - clock.monotonic_us()
        self._late: tuple[int, Callable[[], int]] = (0, lambda: 0)
        self._lock = threading.Lock()
        self._series: dict[SeriesKey, Series] = {}
        self._limits_us: dict[str, int] = {}
        self._allocations: list[Allocation] = []
        self._spread: Collection[str] = ()

    def begin(
        self,
        config: Config,
        boards: Sequence[Board],
        offset_us: int,
        *,
        late: Callable[[], int],
        log_bytes: Callable[[], int] | None = None,
        health: Callable[[], list[Health]] = list,
    ) -> None:
        """Begin to follow a run; keep the last minute of an earlier run.

        Args:
            config: how often things are sampled, and which ages are allowed.
            boards: the boards, opened.
            offset_us: monotonic time plus this is a stamp (us UTC).
            late: returns how many ticks of this run came late or not at all.
            log_bytes: returns the size of the log that is not sealed yet (bytes).
            health: returns the state of each periodic reading.
        """
        # Stamps of this run and of an earlier one cannot be compared after a step between them.
        stepped = abs(offset_us - self._offset_us) > _STEP_US
        self._offset_us, self.node = offset_us, config.node
        self.log_bytes, self.health = log_bytes, health
        late_before, late_now = self._late
        self._late = (late_before + late_now(), late)
        found = {}
        for board in sorted(boards, key=lambda board: board.index):
            live = self.boards.get(board.device_id) or LiveBoard(board)
            live.follow(board, limits_of(config, board))
            if stepped:
                live.forget()
            found[board.device_id] = live
        self.boards = found
        self.meters.keep(self.now_us(), stepped=stepped)
        sources = keys_of(config, TokenKeys).tokens
        limits_us = {source.source_id: _us(_PERIODS * source.every_s) for source in sources}
        with self._lock:
            kept = {} if stepped else self._series
            self._series = {key: one for key, one in kept.items() if key.source_id in limits_us}
            self._limits_us = limits_us

    def add(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Take rows as they are recorded; uses tokens, gauges, meters and events."""
        # Scrapes arrive in threads of their own, so their series need the lock.
        if table == "tokens":
            with self._lock:
                follow(self._series, map(TOKENS.as_dict, rows), self._limits_us)
        elif table == "state":
            for row in map(STATE.as_dict, rows):
                self._set_state(row)
        elif table == "host":
            self.meters.add_host(map(HOST.as_dict, rows))
        elif table == "meter":
            self.meters.add_site(map(METER.as_dict, rows))
        elif table == "event":
            for row in map(EVENT.as_dict, rows):
                self.events.add(row["kind"])

    def readings(self, readings: Sequence[PowerReading]) -> None:
        """Take power readings."""
        boards = self.boards
        for device_id, ts_us, power_mw, energy_mj in readings:
            boards[device_id].reading(ts_us, power_mw, energy_mj)

    def allocations(self, rows: Iterable[Mapping[str, Any]], spread: Collection[str]) -> None:
        """Take the node's allocations (rows of `jobs`), and the jobs that have boards elsewhere."""
        self._allocations = allocations_of(rows, self.now_us() - _KEEP_JOBS_US)
        self._spread = spread

    def _set_state(self, row: dict[str, Any]) -> None:
        """Take the gauges of a board; rows of MIG instances are ignored."""
        board = self.boards.get(row["device_id"])
        if board is not None:
            gauges = {name: row[name] for name in _GAUGES}
            pids = row["pids"]
            board.set_state(row["ts_us"], gauges, None if pids is None else len(pids))

    def now_us(self) -> int:
        """Return the stamp that a reading would get now (us UTC)."""
        return self._clock.monotonic_us() + self._offset_us

    def late(self) -> int:
        """Return how many ticks came late or not at all, over all runs of this process."""
        late_before, late_now = self._late
        return late_before + late_now()

    def series(self) -> dict[SeriesKey, Series]:
        """Return the token counters as they are now."""
        with self._lock:
            return dict(self._series)

    def jobs(self, now_us: int) -> list[JobFigures]:
        """Return the figures of the jobs at an instant (us UTC)."""
        return job_figures(now_us, self.boards, self._allocations, self.series(), self._spread)

    def holders(self, now_us: int) -> dict[str, str]:
        """Return the job that holds each board; jobs that share it are joined with commas."""
        found: dict[str, set[str]] = {}
        for allocation in self._allocations:
            if allocation.holds(now_us):
                found.setdefault(allocation.device_id, set()).add(allocation.job_id)
        return {device_id: ",".join(sorted(jobs)) for device_id, jobs in found.items()}


class HousekeepingCounters(Protocol):
    """The counts of uploads and disk limits."""

    @property
    def uploads(self) -> UploadCounters | None:
        """What was uploaded and what waits; None without a store."""

    @property
    def disk(self) -> object | None:
        """What the disk limits removed; None without limits."""


def housekeeping_metrics(
    counters: HousekeepingCounters,
) -> dict[Family, Callable[[], float | None]]:
    """Return the metrics of uploads and disk limits, with functions that return their values."""

    def read(part: str, name: str) -> float | None:
        # The counters are replaced as a whole at each change, so they are looked up at each call.
        return getattr(getattr(counters, part), name, None)

    parts = {"uploads": UPLOADS, "disk": DISK}
    return {
        family: partial(read, part, name)
        for part, families in parts.items()
        for name, family in families.items()
        if getattr(counters, part) is not None
    }


def limits_of(config: Config, board: Board) -> Limits:
    """Return the ages up to which a board's values are shown, and its gap limit."""
    gpu = keys_of(config, GpuKeys)
    update_us = max(board.update_us or 0, _us(1 / rate_hz(gpu, [board])))
    stale_us = _us(config.metrics.stale_s)
    return Limits(
        power_us=max(_PERIODS * update_us, stale_us),
        state_us=_PERIODS * _us(gpu.state_every_s),
        processes_us=_PERIODS * _us(gpu.processes_every_s),
        counter_us=max(_PERIODS * max(update_us, _us(gpu.counter_every_s)), stale_us),
        gap_us=_PERIODS * update_us,
    )


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
