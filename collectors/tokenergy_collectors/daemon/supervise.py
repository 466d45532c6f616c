"""Reports to the supervisor that the daemon runs, and ends the daemon when NVML is lost.

In: a beat whenever the daemon's schedule is about to wait, at most once a second. Out: READY=1 at
the first beat, WATCHDOG=1 while beats continue, and the end of the run once NVML itself is lost. A
container loses NVML permanently when its host's systemd reloads: every call then returns "Unknown
Error" until the container is created again, which only a supervisor can do.
"""

from __future__ import annotations

from collections.abc import Sequence

import pynvml

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.sources.nvml.boards import Board

_LOOK_EVERY_US = 1_000_000
_LOST_US = 60_000_000


class NvmlLostError(UserError):
    """No board answers any more; only a new process, or a new container, can fix that."""


class Supervision:
    """Takes a daemon's beats.

    Args:
        boards: the boards to watch.
        control: ends the run; its notifier sends the states.
    """

    def __init__(self, boards: Sequence[Board], control: Control) -> None:
        self._boards = boards
        self._control = control
        watchdog_us = control.notifier.watchdog_us
        # Twice per period, as sd_watchdog_enabled(3) recommends.
        self._alive_every_us = None if watchdog_us is None else watchdog_us // 2
        self._next_look_us = 0
        self._next_alive_us = 0
        self._lost_us: int | None = None
        self._ready = False

    def restart(self) -> None:
        """Send READY=1 again at the next beat, after a reload."""
        self._ready = False

    def beat(self, now_us: int) -> int:
        """Note that the daemon runs; return when to call this again (monotonic us)."""
        notifier = self._control.notifier
        # Ready only now: the first wait means that everything has started.
        if not self._ready:
            self._ready = True
            notifier.send("READY=1", f"STATUS=sampling {len(self._boards)} boards")
        if self._alive_every_us is not None and now_us >= self._next_alive_us:
            self._next_alive_us = now_us + self._alive_every_us
            notifier.send("WATCHDOG=1")
        if now_us >= self._next_look_us:
            self._next_look_us = now_us + _LOOK_EVERY_US
            self._look(now_us)
        if self._alive_every_us is None:
            return self._next_look_us
        return min(self._next_look_us, self._next_alive_us)

    def _look(self, now_us: int) -> None:
        """End the run when every board has returned "Unknown Error" for a minute."""
        # Other errors may pass: the sampler looks for a board that fell off the bus.
        lost = [board.failure == pynvml.NVML_ERROR_UNKNOWN for board in self._boards]
        if not lost or not all(lost):  # a host without GPUs has none to lose
            self._lost_us = None
        elif self._lost_us is None:
            self._lost_us = now_us
        elif now_us - self._lost_us > _LOST_US and self._control.failure is None:
            self._control.fail(
                f"NVML is lost: each of {len(self._boards)} boards has returned Unknown Error for "
                f"{_LOST_US // 1_000_000} s; restart the collector, and in a container create the "
                "container again"
            )
