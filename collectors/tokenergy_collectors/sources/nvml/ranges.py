"""Which values NVML may give for each quantity: what lies outside is no value.

In: what a call returned. Out: the same value, or None. Drivers write all ones for a value that they
do not have, and some write the bytes of another structure. Such a value costs its field only: the
other fields of the row are good.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

RANGES: dict[str, tuple[int, int]] = {
    "sm_util": (0, 100),
    "mem_util": (0, 100),
    "sm_mhz": (0, 20_000),
    "temp_c": (0, 200),
    # Bit 63 means "unknown reason": a value with it says nothing about the known ones.
    "throttle": (0, 2**31 - 1),
    # Limits are what a board may draw; one of 0 W or 10 kW and more belongs to no board.
    "limit_mw": (1, 10_000_000),
    "index": (0, 4_095),
    "minor": (0, 2**20 - 1),  # the most that Linux numbers
    "pid": (1, 2**22),  # the most that Linux allows
    "boards": (0, 4_096),
    "instances": (0, 64),
    "slices": (1, 64),
    "memory_mib": (1, 2**31 - 1),
}
"""Lowest and highest value, both included, by quantity; units are in the names."""

_PCI = re.compile(r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]")


def within(quantity: str, value: Any) -> int | None:
    """Return a value as an integer if its quantity can have it, else None; None stays None."""
    if value is None:
        return None
    low, high = RANGES[quantity]
    return int(value) if low <= value <= high else None


def pids_of(processes: Iterable[Any] | None) -> list[int] | None:
    """Return the PIDs in a process list, ascending; None if it is not known who runs.

    An impossible PID is left out. A list of impossible ones alone is not an empty one: something
    runs on the board, or the driver filled in another structure.
    """
    if processes is None:
        return None
    found = [within("pid", process.pid) for process in processes]
    known = sorted(pid for pid in found if pid is not None)
    return known if known or not found else None


def pci_address(text: str | None) -> str | None:
    """Return a PCI bus id if it looks like one, such as 00000000:1B:00.0, else None."""
    return text if text is not None and _PCI.fullmatch(text) else None


def readable(text: str | None) -> str | None:
    """Return a name with what cannot be printed replaced; None if nothing else is in it."""
    if text is None:
        return None
    shown = "".join(c if c.isprintable() else "\ufffd" for c in text).strip()
    return shown if shown.strip("\ufffd ") else None
