"""How accurate the host's clock is, according to the kernel.

In: the kernel (`adjtimex` that changes nothing needs no privilege). Out: whether the clock is
synchronised, and its greatest error.
"""

from __future__ import annotations

import ctypes
import struct
from typing import NamedTuple

_TIMEX_BYTES = 512
"""More than any `struct timex` (208 bytes on 64-bit Linux)."""

_TIMEX = struct.Struct("@Illlli")  # modes, offset, freq, maxerror, esterror, status
_STA_UNSYNC = 0x40


class ClockState(NamedTuple):
    """Whether the clock is synchronised, and its greatest error (us)."""

    synchronised: bool
    max_error_us: int


def clock_state() -> ClockState | None:
    """Return the state of CLOCK_REALTIME; None if the kernel does not report it."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        code = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    if code < 0:
        return None
    _, _, _, max_error_us, _, status = _TIMEX.unpack_from(buffer)
    return ClockState(not status & _STA_UNSYNC, max_error_us)
