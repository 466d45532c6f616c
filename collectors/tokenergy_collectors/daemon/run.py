"""Puts a daemon together from its options: on the boards of this host, or on emulated ones.

In: options and a configuration file. Out: a run that lasts until it is stopped, until its time is
over, or until NVML is lost; on emulated boards also a file with what is true.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tokenergy_collectors.base.clock import BeatingClock
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.daemon.reload import Laps
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.nvml.boards import close_boards, open_boards
from tokenergy_collectors.sources.nvml.learn import learn_periods
from tokenergy_collectors.sources.nvml.scopes import learn_scopes

if TYPE_CHECKING:
    pass


ReadConfig = Callable[[], Config]
"""Reads the configuration as it stands now."""


def _run_here(read_config: ReadConfig, duration_us: int | None, control: Control) -> dict[str, int]:
    """Run on the boards of this host."""
    config = read_config()
    Lake(config.lake, create=True).prepare()
    clock = BeatingClock()
    try:
        boards, missing = open_boards()
        learn_periods(boards, clock, config.learn_s, control.event)
        learn_scopes(boards, clock, config.learn_s, control.event)
        return Laps(config, read_config, clock, boards, missing, control).run(duration_us)
    finally:
        close_boards()
