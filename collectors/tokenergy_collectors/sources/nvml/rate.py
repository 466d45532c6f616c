"""How often power is read: as configured, or twice per shortest learned update period.

In: the configuration and the boards. Out: readings per second. Polling twice per period keeps a
reading's age below half a period; polling more often costs time and shows nothing new.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.settings import GpuKeys

_READS_A_PERIOD = 2
_LOWEST_HZ = 10.0
_HIGHEST_HZ = 50.0
_UNKNOWN_HZ = 20.0
"""Used if no period was learned: right for 100 ms, the most common one."""


def rate_hz(config: GpuKeys, boards: Iterable[Board]) -> float:
    """Return how many times per second all boards are read."""
    if config.rate_hz is not None:
        return config.rate_hz
    periods_us = [board.update_us for board in boards if board.update_us is not None]
    if not periods_us:
        return _UNKNOWN_HZ
    # The board with the shortest period decides, since all boards are read together.
    wanted_hz = _READS_A_PERIOD * 1_000_000 / min(periods_us)
    return min(max(round(wanted_hz, 1), _LOWEST_HZ), _HIGHEST_HZ)
