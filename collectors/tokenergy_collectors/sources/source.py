"""What a source is, and where its rows and events go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

Tell = Callable[[str, str | None, str], None]
"""Takes an event: kind, device_id, detail."""


class Sink(Protocol):
    """Where rows go: the spool, or nowhere for who only looks on."""

    def add(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Take rows of a table."""


TellOf = Callable[[str, str], None]
"""Takes an event of one board: kind, detail."""
