"""When the spool writes its logs, syncs them to disk and seals them into files.

In: the spool and the schedule. Out: calls in threads, so that a slow disk never delays the
sampling, and events that say what failed and when it works again.

On a virtual clock, where an hour passes in seconds, logs are written at the pace of real time: a
kill comes in real time, and 7,200 writes per emulated hour would save nothing. Sealing follows
virtual time, so that the same run makes the same files.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.problems import Problems
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.base.workers import Worker
from tokenergy_collectors.daemon.housekeeping import Housekeeping
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.spool.counts import RecordCounts
from tokenergy_collectors.spool.sealing import preload
from tokenergy_collectors.spool.spool import Spool

_STOP_S = 5.0
_LAST_RETRIES_US = (500_000, 2_000_000)


class Recorder:
    """Records the rows of one daemon.

    Args:
        config: how often to write, sync and seal.
        host: has the lake and the clock; from now on its output goes to the spool.
        release: has the sources record their readings; with True also those that are held back.
        counts: counts what is recorded and lost.

    Raises:
        UserError: the node's name or the lake's folder cannot be used, or another process collects
            this node.
    """

    def __init__(
        self,
        config: Config,
        host: Host,
        release: Callable[[bool], None],
        counts: RecordCounts | None = None,
    ) -> None:
        if host.lake is None:
            raise TypeError("a host without a lake records nothing")
        self._counts = counts or RecordCounts()
        self._config = config
        self._clock = host.clock
        self._log = host.log
        self._emit = host.warn
        self._release = release
        self._recovered = host.recovered
        self._virtual = isinstance(host.clock, VirtualClock)
        self._offset_us = host.offset_us
        self._problems = Problems()
        limit_bytes = config.wal_limit_mib << 20
        self.spool = Spool(host.lake, host.node, self._dropped, limit_bytes, replay=self._virtual)
        host.run = self.spool.next_run(host.clock.realtime_us())
        host.output.record(self.spool)
        self.housekeeping = Housekeeping(
            config, host.lake, host.log, host.warn, self.spool.flush, virtual=self._virtual
        )
        if not self._virtual:
            preload()
        self._recoverer = self._worker("recovery", self._recover)
        self._flusher = self._worker("log", self._flush)
        self._syncer = self._worker("sync", self._sync)
        self._sealer = self._worker("seal", self._seal)

    def plan(self, schedule: Schedule, start_us: int) -> None:
        """Recover the logs of an earlier process, and put writing and sealing on the schedule."""
        self._recoverer.ask()
        config = self._config
        for period_s, task in (
            (config.wal_flush_s, self._flush_soon),
            (config.wal_fsync_s, self._syncer.ask),
        ):
            period_us = round(period_s * 1_000_000)
            paced = _Paced(task, period_s) if self._virtual else task
            schedule.every(period_us, paced, start_us + period_us)
        # Paced by the clock of the run, unlike the logs above: see the head of this module.
        roll_us = round(config.roll_s * 1_000_000)
        schedule.every(roll_us, self._seal_soon, start_us + roll_us)
        self.housekeeping.plan(schedule, start_us)

    def finish(self) -> None:
        """Wait for running work; after this only `seal_at_last` writes."""
        for worker in (self._flusher, self._syncer):
            worker.finish(_STOP_S)
        for worker in (self._recoverer, self._sealer):
            worker.finish(None)
        self.housekeeping.finish()

    def seal_at_last(self) -> dict[str, int]:
        """Seal everything and return row counts; retry for a while if the lake cannot be written.

        Raises:
            UserError: the lake still cannot be written. The next start recovers the rows in the
            log.
        """
        # Taken before sealing: rows that arrive meanwhile are in the next seal.
        until_us = self._clock.monotonic_us() + self._offset_us
        counts = self._seal_patiently()
        self._counts.sealed_us = until_us
        return counts

    def _seal_patiently(self) -> dict[str, int]:
        for wait_us in _LAST_RETRIES_US:
            try:
                return self.spool.seal()
            except UserError as error:
                self._log.warning("seal_failed", why=error)
                self._clock.sleep_until(self._clock.monotonic_us() + wait_us, threading.Event())
        return self.spool.seal()

    def close(self) -> None:
        """Release the node for another process."""
        self.spool.close()

    def _worker(self, name: str, task: Callable[[], None]) -> Worker:
        def failed(error: Exception) -> None:
            self._emit("error", None, f"{name}: {error!r}")

        return Worker(task, failed, inline=self._virtual)

    def _flush_soon(self) -> None:
        # The end of a run of equal readings is held back for up to a second. On a real clock it is
        # recorded too, or a kill would lose it. On a virtual clock, where this follows real time,
        # the rows would then differ from run to run.
        self._release(not self._virtual)
        self._flusher.ask()

    def _seal_soon(self) -> None:
        self._release(False)
        self._sealer.ask()

    def _flush(self) -> None:
        self._once("log", self.spool.flush)

    def _sync(self) -> None:
        self._once("sync", self.spool.sync)

    def _once(self, what: str, task: Callable[[], None]) -> None:
        """Run a task; report a problem once, and once when it is over."""
        try:
            task()
        except UserError as error:
            if self._problems.is_new(what, str(error)):
                self._emit("error", None, str(error))
        else:
            if self._problems.is_over(what):
                self._log.info(f"{what}_works")

    def _recover(self) -> None:
        try:
            self._recover_logs()
        finally:
            self._recovered.set()  # whatever came of it: sources wait for this

    def _recover_logs(self) -> None:
        found = self.spool.recover()
        for detail in found.torn:
            self._emit("torn", None, detail)
        for detail in found.unreadable:
            self._emit("quarantined", None, detail)
        if found.rows:
            detail = f"{found.rows} rows over {found.span_s:.3f} s from the log"
            self._emit("recovered", None, detail)
            self._counts.recovered_rows += found.rows
        try:
            self.spool.seal_waiting()
        except UserError as error:
            self._log.warning("seal_failed", why=error)

    def _seal(self) -> None:
        until_us = self._clock.monotonic_us() + self._offset_us
        try:
            counts = self.spool.seal()
        except UserError as error:
            self._log.warning("seal_failed", why=error)
            return
        self._counts.sealed_us = until_us
        self._log.info("sealed", until_us=until_us, rows=counts)

    def _dropped(self, table: str, rows: int, why: str) -> None:
        self._counts.dropped_rows[table] += rows
        self._emit("drop", None, f"{rows} rows of {table}: {why}")


class _Paced:
    """A task that is skipped until a period of real time is over."""

    def __init__(self, task: Callable[[], None], period_s: float) -> None:
        self._task = task
        self._period_s = period_s
        self._next_s = time.monotonic() + period_s

    def __call__(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + self._period_s
            self._task()
