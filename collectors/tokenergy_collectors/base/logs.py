"""The daemon's own log: one line an event on standard error, as text or as JSON."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal

_OWN_TROUBLE = frozenset({"drop", "error", "quarantined", "seal_failed", "torn"})


class Log:
    """Writes events; every line has a stamp, a level, an event and its fields.

    Args:
        form: of a line.
        quiet: whether to tell trouble of the daemon itself alone, not of boards and endpoints.
    """

    def __init__(self, form: Literal["text", "json"], *, quiet: bool = False) -> None:
        self._json = form == "json"
        self._quiet = quiet

    def info(self, event: str, **fields: object) -> None:
        """Something happened as it should."""
        if not self._quiet:
            self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something is amiss; the daemon goes on."""
        if not self._quiet or event in _OWN_TROUBLE:
            self._write("warning", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        if self._json:
            line = json.dumps(
                {"time": stamp, "level": level, "event": event, **fields}, default=str
            )
        else:
            words = " ".join(f"{key}={value}" for key, value in fields.items())
            line = " ".join(f"{stamp} {level} {event} {words}".split())
        # Sampling does not end because nobody listens, or because a name is not UTF-8.
        with suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
