"""The live view of a collector: the last minute of its boards, token counters and jobs.

In: readings, gauges, scrapes, allocations and events, as the daemon has them. Out: the state that
an endpoint or a terminal shows. It outlives a reload; nothing in it asks a board for anything.

Boards are fed by the sampling without a lock (see `board`). Everything else comes a few times a
second at most, and replaces what was there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from tokenergy_collectors.base.clock import Clock
from tokenergy_collectors.live.board import WINDOW_US, Limits, LiveBoard
from tokenergy_collectors.live.catalogue import UPLOADS, Family
from tokenergy_collectors.live.health import EventCounts
from tokenergy_collectors.live.jobs import Allocation, JobFigures, allocations_of, job_figures
from tokenergy_collectors.live.tokens import Series, SeriesKey, follow
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.rate import rate_hz
from tokenergy_collectors.sources.tokens.settings import TokenSource
from tokenergy_collectors.spool.counts import RecordCounts
from tokenergy_collectors.upload.uploader import UploadCounters

_PERIODS = 3
_STEP_US = 1_000_000
_KEEP_JOBS_US = 2 * WINDOW_US


class LiveView:
    """What is known of a node now.

    Args:
        clock: tells how old a value is.

    Attributes:
        tally: what the recorder counts.
        events: events by kind.
        node: the node's name.
        boards: its boards by `device_id`, in index order.
        log_bytes: tells the bytes that wait in the write-ahead log; None where there is no log.
        extras: metrics of parts that not every collector has, and what tells their values.
        start_us: when it was made: the start of the process, nearly (us UTC).
    """

    def __init__(self, clock: Clock) -> None:
        self.tally = RecordCounts()
        self.events = EventCounts()
        self.node = ""
        self.boards: dict[str, LiveBoard] = {}
        self.log_bytes: Callable[[], int] | None = None
        self.extras: dict[Family, Callable[[], float | None]] = {}
        self.start_us = clock.realtime_us()
        self._clock = clock
        self._offset_us = clock.realtime_us() - clock.monotonic_us()
        self._late: tuple[int, Callable[[], int]] = (0, lambda: 0)
        self._lock = threading.Lock()
        self._series: dict[SeriesKey, Series] = {}
        self._allocations: list[Allocation] = []
        self._spread: Collection[str] = ()

    def begin(
        self,
        config: Config,
        boards: Sequence[Board],
        offset_us: int,
        late: Callable[[], int],
        log_bytes: Callable[[], int] | None = None,
    ) -> None:
        """Take over from the daemon before, if there was one; its last minute stays.

        Args:
            config: what is sampled how often, and which ages are allowed.
            boards: the boards, opened.
            offset_us: what turns monotonic time into stamps.
            late: tells the ticks of this daemon that came late or not at all.
            log_bytes: tells the bytes that wait in the log.
        """
        stepped = abs(offset_us - self._offset_us) > _STEP_US
        self._offset_us, self.node, self.log_bytes = offset_us, config.node, log_bytes
        before, told = self._late
        self._late = (before + told(), late)
        found = {}
        for board in sorted(boards, key=lambda board: board.index):
            live = self.boards.get(board.device_id) or LiveBoard(board)
            live.follow(board, limits_of(config, board))
            if stepped:
                live.forget()
            found[board.device_id] = live
        self.boards = found
        ids = {source.source_id for source in config.tokens}
        with self._lock:
            kept = {} if stepped else self._series
            self._series = {key: one for key, one in kept.items() if key.source_id in ids}

    def add_tokens(self, source: TokenSource, rows: Iterable[tuple[Any, ...]]) -> None:
        """Take the rows of `tokens` of one scrape."""
        with self._lock:
            follow(self._series, rows, round(_PERIODS * source.every_s * 1_000_000))

    def set_jobs(self, rows: Iterable[Mapping[str, Any]], spread: Collection[str]) -> None:
        """Take the node's allocations (rows of `jobs`), and which jobs have boards elsewhere."""
        self._allocations = allocations_of(rows, self.now_us() - _KEEP_JOBS_US)
        self._spread = spread

    def now_us(self) -> int:
        """Return the stamp that a reading would get now (us UTC)."""
        return self._clock.monotonic_us() + self._offset_us

    def late(self) -> int:
        """Return the ticks left out so far, all daemons of this process together."""
        before, told = self._late
        return before + told()

    def series(self) -> dict[SeriesKey, Series]:
        """Return the token counters as they are now."""
        with self._lock:
            return dict(self._series)

    def jobs(self, now_us: int) -> list[JobFigures]:
        """Return the figures of the jobs at an instant (us UTC)."""
        return job_figures(now_us, self.boards, self._allocations, self.series(), self._spread)

    def holders(self, now_us: int) -> dict[str, str]:
        """Return the job that holds each board; several, where they share it, with commas."""
        found: dict[str, set[str]] = {}
        for allocation in self._allocations:
            if allocation.holds(now_us):
                found.setdefault(allocation.device_id, set()).add(allocation.job_id)
        return {device_id: ",".join(sorted(jobs)) for device_id, jobs in found.items()}


def upload_metrics(
    counters: Callable[[], UploadCounters | None],
) -> dict[Family, Callable[[], float | None]]:
    """Return the metrics of an uploader, which tells its counters whenever they are asked for."""

    def read(name: str) -> float | None:
        return getattr(counters(), name, None)

    return {family: partial(read, name) for name, family in UPLOADS.items()}


def limits_of(config: Config, board: Board) -> Limits:
    """Return the ages up to which a board's values are shown, and its gap limit."""
    update_us = max(board.update_us or 0, _us(1 / rate_hz(config, [board])))
    stale_us = _us(config.metrics.stale_s)
    return Limits(
        power_us=max(_PERIODS * update_us, stale_us),
        state_us=_PERIODS * _us(config.state_every_s),
        processes_us=_PERIODS * _us(config.processes_every_s),
        counter_us=max(_PERIODS * max(update_us, _us(config.counter_every_s)), stale_us),
        gap_us=_PERIODS * update_us,
    )


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
