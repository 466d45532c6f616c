"""Runs the daemon on the boards of this host.

In: a configuration. Out: a run that ends when it is stopped, when its time is over, or when NVML is
lost.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tokenergy_collectors.base.clock import BeatingClock, Clock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.instants import is_instant
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.daemon.reload import ReloadingDaemon
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.settings.config import Config, keys_of
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_collectors.sources.nvml.learn import learn_periods
from tokenergy_collectors.sources.nvml.scopes import learn_scopes
from tokenergy_collectors.sources.nvml.settings import GpuKeys

ReadConfig = Callable[[], Config]
"""Reads the current configuration."""


def run_here(read_config: ReadConfig, duration_us: int | None, control: Control) -> dict[str, int]:
    """Run on the boards of this host; return the last row counts.

    Raises:
        NvmlLostError: no board answers any more; everything read before that is sealed.
        UserError: the configuration cannot be used, the host has no date, or there is no GPU.
    """
    config = read_config()
    gpu = keys_of(config, GpuKeys)
    Lake(config.lake, create=True).prepare()  # fails before learning, which takes seconds
    clock = BeatingClock()
    _check_date(clock)
    try:
        boards, missing = open_boards() if gpu.gpus else ([], [])
        learn_periods(boards, clock, gpu.learn_s, control.event)
        learn_scopes(boards, clock, gpu.learn_s, control.event)
        daemon = ReloadingDaemon(config, read_config, clock, boards, missing, control)
        return daemon.run(duration_us)
    finally:
        close_boards()


def _check_date(clock: Clock) -> None:
    """Refuse to record under a date that no other table can match.

    Raises:
        UserError: the wall clock is outside the years 2000 to 2099.
    """
    # A host without a battery for its clock starts in 1970. A service manager tries again.
    if not is_instant(clock.realtime_us()):
        date = datetime.fromtimestamp(clock.realtime_us() // 1_000_000, UTC)
        raise UserError(
            f"the clock of this host says {date:%Y-%m-%d %H:%M:%S} UTC: expected the years 2000 "
            "to 2099; set the clock first, so that readings and jobs have the same time"
        )
