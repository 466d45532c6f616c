"""Uploads sealed files to a store, and applies the disk limits to them.

In: the configuration and the schedule. Out: work in threads, so that neither a store that hangs nor
a slow disk delays the sampling. Uploads always run on a real clock, since a store knows no other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container
from contextlib import suppress

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.problems import Problems
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.base.workers import Worker
from tokenergy_collectors.daemon.disklimit import DiskCounters, DiskLimit
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.sealed import SealedFile
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.source import EmitEvent
from tokenergy_collectors.upload.opening import open_store
from tokenergy_collectors.upload.uploader import UploadCounters, Uploader
from tokenergy_collectors.upload.verified import Verified

STOP_S = 10.0
"""Time for uploads at the stop; the rest is uploaded after the next start."""

_LOOK_S = 1.0
_DISK_EVERY_S = 10.0


class Housekeeping:
    """Uploads and limits the sealed files of one node.

    Args:
        config: where to upload, and the limits.
        lake: where the files are.
        log: takes log events.
        emit: takes events.
        flush: writes recorded events to the write-ahead log; raises `UserError`.
        virtual: True on a virtual clock.

    Raises:
        UserError: the store cannot be used.
    """

    def __init__(
        self,
        config: Config,
        lake: Lake,
        log: Log,
        emit: EmitEvent,
        flush: Callable[[], None],
        *,
        virtual: bool,
    ) -> None:
        self._config = config
        self._log = log
        self._emit = emit
        self._flush = flush
        self._problems = Problems()
        self._uploader: Uploader | None = None
        stored: Container[SealedFile] = ()
        upload, disk = config.upload, config.disk
        if upload.to is not None:
            store = open_store(upload, lake.root)
            stored = verified = Verified(lake.root, config.node, upload.to)
            self._uploader = Uploader(upload, lake, config.node, store, verified, self._event, log)
            # Never inline: a store that is slow must not hold a virtual clock either.
            self._upload_worker = self._worker("upload", self._uploader.run, inline=False)
        self._limit: DiskLimit | None = None
        if disk.limit_mib is not None or disk.keep_days is not None:
            self._limit = DiskLimit(disk, lake, config.node, stored, self._dropped, log)
            self._limit_worker = self._worker("disk", self._limit.run, inline=virtual)

    @property
    def uploads(self) -> UploadCounters | None:
        """What was uploaded and what waits; None without a store."""
        return None if self._uploader is None else self._uploader.counters

    @property
    def disk(self) -> DiskCounters | None:
        """What the disk limits removed; None without limits."""
        return None if self._limit is None else self._limit.counters

    def plan(self, schedule: Schedule, start_us: int) -> None:
        """Put uploads and limits on the schedule."""
        config = self._config
        if self._uploader is not None:
            # A look is cheap; `due` decides by period and back-off whether a pass begins.
            look_us = round(min(_LOOK_S, config.upload.every_s) * 1_000_000)
            schedule.every(look_us, self._ask_upload, start_us + look_us)
        if self._limit is not None:
            look_us = round(min(_DISK_EVERY_S, config.roll_s) * 1_000_000)
            schedule.every(look_us, self._limit_worker.ask, start_us + look_us)

    def finish(self) -> None:
        """Wait for the disk limits; uploads may continue until `drain` or `leave`."""
        if self._limit is not None:
            self._limit_worker.finish(None)

    def leave(self) -> None:
        """End uploads after the current file without waiting: the next run continues them."""
        if self._uploader is not None:
            self._uploader.end()
            self._upload_worker.finish(0)

    def drain(self) -> None:
        """Upload what was sealed last, for at most `STOP_S`; log what is left."""
        if self._uploader is None:
            return
        # A pass that runs now may have begun before the last files were sealed.
        self._upload_worker.ask(even_if_busy=True)
        over = threading.Timer(STOP_S, self._uploader.end)
        over.daemon = True
        over.start()
        done = self._upload_worker.finish(STOP_S)
        over.cancel()
        left = self._uploader.counters.backlog_files
        if left or not done:
            why = "these files are uploaded after the next start"
            self._log.warning("upload_waits", files=left, why=why)

    def _ask_upload(self) -> None:
        if self._uploader is not None and self._uploader.due():
            self._upload_worker.ask()

    def _worker(self, name: str, task: Callable[[], object], *, inline: bool) -> Worker:
        def failed(error: Exception) -> None:
            if self._problems.is_new(name, repr(error)):
                self._event("error", f"{name}: {error!r}")

        def run() -> None:
            task()
            self._problems.is_over(name)  # the same problem later is reported again

        return Worker(run, failed, inline=inline)

    def _dropped(self, detail: str) -> None:
        self._event("drop", detail)
        with suppress(UserError):  # the log cannot be written: the event waits in memory
            self._flush()

    def _event(self, kind: str, detail: str) -> None:
        self._emit(kind, None, detail)
