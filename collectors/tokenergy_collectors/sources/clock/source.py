"""The host's clocks as a source: their times once a minute, and when the wall clock is set.

In: the clocks. Out: rows of `clock`, and an event `clock_step` when the wall clock is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.sources.clock.kernel import clock_state
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.source import Source

_EVERY_S = 60.0
_LOOK_S = 1.0
_STEP_US = 1_000_000
_SANE_FROM = datetime(2026, 1, 1, tzinfo=UTC)
_SANE_YEARS = 50


class Clocks(Source[Strict]):
    """Reads CLOCK_MONOTONIC, CLOCK_BOOTTIME and CLOCK_REALTIME together."""

    name = "clock"

    def __init__(self, config: Strict, host: Host) -> None:
        super().__init__(config, host)
        self._off_us = 0

    def plan(self, plan: Plan) -> None:
        """Read all clocks once a minute; look for a step of the wall clock once a second."""
        plan.every("clock", _EVERY_S, self._read)
        # Not through `plan.every`: looking reads nothing that would need a health of its own.
        plan.schedule.every(
            round(_LOOK_S * 1_000_000), self._look, plan.start_us + round(_LOOK_S * 1_000_000)
        )

    def _read(self) -> None:
        host, clock = self.host, self.host.clock
        monotonic_us, boottime_us = clock.monotonic_us(), clock.boottime_us()
        realtime_us, ts_us = clock.realtime_us(), monotonic_us + host.offset_us
        host.add(
            "clock",
            ts_us=ts_us,
            node=host.node,
            monotonic_us=monotonic_us,
            boottime_us=boottime_us,
            realtime_us=realtime_us,
            run=host.run,
        )
        off_us = realtime_us - ts_us
        if abs(off_us - self._off_us) > _STEP_US:
            self._off_us = off_us
            host.wall_steps.add(ts_us, off_us)
            detail = f"the wall clock was set; it is now {off_us / 1e6:+.3f} s from the stamps"
            host.warn("clock_step", None, detail)

    def _look(self) -> None:
        """Record a step of the wall clock within a second, before the clocks are due."""
        off_us = self.host.clock.realtime_us() - self.host.now_us()
        if abs(off_us - self._off_us) > _STEP_US:
            self._read()

    @classmethod
    def check(cls, config: Any, host: Host) -> Iterator[Finding]:
        """Yield the time of this host, and whether the kernel keeps it synchronised."""
        now = datetime.fromtimestamp(host.clock.realtime_us() / 1_000_000, UTC)
        text = f"{now:%Y-%m-%d %H:%M:%S} UTC"
        if host.emulated:
            yield Finding("ok", "clock", f"{text}, emulated")
            return
        # A host without a battery for its clock starts in 1970 or on the firmware's date.
        if not _SANE_FROM <= now < _SANE_FROM.replace(year=_SANE_FROM.year + _SANE_YEARS):
            yield Finding("FAIL", "clock", f"{text}: this cannot be right; set the clock")
            return
        state = clock_state()
        if state is None:
            yield Finding(
                "ok", "clock", f"{text}; the kernel does not report whether it is synchronised"
            )
        elif state.synchronised:
            error_ms = state.max_error_us / 1000
            yield Finding("ok", "clock", f"{text}, synchronised, at most {error_ms:.0f} ms off")
        else:
            yield Finding(
                "warn",
                "clock",
                f"{text}, not synchronised: times may not match jobs recorded on other hosts",
            )
