"""Runs the daemon on the boards of this host.

In: a configuration. Out: a run that ends when it is stopped, when its time is over, or when NVML is
lost.
"""

from __future__ import annotations

from collections.abc import Callable

from tokenergy_collectors.base.clock import BeatingClock
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
        UserError: the configuration cannot be used, or there is no GPU.
    """
    config = read_config()
    learn_s = keys_of(config, GpuKeys).learn_s
    Lake(config.lake, create=True).prepare()  # fails before learning, which takes seconds
    clock = BeatingClock()
    try:
        boards, missing = open_boards()
        learn_periods(boards, clock, learn_s, control.event)
        learn_scopes(boards, clock, learn_s, control.event)
        daemon = ReloadingDaemon(config, read_config, clock, boards, missing, control)
        return daemon.run(duration_us)
    finally:
        close_boards()
