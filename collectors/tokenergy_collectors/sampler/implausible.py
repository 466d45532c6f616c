"""Recognises power readings that no board can have drawn.

In: one board's readings as NVML returns them, with NVML's word that all is well. Out: None for
those above half more than the board's highest limit, and the event `implausible_power`.

Such readings, of 3.7 kW on boards of 320 W, are reported of processes of 32 bits on driver 580;
single ones of other drivers.
"""

from __future__ import annotations

from tokenergy_collectors.lake.plausible import most_power_mw
from tokenergy_collectors.sources.source import EmitBoardEvent

_AGAIN_US = 3_600_000_000
"""A board that goes on showing such readings is reported once an hour."""


class PlausiblePower:
    """Checks the power readings of one board.

    Args:
        emit: takes events.
    """

    def __init__(self, emit: EmitBoardEvent) -> None:
        self._emit = emit
        self._reported_us: int | None = None

    def refuses(self, ts_us: int, power_mw: int | None, *limits_mw: int | None) -> bool:
        """Return whether a reading is not believed.

        Args:
            ts_us: its stamp.
            power_mw: its value; None if there is none.
            limits_mw: the limits that the board reports now; None where it does not.
        """
        if power_mw is None or power_mw <= (most_mw := most_power_mw(*limits_mw)):
            return False
        if self._reported_us is None or ts_us - self._reported_us >= _AGAIN_US:
            self._reported_us = ts_us
            detail = f"the board shows {power_mw / 1e3:.3f} W; {most_mw / 1e3:g} W is believed"
            self._emit("implausible_power", detail)
        return True
