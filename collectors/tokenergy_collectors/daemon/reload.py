"""Runs a daemon, and after each reload a new one, on the same boards.

In: opened boards, and a function that reads the configuration. Out: runs, one after the other. A
reload makes a new daemon: everything read before is sealed, and every key takes effect except
`learn_s` and `gpus`, which apply at the start of the process. The new configuration is checked
while the old daemon samples, so that a mistake in a file is a line in the log and no outage.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.clock import BeatingClock, Clock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.strict import take_notices
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.daemon.daemon import Daemon
from tokenergy_collectors.daemon.supervise import NvmlLostError, Supervision
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.paths import escape_node
from tokenergy_collectors.live.endpoint import Endpoint
from tokenergy_collectors.live.push import Push
from tokenergy_collectors.live.view import LiveView
from tokenergy_collectors.registry import SOURCES
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.upload.opening import open_store


class ReloadingDaemon:
    """The runs of one process.

    Args:
        config: the configuration of the first run.
        read_config: reads the current configuration; raises `UserError`.
        clock: real or virtual.
        boards: the boards, opened.
        missing: why boards could not be opened, one text per board.
        control: ends a run, and says whether another one follows.
        emulated_jobs: allocations of an emulated node; None if the boards are real.
        quiet: see `Log`.
        spread_jobs: emulated jobs that also hold boards of other nodes.
    """

    def __init__(
        self,
        config: Config,
        read_config: Callable[[], Config],
        clock: Clock,
        boards: list[Board],
        missing: Sequence[str],
        control: Control,
        *,
        emulated_jobs: Sequence[Mapping[str, Any]] | None = None,
        quiet: bool = False,
        spread_jobs: Collection[str] = (),
    ) -> None:
        self._config = self._next = config
        self._read_config = read_config
        self._clock = clock
        self._boards = boards
        self._missing = missing
        self._control = control
        self._emulated_jobs = emulated_jobs
        self._quiet = quiet
        self._spread_jobs = spread_jobs
        self._live = LiveView(clock)
        self._endpoint = Endpoint(self._live)
        self._push = Push(self._live)
        self._supervision = Supervision(boards, control)
        if isinstance(clock, BeatingClock):
            clock.beat = self._supervision.beat

    def run(self, duration_us: int | None) -> dict[str, int]:
        """Run until `control` stops it or the duration is over; return the last row counts.

        Args:
            duration_us: of all runs together (us); None for no limit.

        Raises:
            NvmlLostError: no board answers any more; everything read before that is sealed.
            UserError: something in the configuration cannot be used, or the last rows of a run
                cannot be written.
        """
        end_us = None if duration_us is None else self._clock.monotonic_us() + duration_us
        try:
            self._endpoint.follow(self._config)
            self._push.follow(self._config)
            return self._run_until(end_us)
        finally:
            self._endpoint.close()
            self._push.close()

    def _run_until(self, end_us: int | None) -> dict[str, int]:
        clock, control = self._clock, self._control
        control.on_reload(self._may_reload)
        while True:
            # A reload does not prolong the run: all runs share one duration.
            left_us = None if end_us is None else end_us - clock.monotonic_us()
            daemon = self._daemon()
            counts = daemon.run(control.event, left_us)
            if control.failure is not None:
                daemon.housekeeping.drain()
                raise NvmlLostError(control.failure)
            if not control.goes_on() or (end_us is not None and clock.monotonic_us() >= end_us):
                daemon.housekeeping.drain()
                return counts
            daemon.housekeeping.leave()
            # Not before: `_may_reload` compares with the configuration that runs.
            self._config = self._next
            self._supervision.restart()

    def _daemon(self) -> Daemon:
        """Make the daemon of one run."""
        config = self._config
        log = Log(config.log_format, quiet=self._quiet)
        for notice in take_notices():
            log.warning("config", why=notice)
        host = Host(
            config.node,
            self._clock,
            log,
            boards=self._boards,
            missing=self._missing,
            lake=Lake(config.lake, create=True),
            emulated=self._emulated_jobs is not None,
            declared=self._emulated_jobs,
            spread=self._spread_jobs,
            cluster=config.cluster,
        )
        daemon = Daemon(config, host, self._live.counts)
        if config.metrics.listen is not None or config.otel.endpoint is not None:
            daemon.show(self._live)
        return daemon

    def _may_reload(self) -> bool:
        """Check everything that the next daemon needs; log what is wrong, or what changes."""
        log = Log(self._config.log_format, quiet=self._quiet)
        try:
            try:
                config = self._read_config()
            finally:
                for notice in take_notices():
                    log.warning("config", why=notice)
            escape_node(config.node)
            Lake(config.lake, create=True).prepare()
            for source in SOURCES.values():
                source.validate(config, emulated=self._emulated_jobs is not None)
            if config.upload.to is not None:
                open_store(config.upload, Path(config.lake))
            self._push.follow(config)
            self._endpoint.follow(config)  # last: it changes where metrics are served
        except UserError as error:
            log.warning("reload_refused", why=error)
            return False
        names = Config.model_fields
        changed = [name for name in names if getattr(config, name) != getattr(self._config, name)]
        log.info("reload", changed=", ".join(changed) or "nothing")
        self._next = config
        stamp = f"MONOTONIC_USEC={self._clock.monotonic_us()}"
        self._control.notifier.send("RELOADING=1", stamp)
        return True
