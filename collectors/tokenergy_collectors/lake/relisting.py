"""Lists files again where one of them was compacted after it had been listed: see `compacted`.

In: a task that lists files and reads them. Out: its result.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tokenergy_collectors.base.errors import UserError

T = TypeVar("T")

_ATTEMPTS = 20
"""A file is compacted once, so a reader meets this seldom, however short the grace time is."""


class GoneError(UserError):
    """A file that was listed is gone, since a compacted one has its rows."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: was compacted while it was read; try again")


def listing_again(task: Callable[[], T]) -> T:
    """Run a task that lists and reads files; run it again if one of them was compacted meanwhile.

    Raises:
        GoneError: that happened too often.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return task()
        except GoneError:
            continue
    return task()
