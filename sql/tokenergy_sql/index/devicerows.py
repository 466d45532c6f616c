"""What an hour's models see of devices.

In: a lake. Out: the rows of `device` that say something new, as Python has them.
"""

from __future__ import annotations

from typing import Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.devicenews import read_news


def read_devices(lake: Lake) -> list[dict[str, Any]]:
    """Return the rows of `device` of a lake that do not repeat the device's row before them."""
    found: list[dict[str, Any]] = read_news(lake).to_pylist()
    return found
