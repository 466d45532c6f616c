"""A live view without a daemon: boards sampled in this process; nothing is written.

In: a configuration, and the boards of this host or of an emulated node. Out: a view, fed until it
is stopped. The sources are the same as the daemon's, but only the view takes what they read.
"""

from __future__ import annotations

import threading

from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.live.view import LiveView
from tokenergy_collectors.registry import make_sources
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.plan import Plan

_STOP_US = 3_000_000


class HeadStart(SystemClock):
    """The clocks of this host, set ahead: sleeping takes no time until they are `ahead_us` ahead.

    Args:
        ahead_us: how far to skip ahead (us); afterwards sleeping takes its time.
    """

    def __init__(self, ahead_us: int) -> None:
        self._ahead_us = 0
        self._skip_until_us = super().monotonic_us() + ahead_us

    def monotonic_us(self) -> int:
        """Return CLOCK_MONOTONIC plus the time skipped."""
        return super().monotonic_us() + self._ahead_us

    def boottime_us(self) -> int:
        """Return CLOCK_BOOTTIME plus the time skipped."""
        return super().boottime_us() + self._ahead_us

    def realtime_us(self) -> int:
        """Return CLOCK_REALTIME plus the time skipped."""
        return super().realtime_us() + self._ahead_us

    def sleep_until(self, monotonic_us: int, stop: threading.Event) -> None:
        """Skip the sleep during the head start; wait after it."""
        if monotonic_us > self._skip_until_us:
            super().sleep_until(monotonic_us, stop)
        elif not stop.is_set():
            self._ahead_us += max(0, monotonic_us - self.monotonic_us())


class LocalWatch:
    """Reads all sources of a host into a view; nothing is recorded.

    Args:
        config: what to read and how often; its lake is not used.
        host: the boards, and the clock: real, or with a head start on an emulated node.

    Attributes:
        view: the last minute.
    """

    def __init__(self, config: Config, host: Host) -> None:
        self._host = host
        self._schedule = Schedule(host.clock)
        self._plan = Plan(self._schedule, host)
        self._sources = make_sources(config, host)
        self._begun = False
        self.view = LiveView(host.clock)
        self.view.begin(config, host.boards, host.offset_us, late=self._plan.missed)
        host.output.listen(self.view)

    def run(self, stop: threading.Event, duration_us: int | None = None) -> None:
        """Sample until `stop` is set or the duration is over (us); a second call continues."""
        now_us = self._host.clock.monotonic_us()
        # `look` calls this twice: for the minute before the first frame, and from then on.
        if not self._begun:
            self._begun = True
            self._plan.begin(now_us, None)
            self._plan.on_edge = self._edge
            for source in self._sources:
                source.begin()
                source.plan(self._plan)
        self._schedule.run(None if duration_us is None else now_us + duration_us, stop)

    def close(self) -> None:
        """Wait for readings that still run, at most 3 s."""
        until_us = self._host.clock.monotonic_us() + _STOP_US
        for source in self._sources:
            source.finish(until_us)
        self._plan.finish(until_us)

    def _edge(self) -> None:
        for source in self._sources:
            source.edge()
